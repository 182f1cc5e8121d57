"""The server of a simulated town: a whole `House` that can be killed and stand up again on the same store.

The store is in memory and keeps what was committed; files are in a folder that outlives the process, as files do.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from apps.environment import Folders
from apps.host import program_cache
from base.config import Config, Listen, NatConfig, SipConfig
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.work import run_at_once
from server.house import Ground, House
from tests.simulation.clock import VirtualClock
from tests.simulation.draws import PEOPLE
from tests.simulation.network import SERVER, TownNetwork, Weather
from tests.simulation.phones import DOMAIN
from tests.simulation.studio import VirtualStudio, as_engine
from tests.simulation.virtual import Life, simulate

LATENCY = 0.004
"""Seconds until a commit, and again until its writer hears of it."""
CONFIG = Config(
    sip=SipConfig(listen=(Listen("udp", *SERVER), Listen("tcp", *SERVER))),
    nat=NatConfig(interval=120),
)
_PROGRAMS = program_cache()
_FOLDERS = Folders()
"""The programs that come with Tandem are found and compiled once for all runs."""


@dataclass(slots=True)
class Ended:
    """A former process: what it had counted."""

    metrics: Metrics
    life: Life


class Server:
    """`house` is that of the present process, or of the last one while none runs."""

    house: House

    def __init__(
        self, seed: int, folder: Path, clock: VirtualClock, network: TownNetwork, studio: VirtualStudio,
        contents: Mapping[str, bytes],
    ) -> None:  # fmt: skip
        self._seed = seed
        self._folder = folder
        self._clock = clock
        self._network = network
        self._studio = studio
        self.databases = InlineDatabases(latency=LATENCY, contents=contents)
        self.life = Life()
        self.metrics = Metrics()
        self.former: list[Ended] = []
        self.up = False
        self.standing: set[asyncio.Task[Any]] = set()
        """The tasks of a server at rest."""

    async def start(self) -> None:
        """A new process on what the last one left."""
        self.life, self.metrics = Life(), Metrics()
        self.house = House(self._ground(), CONFIG, self.metrics, "0", domain=DOMAIN)
        await self.life.start(self.house.open())
        self.standing = {task for task in self.life.tasks if not task.done()}
        self.up = True

    def _ground(self) -> Ground:
        return Ground(
            clock=self._clock,
            entropy=SeededEntropy(self._seed + 7919 * len(self.former)),
            network=self._network,
            databases=self.databases,
            media=as_engine(self._studio),
            run=run_at_once,
            data=self._folder,
            key=bytes(32),
            hosts=(SERVER[0],),
            programs=_PROGRAMS,
            folders=_FOLDERS,
        )

    def kill(self) -> None:
        """`kill -9`: nothing of it runs on, what was not committed is forgotten, connections break."""
        self.up = False
        self.life.kill()
        self._network.unplug(SERVER[0])
        self.databases.crash()
        self._studio.kill()
        self.former.append(Ended(self.metrics, self.life))

    async def stop(self) -> None:
        """SIGTERM."""
        await self.life.start(self.house.close())
        self.up = False
        self.former.append(Ended(self.metrics, self.life))

    def counted(self, name: str) -> float:
        """A counter, over all processes."""
        return sum(ended.metrics.value(name) for ended in self.former if ended.metrics is not self.metrics) + (
            self.metrics.value(name)
        )

    def discard(self) -> None:
        for ended in self.former:
            ended.life.bury()
        self.databases.discard()


@cache
def founded() -> Mapping[str, bytes]:
    """The store of a server whose town is founded: its accounts are there, and nothing has happened yet."""

    async def found() -> Mapping[str, bytes]:
        clock = VirtualClock()
        network = TownNetwork(clock, Random(0), Weather(), lambda *sent: None)
        with tempfile.TemporaryDirectory() as folder:
            studio = VirtualStudio(clock, network, lambda *heard: None)
            server = Server(0, Path(folder), clock, network, studio, {})
            await server.start()
            await _move_in(server.house)
            await server.house.host.warm()
            await server.stop()
            contents = server.databases.contents()
            server.discard()
        return contents

    return simulate(found())


async def _move_in(house: House) -> None:
    directory = house.directory
    for name, number in PEOPLE.items():
        account = directory.find_account(DOMAIN, name)
        if account is None:
            account = await directory.create_account(DOMAIN, name, f"{name}-secret", extension=number)
        else:
            await directory.set_password(account.id, f"{name}-secret")
        await house.store.voice_counts(account.id)
