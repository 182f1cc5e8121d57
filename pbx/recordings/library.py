"""The library of recorded calls: a folder for each day, a row for each file, and the bounds of the disk.

A row is there before its file, so that nothing that was recorded is without an owner: what a killed server leaves open
is mended and closed by the next one. Not here: which calls are recorded (`pbx.b2bua.recording`), the samples.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from base.clock import Clock, Timer
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage.database import Database
from base.work import Run
from pbx.mediaproxy.wav import repair_wav
from pbx.recordings import tables
from pbx.recordings.tables import Recording

_log = get_logger("pbx.recordings")

LOOK_EACH = 10.0
"""Seconds between two looks at the disk: at 32 kB/s a recording, a thousand of them write 320 MB meanwhile."""
_PRUNE_EACH = 3600.0
_DAY = 86_400.0
_AT_ONCE = 200
_PATIENCE = 3.0
CHANNELS = 2
CUT = "server stopped"
FULL = "disk full"


@dataclass(frozen=True, slots=True)
class Bounds:
    """`free`: megabytes that stay free on the disk; with less nothing is recorded. `days`: after them a recording is
    removed (0: never)."""

    free: int = 1024
    days: int = 0


class Library:
    """`await start()` first; `await close()` when all calls have ended."""

    def __init__(
        self, database: Database, clock: Clock, metrics: Metrics, run: Run, folder: Path, bounds: Bounds | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._run = run
        self._folder = folder
        self._bounds = bounds or Bounds()
        self._going: dict[str, Callable[[str], None]] = {}
        self._idle = asyncio.Event()
        self._room = True
        self._look: Timer | None = None
        self._pruned = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        metrics.gauge("recordings.going", lambda: len(self._going))

    async def start(self) -> None:
        """Close what a former process has left open, and look at the disk from now on."""
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        for left in await self._database.read(tables.unfinished):
            await self._mend(left)
        await self._look_after()

    async def close(self) -> None:
        """Files that are being closed are waited for; what takes longer is mended at the next start."""
        if self._going:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _PATIENCE)
        if self._looking is not None:
            await asyncio.wait([self._looking])
        if self._look is not None:  # a look that was under way has set it again
            self._look.cancel()

    async def _mend(self, left: Recording) -> None:
        try:
            seconds = await self._run(lambda: repair_wav(self.path(left.name), CHANNELS))
        except OSError:
            await self._database.write(partial(tables.remove, name=left.name))
            return
        await self.ended(left.name, seconds, CUT)
        _log.warning("a recording was cut when the server stopped", name=left.name, seconds=round(seconds, 1))

    # --- recording

    def path(self, name: str) -> Path:
        """Where the file of that name is."""
        return self._folder / f"{name[:4]}-{name[4:6]}-{name[6:8]}" / name

    async def begin(self, about: Recording, stop: Callable[[str], None]) -> Path:
        """Make room for a file. `stop` is told why, when it has to end before its time. Raises Failure("full")."""
        if not self._room:
            self._metrics.count("recordings.refused")
            raise Failure("full", "no room on the disk for recordings")
        await self._database.write(partial(tables.add, one=about))
        self._going[about.name] = stop
        self._idle.clear()
        return self.path(about.name)

    async def ended(self, name: str, seconds: float, cause: str) -> None:
        """The file is closed, or was never made (no seconds)."""
        try:
            if seconds:
                await self._database.write(partial(tables.end, name=name, seconds=seconds, cause=cause))
                self._metrics.count("recordings.made")
            else:
                await self._run(lambda: self._unlink(name))
                await self._database.write(partial(tables.remove, name=name))
        except Failure as failure:
            self._metrics.count("recordings.faults")
            _log.error("the end of a recording was not noted; the next start does it", name=name, cause=str(failure))
        finally:
            self._going.pop(name, None)
            if not self._going:
                self._idle.set()

    # --- for people

    async def rows(
        self, since: float = 0.0, until: float = float("inf"), *, account: int | None = None, call: str = "", limit: int
    ) -> Sequence[Recording]:
        """Those that began in that time, the newest first."""
        work = partial(tables.between, since=since, until=until, account=account, call=call, limit=limit)
        return await self._database.read(work)

    async def row(self, name: str) -> Recording:
        """Raises Failure("not-found")."""
        found = await self._database.read(partial(tables.find, name=name))
        if found is None:
            raise Failure("not-found", f"there is no recording {name}")
        return found

    async def size(self, name: str) -> int:
        """Octets of the file; 0 when it is not there."""
        path = self.path(name)
        return await self._run(lambda: path.stat().st_size if path.exists() else 0)

    async def read(self, name: str, offset: int, size: int) -> bytes:
        """A piece of the file, empty behind its end. Raises Failure("not-found")."""
        path = self.path((await self.row(name)).name)

        def work() -> bytes:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(size)

        try:
            return await self._run(work)
        except OSError as error:
            raise Failure("not-found", f"the file of {name} cannot be read: {error.strerror}") from error

    async def remove(self, name: str) -> None:
        """Delete file and row. Raises Failure("not-found"), or "busy" while it goes on."""
        row = await self.row(name)
        if row.seconds is None:
            raise Failure("busy", f"{name} is being recorded; hang up first")
        await self._run(lambda: self._unlink(name))
        await self._database.write(partial(tables.remove, name=name))

    def _unlink(self, name: str) -> None:
        path = self.path(name)
        path.unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:
            pass  # there are others of that day

    # --- the disk

    def _look_again(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._look_after(), name="recordings")

    async def _look_after(self) -> None:
        try:
            await self._measure()
            if self._bounds.days and self._clock.now() - self._pruned >= _PRUNE_EACH:
                self._pruned = self._clock.now()
                await self._prune()
        except (Failure, OSError) as trouble:
            self._metrics.count("recordings.faults")
            _log.error("recordings not looked after", cause=str(trouble))
        self._look = self._clock.call_later(LOOK_EACH, self._look_again)

    async def _measure(self) -> None:
        def work() -> int:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return shutil.disk_usage(self._folder).free >> 20

        free = await self._run(work)
        before, self._room = self._room, free >= self._bounds.free
        room = self._room
        if room != before:
            say = _log.info if room else _log.error
            say(
                "room for recordings again" if room else "no room for recordings", free_mb=free, floor=self._bounds.free
            )
        if not room:
            for stop in list(self._going.values()):
                stop(FULL)

    async def _prune(self) -> None:
        """Remove what is older than it may be."""
        until = self._clock.wall() - self._bounds.days * _DAY
        removed = 0
        while names := await self._database.read(partial(tables.before, moment=until, limit=_AT_ONCE)):
            for name in names:
                await self.remove(name)
            removed += len(names)
        if removed:
            _log.info("old recordings removed", count=removed, days=self._bounds.days)


def name_of(call: str, started: float, number: int) -> str:
    """`20261128-141502-<call>.wav`, local time; a call's further ones have a number."""
    moment = datetime.fromtimestamp(started).strftime("%Y%m%d-%H%M%S")
    return f"{moment}-{call}{f'-{number}' if number > 1 else ''}.wav"
