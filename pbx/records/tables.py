"""The tables of call records in `main.db`: of calls that have ended, and of those that are answered and still on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from pbx.records.record import CallRecord, Outcome, Side

COMPONENT = "records"
MIGRATIONS = (
    """CREATE TABLE call_records (
        id TEXT PRIMARY KEY, call_id TEXT NOT NULL, started REAL NOT NULL, answered REAL, ended REAL NOT NULL,
        duration REAL NOT NULL, caller TEXT NOT NULL, caller_account INTEGER, dialled TEXT NOT NULL,
        callee TEXT NOT NULL, callee_account INTEGER, program TEXT NOT NULL, outcome TEXT NOT NULL,
        status INTEGER NOT NULL, ended_by TEXT NOT NULL, cause TEXT NOT NULL, codec TEXT NOT NULL,
        near TEXT NOT NULL, far TEXT NOT NULL)""",
    "CREATE INDEX call_records_started ON call_records (started)",
    """CREATE TABLE open_calls AS SELECT * FROM call_records WHERE 0;
    CREATE UNIQUE INDEX open_calls_id ON open_calls (id);
    CREATE TABLE calls_seen (id INTEGER PRIMARY KEY, at REAL NOT NULL);""",
)

_COLUMNS = (
    "id, call_id, started, answered, ended, duration, caller, caller_account, dialled, callee, callee_account, "
    "program, outcome, status, ended_by, cause, codec, near, far"
)
_INSERT = f"INSERT OR IGNORE INTO %s ({_COLUMNS}) VALUES ({', '.join('?' * 19)})"


def save(connection: sqlite3.Connection, records: Iterable[tuple[CallRecord, bool]]) -> None:
    """Each record with whether its call is still on, in their order."""
    for record, on in records:
        if on:
            connection.execute(_INSERT % "open_calls", _row(record))
        else:
            connection.execute(_INSERT % "call_records", _row(record))
            connection.execute("DELETE FROM open_calls WHERE id = ?", (record.id,))


def note_seen(connection: sqlite3.Connection, at: float) -> None:
    """The calls that are on were on at that time."""
    connection.execute("INSERT OR REPLACE INTO calls_seen (id, at) VALUES (0, ?)", (at,))


def close_open(connection: sqlite3.Connection, cause: str) -> int:
    """Close the records of calls that a former process left open, at the last moment that it was seen; their number."""
    seen = connection.execute("SELECT max(at) FROM calls_seen").fetchone()[0] or 0.0
    left = [_record(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM open_calls")]
    save(
        connection, ((replace(one, ended=max(one.ended, seen), ended_by="server", cause=cause), False) for one in left)
    )
    return len(left)


def recent(connection: sqlite3.Connection, limit: int, account: int | None) -> list[CallRecord]:
    """The last calls that have ended, the newest first; of one account, when given."""
    whose = "" if account is None else "WHERE caller_account = ?1 OR callee_account = ?1"
    query = f"SELECT {_COLUMNS} FROM call_records {whose} ORDER BY started DESC, id LIMIT ?2"
    return [_record(row) for row in connection.execute(query, (account, limit))]


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
