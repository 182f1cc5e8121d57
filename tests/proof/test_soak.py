"""Five minutes of mixed traffic: at the end the server and its media worker hold no more memory and files than after
the warm-up."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.proof.test_crash import one_caller
from tests.proof.visitors import OpenSite, visit
from tests.scenes.test_hostile import counter
from tests.scenes.test_sipp import BOB_PORT, Sipp, callee, caller, canceller, let_register, ringing_callee

pytestmark = [pytest.mark.proof, pytest.mark.timeout(1800)]

SECONDS = float(os.environ.get("TANDEM_SOAK", "300"))
ROUNDS_BEFORE = 15
"""Nearly 2,000 calls: until the bounded memories of headers, addresses and nonces are full."""
SLACK = 8192
"""Kilobytes that wait for the next full collection of circles."""


def children(pid: int) -> list[int]:
    """The server's own processes: itself and those that it started."""
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return sorted(found)


def memory(pid: int) -> int:
    """Private memory in kilobytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def one_round(site: OpenSite, sipp: Sipp, alice: str) -> int:
    """About 130 calls of all kinds, and visitors before them; how many calls."""
    assert set(await visit(site, alice)) <= {200, 202}
    await sipp.run(caller("alice", alice, "600", 300), "-r", "20", calls=40)
    await sipp.run(caller("alice", alice, "200", 800), "-r", "20", calls=20)
    async with sipp.serving(callee(20), BOB_PORT, 40):
        await sipp.run(caller("alice", alice, "203", 300), "-r", "20", calls=40)
    async with sipp.serving(ringing_callee(), BOB_PORT, 20):
        await sipp.run(canceller("alice", alice, "203"), "-r", "20", calls=20)
    await asyncio.gather(*(one_caller(site, alice, 3.5) for _ in range(4)))
    return 124


async def rest(site: OpenSite) -> None:
    """Wait until transactions and dialogs have run out."""
    async with asyncio.timeout(120):
        while await counter(site, "calls.legs") or await counter(site, "media.streams"):
            await asyncio.sleep(1)


async def test_memory_and_files_end_where_they_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with OpenSite(tmp_path / "site") as site:
        sipp = Sipp(site, tmp_path)
        alice = await site.password("alice")
        await let_register(site, sipp, "carol", await site.add("carol", "203"))  # bob, who is away, gets the messages
        await site.add("erin", "204")
        for _ in range(ROUNDS_BEFORE):
            await one_round(site, sipp, alice)
        await rest(site)
        processes = children(site.pid)
        start = {pid: (memory(pid), files(pid)) for pid in processes}
        began, calls = time.monotonic(), 0
        while time.monotonic() - began < SECONDS:
            calls += await one_round(site, sipp, alice)
            with capsys.disabled():
                now = ", ".join(f"{memory(pid)} KB {files(pid)} files" for pid in processes)
                print(f"\n  {time.monotonic() - began:4.0f} s, {calls} calls: {now}", end="", flush=True)
        await rest(site)
        assert children(site.pid) == processes  # no worker was lost on the way
        with capsys.disabled():
            for pid in processes:
                print(f"\n  {start[pid]} -> {(memory(pid), files(pid))}", end="")
        for pid in processes:
            assert files(pid) <= start[pid][1] + 2
            assert memory(pid) <= start[pid][0] * 1.05 + SLACK
        assert await counter(site, "calls.faults") == 0
