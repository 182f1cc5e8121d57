"""Minutes of mixed traffic: calls of all kinds, transfers, voicemail, visitors, vandals. At the end the server and its
media worker hold no more memory, files and objects than after the warm-up.

People call one after another (`village`), so a busy machine makes fewer calls and fails nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.proof.test_crash import inbox
from tests.proof.village import NUMBERS, Village
from tests.proof.visitors import TLS_PORT, OpenSite, visit
from tests.scenes.peer import counter
from tests.simulation.test_leaks import REMEMBERED

pytestmark = [pytest.mark.proof, pytest.mark.timeout(3600)]

SECONDS = float(os.environ.get("TANDEM_SOAK", "300"))
WARM = 0.4
"""The warm-up, as a share of that: until the bounded memories of headers, addresses and nonces are full."""
CALLERS, VISITORS = 8, 1
FULL = {("MESSAGE", 480)}
"""What else may be answered: so many messages are kept for somebody who is away, and no more."""
QUIET = 40.0
"""Seconds after the last call in which transactions (64*T1) run out."""
GROWTH = 1.05
"""What Python and the process hold at the end, in parts of that after the warm-up: bounded memories fill slowly."""
CACHE = 2000
"""Kilobytes that SQLite keeps for each open database; few are full after the warm-up."""
MORE = 20
"""Objects of one kind more: hundreds of calls were made meanwhile."""
BOUNDED = (
    *REMEMBERED,
    "pbx.presence.message_summary.MessageSummary._shown",
    "pbx.registrar.bindings.Bindings._heap",
    "python blocks",  # has a bound of its own
)


class Processes:
    """The server and its media worker, looked at from outside."""

    def __init__(self, site: OpenSite, folder: Path) -> None:
        self._folder = folder
        self.pids = children(site.pid)

    async def look(self) -> list[Look]:
        return [await self._look(pid) for pid in self.pids]

    async def _look(self, pid: int) -> Look:
        path = self._folder / str(pid)
        path.unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR2)
        async with asyncio.timeout(60):
            while not path.exists():
                await asyncio.sleep(0.1)
        return Look(memory(pid), files(pid), Counter(json.loads(path.read_text())))


class Look:
    """Of one process: kilobytes, open files and databases, objects of ours by class, and all blocks of Python's memory.
    Garbage was collected before."""

    def __init__(self, memory: int, files: Sequence[str], objects: Counter[str]) -> None:
        self.memory, self.files, self.objects = memory, len(files), objects
        self.databases = sum(name.endswith(".db") for name in files)
        self.blocks = objects["python blocks"]

    def __str__(self) -> str:
        return f"{self.memory} KB, {self.blocks} blocks, {self.files} files, {self.databases} databases"

    def grown(self, since: Look) -> list[str]:
        """What has grown beyond bounds."""
        found = [
            f"{name}: {since.objects[name]} to {count}"
            for name, count in self.objects.items()
            if count > since.objects[name] + MORE and name not in BOUNDED
        ]
        if self.files > since.files + 2:
            found.append(f"files: {since.files} to {self.files}")
        if self.blocks > since.blocks * GROWTH:
            found.append(f"blocks: {since.blocks} to {self.blocks}")
        if self.memory > since.memory * GROWTH + CACHE * self.databases:
            found.append(f"kilobytes: {since.memory} to {self.memory}")
        return found


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


def files(pid: int) -> list[str]:
    return [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]


async def busy(site: OpenSite, village: Village, alice: str, seconds: float) -> None:
    """Everybody does what they do, again and again; then all is quiet."""
    end = time.monotonic() + seconds

    async def again(act: Callable[[], Awaitable[object]]) -> None:
        while time.monotonic() < end:
            await act()

    async def visits() -> None:
        answers = set(await visit(site, alice))
        assert all(status in (200, 202) or (method, status) in FULL for method, status in answers), answers
        await asyncio.sleep(1.0)

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(again(village.call))
        for _ in range(VISITORS):
            group.create_task(again(visits))
    await village.rest()
    async with asyncio.timeout(120):
        while await counter(site, "calls.legs") or await counter(site, "media.streams"):
            await asyncio.sleep(1)
    await asyncio.sleep(QUIET)


async def furnish(site: OpenSite) -> None:
    """Accounts with the passwords that the telephones have; carol's calls go the proxy way."""
    for name, number in NUMBERS.items():
        if name in ("alice", "bob"):
            await site.tandem("account", "password", name, "--password", f"{name}-secret")
        else:
            await site.add(name, number, f"{name}-secret")
    await site.tandem("setting", "set", "carol", "CallFeatures", "NO")
    await site.tandem("network", "set", "BlockAfter", "unlimited")  # the guessers share an address with the others


async def test_memory_files_and_objects_end_where_they_began(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "counting"))
    monkeypatch.setenv("TANDEM_CENSUS", str(tmp_path))
    async with OpenSite(tmp_path / "site", '[log]\nlevel = "warning"\n') as site:
        await furnish(site)
        village = Village(site, TLS_PORT)
        async with village.awake():
            await busy(site, village, "alice-secret", WARM * SECONDS)
            processes = Processes(site, tmp_path)
            start, warm = await processes.look(), village.told.copy()
            await busy(site, village, "alice-secret", SECONDS)
            end = await processes.look()
        messages = len(await asyncio.to_thread(inbox, site, "frank-secret", "frank"))
        with capsys.disabled():
            print(f"\n  warm-up {dict(warm)}\n  then    {dict(village.told - warm)}; {messages} messages")
            for before, after in zip(start, end, strict=True):
                print(f"  {before}\n  {after}")
        assert children(site.pid) == processes.pids  # no worker was lost on the way
        assert [after.grown(before) for before, after in zip(start, end, strict=True)] == [[], []]
        assert await counter(site, "calls.faults") == 0
        assert not [fault for phone in village.phones for fault in phone.faults]
        assert village.told["200"]
        assert village.told["transfers"]
        assert messages
