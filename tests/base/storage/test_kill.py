"""kill -9 in the middle of writes: all that was acknowledged is there, and the store opens clean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from base.metrics import Metrics
from base.storage.sqlite import SqliteDatabases

# Prints a number only after the write that holds it has returned.
_WRITER = """
import asyncio, pathlib, sys
from base.metrics import Metrics
from base.storage.sqlite import SqliteDatabases

async def main() -> None:
    database = await SqliteDatabases(pathlib.Path(sys.argv[1]), Metrics()).main()
    await database.migrate("items", ["CREATE TABLE item (n INTEGER, half INTEGER, body BLOB);"])

    def put(connection, n, half):
        connection.execute("INSERT INTO item VALUES (?, ?, ?)", (n, half, bytes(3000)))

    def both(connection, n):
        put(connection, n, 0)
        put(connection, n, 1)

    async def one(start):
        for n in range(start, 10**9, 8):
            await database.write(lambda connection: both(connection, n))
            sys.stdout.write(f"{n}\\n")
            sys.stdout.flush()

    await asyncio.gather(*(one(start) for start in range(8)))

asyncio.run(main())
"""


def _write_until_killed(folder: Path, acknowledged: int) -> set[int]:
    """What the child was told to be durable before it was killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(acknowledged)]
    child.kill()
    told += [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    child.wait(10)
    child.stdout.close()
    return set(told)


@pytest.mark.parametrize("acknowledged", [1, 37, 400])
async def test_what_was_acknowledged_survives(tmp_path: Path, acknowledged: int) -> None:
    told = _write_until_killed(tmp_path, acknowledged)
    databases = SqliteDatabases(tmp_path, Metrics())
    database = await databases.main()
    rows = await database.read(lambda c: c.execute("SELECT n, half FROM item").fetchall())
    check = await database.read(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0])
    await databases.close()
    assert check == "ok"
    assert {n for n, _ in rows} >= told
    assert {n for n, half in rows if half == 0} == {n for n, half in rows if half == 1}
