"""The book of call records: written behind the calls, in batches, to the main database; the last ones also in memory.

It asks nothing of a call but its closed record. What cannot be written is counted and kept for the next try, up to a
bound.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import deque
from typing import Protocol

import msgspec

from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage.database import Database
from pbx.records.record import CallRecord, Outcome, Side

_log = get_logger("pbx.records")

MIGRATIONS = [
    """CREATE TABLE call_records (
        id TEXT PRIMARY KEY, call_id TEXT NOT NULL, started REAL NOT NULL, answered REAL, ended REAL NOT NULL,
        duration REAL NOT NULL, caller TEXT NOT NULL, caller_account INTEGER, dialled TEXT NOT NULL,
        callee TEXT NOT NULL, callee_account INTEGER, program TEXT NOT NULL, outcome TEXT NOT NULL,
        status INTEGER NOT NULL, ended_by TEXT NOT NULL, cause TEXT NOT NULL, codec TEXT NOT NULL,
        near TEXT NOT NULL, far TEXT NOT NULL)""",
    "CREATE INDEX call_records_started ON call_records (started)",
]

_COLUMNS = (
    "id, call_id, started, answered, ended, duration, caller, caller_account, dialled, callee, callee_account, "
    "program, outcome, status, ended_by, cause, codec, near, far"
)
_INSERT = f"INSERT OR IGNORE INTO call_records ({_COLUMNS}) VALUES ({', '.join('?' * 19)})"
_BACKLOG = 10_000
"""Limit: records that wait while the database refuses them."""


class Records(Protocol):
    """Where calls leave their records."""

    def write(self, record: CallRecord) -> None: ...


class CallBook:
    """`write` never waits; `close` returns when all is on disk."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        self._waiting: deque[CallRecord] = deque(maxlen=_BACKLOG)
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        await self._database.migrate("records", MIGRATIONS)
        self._writer = asyncio.create_task(self._run(), name="call records")

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await self._writer
            self._writer = None

    def write(self, record: CallRecord) -> None:
        if len(self._waiting) == _BACKLOG:
            self._metrics.count("calls.records.lost")
        self._waiting.append(record)
        self._metrics.count(f"calls.{record.outcome}")
        self._wake.set()

    async def recent(self, limit: int = 100, *, account: int | None = None) -> list[CallRecord]:
        """The last calls, the newest first; of one account, when given."""
        query = f"SELECT {_COLUMNS} FROM call_records"
        values: list[int] = []
        if account is not None:
            query += " WHERE caller_account = ? OR callee_account = ?"
            values += [account, account]
        query += " ORDER BY started DESC, id LIMIT ?"
        values.append(max(0, min(limit, 10_000)))
        waiting = [r for r in self._waiting if account is None or account in (r.caller_account, r.callee_account)]
        rows = await self._database.read(lambda connection: connection.execute(query, values).fetchall())
        found = {record.id: record for record in [*waiting, *(_record(tuple(row)) for row in rows)]}
        return sorted(found.values(), key=lambda record: -record.started)[:limit]

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while self._waiting and await self._write_batch():
                pass
            if self._closing:
                return

    async def _write_batch(self) -> bool:
        batch = [self._waiting[at] for at in range(min(100, len(self._waiting)))]
        rows = [_row(record) for record in batch]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_INSERT, rows)

        try:
            await self._database.write(work)
        except Failure as failure:
            self._metrics.count("calls.records.refused")
            _log.warning("records not written", cause=failure.code, waiting=len(self._waiting))
            return False
        for _ in batch:
            self._waiting.popleft()
        return True


Row = tuple[str | int | float | None, ...]


def _row(record: CallRecord) -> Row:
    r = record
    near, far = msgspec.json.encode(r.near).decode(), msgspec.json.encode(r.far).decode()
    return (
        *(r.id, r.call_id, r.started, r.answered, r.ended, r.duration, r.caller, r.caller_account, r.dialled),
        *(r.callee, r.callee_account, r.program, r.outcome, r.status, r.ended_by, r.cause, r.codec, near, far),
    )


def _record(row: tuple[object, ...]) -> CallRecord:
    (id_, call_id, started, answered, ended, _, caller, caller_account, dialled, *rest) = row
    (callee, callee_account, program, outcome, status, ended_by, cause, codec, near, far) = rest
    return CallRecord(
        str(id_),
        str(call_id),
        _number(started),
        None if answered is None else _number(answered),
        _number(ended),
        str(caller),
        _optional(caller_account),
        str(dialled),
        str(callee),
        _optional(callee_account),
        str(program),
        _outcome(str(outcome)),
        int(_number(status)),
        str(ended_by),
        str(cause),
        str(codec),
        Side(**json.loads(str(near))),
        Side(**json.loads(str(far))),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _optional(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _outcome(text: str) -> Outcome:
    match text:
        case "answered" | "busy" | "no-answer" | "cancelled":
            return text
        case _:
            return "failed"
