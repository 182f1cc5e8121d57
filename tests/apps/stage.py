"""A stage for programs: the real host, directory, mail store and delivery, in virtual time; callers and legs by hand.

A play is a coroutine. Not here: the legs (`stage_leg`).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from apps.clips import Clips
from apps.environment import Environment, stock_environment
from apps.files import AccountFiles
from apps.host import ApplicationHost
from apps.letters import StoredLetters
from apps.services import Services
from apps.spool import Spool
from base.clock import Clock, Timer
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.work import run_at_once
from directory.directory import Directory
from directory.model import Account, Caller
from mail.delivery import Delivery
from mail.store import MailStore
from pbx.programs import ProgramLeg
from pbx.records.log import LogEntry
from tests.apps.stage_leg import StageLeg
from tests.directory.fixtures import DOMAIN, demo_directory
from tests.simulation.virtual import simulate

EPOCH = 1_700_000_000.0  # Tuesday 2023-11-14 22:13:20 GMT


class StageClock:
    """The virtual loop's time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return EPOCH + self.now()

    def call_later(self, delay: float, callback: Any) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)


class Stage:
    """The server's part of a play."""

    def __init__(self, folder: Path, directory: Directory, databases: InlineDatabases) -> None:
        clock: Clock = StageClock()
        self.folder = folder
        self.directory = directory
        self.metrics = Metrics()
        self.calls: list[StageLeg] = []
        self.called = asyncio.Event()
        self.past: list[LogEntry] = []
        self._entropy = SeededEntropy(5)
        self.store = MailStore(databases, clock, self.metrics)
        self.delivery = Delivery(self.store, directory, clock, self._entropy, self.metrics)
        self.environment: Environment = stock_environment(folder / "environment")
        self.services = Services(
            environment=self.environment,
            people=directory,
            letters=StoredLetters(self.store),
            post=self.delivery,
            legs=self,
            clock=clock,
            entropy=self._entropy,
            metrics=self.metrics,
            spool=Spool(folder / "spool", self._entropy, run_at_once),
            clips=Clips(folder / "clips", run_at_once),
            files=AccountFiles(folder / "files", run_at_once),
            calls=self,
        )
        self.host = ApplicationHost(self.services)

    def account(self, name: str) -> Account:
        account = self.directory.find_account(DOMAIN, name)
        assert account is not None
        return account

    async def log(self, account: int, limit: int) -> list[LogEntry]:
        """`calls.CallLog`: what a play has put there."""
        return [entry for entry in self.past if entry.account == account][:limit]

    def new_leg(self, account: Account, beside: ProgramLeg | None = None) -> ProgramLeg:
        return StageLeg(self, None, "", f"leg {len(self.calls) + 1}")

    def call(
        self, program: str, account: str, caller: str = "", *, called: str = "", parameters: Sequence[str] = ()
    ) -> StageLeg:
        """A call to a program; `caller` is an account that proved itself, or somebody outside."""
        if caller:
            person = self.account(caller)
            who = Caller(f"sip:{caller}@{DOMAIN}", person.real_name, person, source=("127.0.0.1", 5060))
        else:
            who = Caller("sip:+15551234@outside.example", "Eve", None, source=("192.0.2.1", 5060))
        leg = StageLeg(self, who, called or account, "caller")
        self.host.start(program, parameters, self.account(account), leg)
        return leg

    async def next_call(self) -> StageLeg:
        """The next call that a program places."""
        async with asyncio.timeout(60):
            while not self.calls:
                self.called.clear()
                await self.called.wait()
        return self.calls.pop(0)

    def program(self, name: str, source: str) -> None:
        """Install a program of the server's own."""
        self.environment.put(name, source.encode())

    async def inbox(self, name: str, mailbox: str = "INBOX") -> list[tuple[set[str], bytes]]:
        """Flags and octets of each message."""
        account = self.account(name)
        messages = await self.store.messages(account.id, mailbox)
        return [(set(m.flags), await self.store.octets(account.id, m)) for m in messages]

    async def lamp(self, name: str) -> tuple[int, int]:
        return await self.store.voice_counts(self.account(name).id)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    databases = InlineDatabases()
    try:
        async with demo_directory() as directory:
            made = Stage(folder, directory, databases)
            yield made
            await made.host.close()
            await made.store.close()
    finally:
        databases.discard()


def perform(play: Any) -> None:
    """Run `async def play(stage)` in virtual time."""

    async def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with stage(Path(folder)) as made:
                scene: Coroutine[Any, Any, None] = play(made)
                await scene

    simulate(whole())


__all__ = ["DOMAIN", "EPOCH", "Stage", "perform"]
