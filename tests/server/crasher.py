"""A process that changes the server's tables until it is killed. Run as `python -m tests.server.crasher FOLDER TABLE`.

It writes `ok N` to standard output after each change that was acknowledged. Each change is large enough to be
seen half.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from base.clock import ManualClock
from base.entropy import SystemEntropy
from base.metrics import Metrics
from base.storage.sqlite import SqliteDatabases
from base.values import parse_value
from directory.directory import Directory
from directory.firststart import prepare
from directory.secrets import Keyring
from pbx.trunk.model import Trunk
from pbx.trunk.trunks import Trunks
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.server import WorkaroundStore

DOMAIN = "tandem.test"
LINES = 200


@dataclass
class Rooms:
    """What keeps tables."""

    directory: Directory
    trunks: Trunks
    workarounds: WorkaroundStore

    @property
    def alice(self) -> int:
        found = self.directory.find_account(DOMAIN, "alice")
        assert found is not None
        return found.id


@asynccontextmanager
async def rooms(folder: Path) -> AsyncIterator[Rooms]:
    """As a start opens them."""
    databases, entropy = SqliteDatabases(folder, Metrics()), SystemEntropy()
    try:
        database, keyring = await databases.main(), Keyring(bytes(32), entropy)
        directory = await Directory.open(database, keyring, main_domain=DOMAIN)
        await prepare(directory, DOMAIN, entropy)
        trunks = Trunks(ManualClock(), entropy, Metrics(), cast(Any, None), database, keyring)
        workarounds = WorkaroundStore(database)
        await trunks.start()
        await workarounds.start()
        yield Rooms(directory, trunks, workarounds)
    finally:
        await databases.close()


def router(number: int) -> str:
    return "".join(f"<{line}*> = *@gate{number}.example\n" for line in range(LINES))


def rules(number: int) -> str:
    return "(" + ",".join(f'(100005,"r{line}-{number}",(),(("Redirect to","{number}")))' for line in range(20)) + ")"


def clients(number: int) -> str:
    return "\n".join(f"10.{number}.{line}.0/24" for line in range(LINES))


def trunk(number: int) -> Trunk:
    return Trunk("carrier", f"sip{number}.example", f"user{number}", registers=False, target="alice")


async def lock(at: Rooms, number: int) -> None:
    """As the toll guard does; a new account each time, for a lock says nothing else."""
    account = await at.directory.create_account(DOMAIN, f"a{number}", "secret")
    await at.directory.set_setting(account.id, "CallOutLocked", "YES")


CHANGES: Mapping[str, Callable[[Rooms, int], Awaitable[object]]] = {
    "router": lambda at, number: at.directory.set_router(router(number)),
    "rules": lambda at, number: at.directory.set_rules(parse_value(rules(number)), account_id=at.alice),
    "trunks": lambda at, number: at.trunks.put(trunk(number), f"password{number}"),
    "workarounds": lambda at, number: at.workarounds.add(f"Phone {number}*", next(iter(Workaround)).value),
    "network": lambda at, number: at.directory.network_settings.set("ClientIPs", clients(number)),
    "locks": lock,
}


async def main(folder: Path, table: str) -> None:
    async with rooms(folder) as at:
        for number in range(1, 250):
            await CHANGES[table](at, number)
            print("ok", number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
