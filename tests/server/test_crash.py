"""Kill -9 while the server's tables are changed: what was acknowledged is there after the next start, nothing half is.

(Sources that are shut out are in no table: a new start lets them in again.)
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from base.values import parse_value
from tests.server import crasher
from tests.server.crasher import DOMAIN, Rooms, rooms

ROOT = Path(__file__).parents[2]


async def crash(folder: Path, table: str, after: int) -> int:
    """Kill it after so many changes; how many were acknowledged until it was dead."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.server.crasher", str(folder), table,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    done = 0
    async with asyncio.timeout(60):
        async for line in process.stdout:
            if line.startswith(b"ok "):  # it logs there too
                done = int(line.split()[1])
            if done == after:
                process.kill()
        assert await process.wait() == -9
    return done


def _router(at: Rooms, number: int) -> bool:
    return at.directory.router.text == crasher.router(number)


def _rules(at: Rooms, number: int) -> bool:
    return at.directory.rules(account_id=at.alice) == parse_value(crasher.rules(number))


def _trunks(at: Rooms, number: int) -> bool:
    (row,) = at.trunks.rows()
    return row.trunk == crasher.trunk(number) and at.trunks.line("carrier").password == f"password{number}"


def _workarounds(at: Rooms, number: int) -> bool:
    own = {row.who for row in at.workarounds.table.rows if not row.stock}
    return own == {f"phone {each}*" for each in range(1, number + 1)} or own == {
        f"Phone {each}*" for each in range(1, number + 1)
    }


def _network(at: Rooms, number: int) -> bool:
    return at.directory.network_settings.text("ClientIPs") == crasher.clients(number)


def _locks(at: Rooms, number: int) -> bool:
    made = [account for account in at.directory.accounts() if account.name[1:].isdigit()]
    locked = [account for account in made if at.directory.setting(account.id, "CallOutLocked") == "YES"]
    return len(locked) == number and len(made) - len(locked) <= 1  # an account is made, then locked


SEEN: Mapping[str, Callable[[Rooms, int], bool]] = {
    "router": _router,
    "rules": _rules,
    "trunks": _trunks,
    "workarounds": _workarounds,
    "network": _network,
    "locks": _locks,
}


@pytest.mark.parametrize("table", SEEN)
async def test_what_was_acknowledged_is_there_and_nothing_half(tmp_path: Path, table: str) -> None:
    done = await crash(tmp_path, table, after=7)
    assert done >= 7
    async with rooms(tmp_path) as at:
        assert SEEN[table](at, done) or SEEN[table](at, done + 1)  # the next one may have been committed, and not told
        assert at.directory.main_domain == DOMAIN
        await crasher.CHANGES[table](at, 251)
