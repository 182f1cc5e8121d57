"""Kill -9 at each step of a delivery and at any moment: what was acknowledged is there, nothing half is ever seen."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.mail import crasher
from tests.mail.rooms import ALICE, delivery, disk_store

ROOT = Path(__file__).parents[2]


async def run(folder: Path, step: str, *, kill_after: int | None = None) -> int:
    """Let the crasher run to its death; how many deliveries it was told were done."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.mail.crasher",
        str(folder),
        step,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    done = 0
    async with asyncio.timeout(60):
        async for line in process.stdout:
            if line.startswith(b"ok"):
                done += 1
            if done == kill_after:
                process.kill()
        assert await process.wait() == -9
    return done


async def inspect(folder: Path, done: int) -> int:
    """Open the store again as a new start does: all that was acknowledged, whole; then try the next ones again."""
    async with disk_store(folder) as store:
        found = await store.messages(ALICE.id, "INBOX")
        assert len(found) >= done
        for number, each in enumerate(found):
            assert each.uid == number + 1
            assert (await store.octets(ALICE.id, each)).endswith(crasher.message(number))
        assert await store.voice_counts(ALICE.id) == (len(found), 0)
        mail = delivery(store)
        for number in range(len(found) + 1):
            (placed,) = await mail.submit("", ["alice"], crasher.message(number), queue_id=f"q{number}", voice=True)
            assert placed.again is (number < len(found))
        assert (await store.status(ALICE.id, "INBOX")).messages == len(found) + 1
    connection = sqlite3.connect(folder / "mail" / f"{ALICE.id}.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        orphans = "SELECT count(*) FROM blob WHERE id NOT IN (SELECT blob_id FROM message)"
        assert connection.execute(orphans).fetchone() == (0,)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    finally:
        connection.close()
    return len(found)


@pytest.mark.parametrize("step", crasher.STEPS)
async def test_killed_at_a_step(tmp_path: Path, step: str) -> None:
    done = await run(tmp_path, step)
    assert done == 2
    assert await inspect(tmp_path, done) == (3 if step == "committed" else 2)


@pytest.mark.parametrize("after", [1, 7])
async def test_killed_at_any_moment(tmp_path: Path, after: int) -> None:
    await inspect(tmp_path, await run(tmp_path, "run", kill_after=after))


@pytest.mark.proof
@pytest.mark.parametrize("after", range(1, 60, 3))
async def test_killed_at_many_moments(tmp_path: Path, after: int) -> None:
    await inspect(tmp_path, await run(tmp_path, "run", kill_after=after))
