"""The book of call records: written behind the calls, in batches, to the main database; the last ones also in memory.

A call that rings or is answered is noted at once, and its record replaces the note: what a process leaves open when it
is killed is closed by the next one. It asks nothing of a call but its record. What cannot be written is counted and
kept for the next try, up to a bound.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from base.clock import Clock, Timer
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage.database import Database
from pbx.records import log_tables, tables
from pbx.records.log import USUAL, LogEntry
from pbx.records.record import CallRecord

_log = get_logger("pbx.records")

_BACKLOG = 10_000
"""Limit: records that wait while the database refuses them."""
PULSE = 30.0
"""Limit: seconds by which the end of a call is told too early when the server is killed."""
CUT = "server stopped"
"""The cause of an end that nobody has seen."""


class Records(Protocol):
    """Where calls leave their records."""

    def opened(self, record: CallRecord) -> None:
        """A call rings, or is answered and goes on, or something has happened in it; `write` of the same id follows."""

    def write(self, record: CallRecord, log: Sequence[LogEntry] = ()) -> None:
        """It is over. `log`: what goes into the lists of accounts."""


@dataclass(frozen=True, slots=True)
class _Note:
    """What waits to be written: a record, whether its call is still on, and what goes into whose list."""

    record: CallRecord
    on: bool
    log: Sequence[LogEntry] = ()


class CallBook:
    """`opened` and `write` never wait; `close` returns when all is on disk."""

    def __init__(self, database: Database, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._waiting: deque[_Note] = deque(maxlen=_BACKLOG)
        self._writing: list[_Note] = []
        self._open: set[str] = set()
        self._pulse_due = False
        self._pulse: Timer | None = None
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Make the tables, and close what the last process left open."""
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        await self._database.migrate(log_tables.COMPONENT, log_tables.MIGRATIONS)
        cut = await self._database.write(partial(tables.close_open, cause=CUT))
        if cut:
            self._metrics.count("calls.records.cut", cut)
            _log.warning("calls were cut when the server stopped", count=cut)
        self._writer = asyncio.create_task(self._run(), name="call records")

    async def close(self) -> None:
        self._closing = True
        if self._pulse is not None:
            self._pulse.cancel()
        self._wake.set()
        if self._writer is not None:
            await self._writer
            self._writer = None

    def opened(self, record: CallRecord) -> None:
        self._open.add(record.id)
        self._put(_Note(record, on=True))
        if self._pulse is None:
            self._pulse = self._clock.call_later(PULSE, self._beat)

    def write(self, record: CallRecord, log: Sequence[LogEntry] = ()) -> None:
        self._open.discard(record.id)
        self._put(_Note(record, on=False, log=log))
        self._metrics.count(f"calls.{record.outcome}")

    def _put(self, note: _Note) -> None:
        if len(self._waiting) == _BACKLOG:
            self._metrics.count("calls.records.lost")
        self._waiting.append(note)
        self._wake.set()

    def _beat(self) -> None:
        """While calls are on, the database learns now and then that they are."""
        self._pulse = self._clock.call_later(PULSE, self._beat) if self._open else None
        self._pulse_due = bool(self._open)
        self._wake.set()

    async def recent(self, limit: int = 100, *, accounts: Collection[int] | None = None) -> list[CallRecord]:
        """The last calls that have ended, the newest first; those of these accounts, when given."""
        limit = max(0, min(limit, 10_000))
        ended = [note.record for note in (*self._writing, *self._waiting) if not note.on]
        mine = [one for one in ended if accounts is None or one.is_of(accounts)]
        stored = await self._database.read(partial(tables.recent, limit=limit, accounts=accounts))
        found = {record.id: record for record in [*mine, *stored]}
        return sorted(found.values(), key=lambda record: -record.started)[:limit]

    async def log(self, account: int, limit: int = USUAL) -> list[LogEntry]:
        """The last calls of an account, the newest first."""
        limit = max(0, min(limit, 10_000))
        fresh = [entry for note in (*self._writing, *self._waiting) for entry in note.log if entry.account == account]
        stored = await self._database.read(partial(log_tables.of, account=account, limit=limit))
        found = {entry.call: entry for entry in [*fresh, *stored]}
        return sorted(found.values(), key=lambda entry: -entry.at)[:limit]

    async def forget(self, account: int) -> None:
        """The account has ended, and so has its list."""
        await self._database.write(partial(log_tables.remove, account=account))

    async def between(
        self, since: float, until: float, *, accounts: Collection[int] | None, after: int, limit: int
    ) -> tuple[list[CallRecord], int]:
        """A page of records that began in that time, in the order of their ends, and where the next page begins (0:
        there is none)."""
        work = partial(
            tables.between, since=since, until=until, accounts=accounts, after_row=after, limit=min(limit, 1_000)
        )
        return await self._database.read(work)

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while (self._waiting or self._pulse_due) and await self._write_batch():
                pass
            if self._closing:
                return

    async def _write_batch(self) -> bool:
        batch = self._writing = [self._waiting.popleft() for _ in range(min(100, len(self._waiting)))]
        seen = self._clock.wall() if self._pulse_due else None
        self._pulse_due = False

        def work(connection: sqlite3.Connection) -> None:
            tables.save(connection, ((note.record, note.on) for note in batch))
            log_tables.save(connection, (entry for note in batch for entry in note.log))
            if seen is not None:
                tables.note_seen(connection, seen)

        try:
            await self._database.write(work)
        except Failure as failure:
            self._metrics.count("calls.records.refused")
            self._put_back(batch)
            _log.warning("records not written", cause=failure.code, waiting=len(self._waiting))
            return False
        finally:
            self._writing = []
        return True

    def _put_back(self, batch: list[_Note]) -> None:
        """What there is no room for any more is lost, the oldest first."""
        room = _BACKLOG - len(self._waiting)
        self._metrics.count("calls.records.lost", max(0, len(batch) - room))
        self._waiting.extendleft(reversed(batch[len(batch) - min(room, len(batch)) :]))
