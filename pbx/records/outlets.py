"""Where call records go besides the database: files, a helper program, a web address. Each gets every record at least
once.

An outlet has a place in the table from which it goes on, also after a restart or an hour in which it could not take
any. The calls never wait for it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from base.clock import Clock
from base.failures import Failure
from base.helper import HelperProgram
from base.log import get_logger
from base.metrics import Metrics
from base.storage.database import Database
from pbx.records import flat, log_tables, tables
from pbx.records.record import CallRecord

BATCH = 200
PERIOD = 5.0
"""Seconds between two looks for new records; an outlet that failed waits longer, up to `LONGEST`."""
LONGEST = 300.0
_DAY = 86_400.0
_log = get_logger("pbx.records")


class Outlet(Protocol):
    """`name` is where it goes on; another name begins anew."""

    @property
    def name(self) -> str: ...

    async def put(self, records: Sequence[CallRecord]) -> None:
        """All of them are kept there. Raises Failure; then they come again."""


class FolderOutlet:
    """A file for each day, `cdr-2026-11-28.csv` or `.json`; with a heading in CSV."""

    def __init__(self, folder: Path, form: str) -> None:
        self._folder = folder
        self._form = form
        self.name = f"folder {folder} {form}"

    async def put(self, records: Sequence[CallRecord]) -> None:
        try:
            await asyncio.to_thread(self._write, records)
        except OSError as problem:
            raise Failure("full", f"{self._folder}: {problem.strerror}", temporary=True) from problem

    def _write(self, records: Sequence[CallRecord]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        by_day: dict[str, list[CallRecord]] = {}
        for record in records:
            by_day.setdefault(datetime.fromtimestamp(record.started).strftime("%Y-%m-%d"), []).append(record)
        for day, of_day in by_day.items():
            with (self._folder / f"cdr-{day}.{self._form}").open("a", encoding="utf-8", errors="replace") as file:
                if self._form == "csv" and file.tell() == 0:
                    file.write(flat.csv_heading())
                file.write(flat.csv_lines(of_day) if self._form == "csv" else flat.json_lines(of_day))
                file.flush()
                os.fsync(file.fileno())


class HelperOutlet:
    """CommuniGate's External CDR Processor: `n CDR text`, answered by `n OK`."""

    def __init__(self, helper: HelperProgram, command: str) -> None:
        self._helper = helper
        self.name = f"helper {command}"

    async def put(self, records: Sequence[CallRecord]) -> None:
        for record in records:
            answer = await self._helper.ask(f"CDR {flat.text_line(record)}")
            if not answer.upper().startswith("OK"):
                raise Failure("unavailable", f"the helper answers {answer[:80]}", temporary=True)


class WebOutlet:
    """POST of JSON lines to an address; any 2xx is taken for kept."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.name = f"web {url}"

    async def put(self, records: Sequence[CallRecord]) -> None:
        await asyncio.to_thread(self._post, flat.json_lines(records).encode())

    def _post(self, body: bytes) -> None:
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/x-ndjson"}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10, context=ssl.create_default_context()):
                return
        except (urllib.error.URLError, OSError, ValueError) as problem:
            raise Failure("unavailable", f"{self._url}: {problem}", temporary=True) from problem


class RecordKeeper:
    """Gives records to their outlets, and removes those that are older than `days` (0: none)."""

    def __init__(
        self, database: Database, clock: Clock, metrics: Metrics, outlets: Sequence[Outlet], days: int = 0
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._outlets = outlets
        self._days = days
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """After the book has made its tables."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._feed(outlet)) for outlet in self._outlets]
        if self._days:
            self._tasks.append(loop.create_task(self._prune()))

    async def close(self) -> None:
        """What has not been taken is taken after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _feed(self, outlet: Outlet) -> None:
        wait = PERIOD
        while True:
            try:
                wait = PERIOD if await self.pass_on(outlet) < BATCH else 0.0
            except Failure as failure:
                wait = min(LONGEST, max(PERIOD, wait * 2))
                self._metrics.count("calls.records.outlet_failures")
                _log.warning("call records not taken", outlet=outlet.name, cause=failure.public, seconds=wait)
            await asyncio.sleep(wait)

    async def pass_on(self, outlet: Outlet) -> int:
        """Give it what it has not had yet, a batch at most; how many. Raises Failure."""
        records, place = await self._database.read(partial(tables.after, name=outlet.name, limit=BATCH))
        if records:
            await outlet.put(records)
            await self._database.write(partial(tables.put_place, name=outlet.name, place=place))
        return len(records)

    async def _prune(self) -> None:
        while True:
            await self.prune()
            await asyncio.sleep(_DAY / 4)

    async def prune(self) -> None:
        """Remove old records that all outlets have had."""
        before = self._clock.wall() - self._days * _DAY
        names = [outlet.name for outlet in self._outlets]

        def work(connection: sqlite3.Connection) -> int:
            log_tables.remove_before(connection, before)
            return tables.remove_before(connection, before, names)

        try:
            removed = await self._database.write(work)
        except Failure as failure:
            _log.warning("old call records not removed", cause=failure.code)
            return
        if removed:
            _log.info("old call records removed", count=removed)
