"""The tables of call records in `main.db`: of calls that have ended, and of those that ring or are answered."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import replace

import msgspec

from pbx.records.record import CallEvent, CallRecord, Outcome, Side

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
    "CREATE TABLE record_outlets (name TEXT PRIMARY KEY, place INTEGER NOT NULL)",
    """ALTER TABLE call_records ADD COLUMN events TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE open_calls ADD COLUMN events TEXT NOT NULL DEFAULT '[]';""",
)

_COLUMNS = (
    "id, call_id, started, answered, ended, duration, caller, caller_account, dialled, callee, callee_account, "
    "program, outcome, status, ended_by, cause, codec, near, far, events"
)
_INSERT = f"INSERT OR %s ({_COLUMNS}) VALUES ({', '.join('?' * 20)})"


def save(connection: sqlite3.Connection, records: Iterable[tuple[CallRecord, bool]]) -> None:
    """Each record with whether its call is still on, in their order."""
    for record, on in records:
        if on:
            connection.execute(_INSERT % "REPLACE INTO open_calls", _row(record))
        else:
            connection.execute(_INSERT % "IGNORE INTO call_records", _row(record))
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


def recent(connection: sqlite3.Connection, limit: int, accounts: Collection[int] | None) -> list[CallRecord]:
    """The last calls that have ended, the newest first; those of these accounts, when given."""
    query = f"SELECT {_COLUMNS} FROM call_records WHERE {_whose(accounts)} ORDER BY started DESC, id LIMIT :limit"
    return [_record(row) for row in connection.execute(query, {"limit": limit, "accounts": _list(accounts)})]


def _whose(accounts: Collection[int] | None) -> str:
    """Condition on a record: that it is of one of the accounts named by `:accounts`."""
    if accounts is None:
        return "true"
    listed = "IN (SELECT value FROM json_each(:accounts))"
    return f"(caller_account {listed} OR callee_account {listed})"


def _list(accounts: Collection[int] | None) -> str:
    return json.dumps(sorted(accounts or ()))


Row = tuple[str | int | float | None, ...]


def _row(record: CallRecord) -> Row:
    r = record
    near, far, events = (msgspec.json.encode(part).decode() for part in (r.near, r.far, r.events))
    return (
        *(r.id, r.call_id, r.started, r.answered, r.ended, r.duration, r.caller, r.caller_account, r.dialled),
        *(r.callee, r.callee_account, r.program, r.outcome, r.status, r.ended_by, r.cause, r.codec, near, far, events),
    )


def _record(row: tuple[object, ...]) -> CallRecord:
    (id_, call_id, started, answered, ended, _, caller, caller_account, dialled, *rest) = row
    (callee, callee_account, program, outcome, status, ended_by, cause, codec, near, far, events) = rest
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
        tuple(CallEvent(**event) for event in json.loads(str(events))),
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


def after(connection: sqlite3.Connection, name: str, limit: int) -> tuple[list[CallRecord], int]:
    """What an outlet has not had yet, in the order in which it was stored, and its place behind that."""
    found = connection.execute("SELECT place FROM record_outlets WHERE name = ?", (name,)).fetchone()
    place = 0 if found is None else int(found[0])
    query = f"SELECT {_COLUMNS}, rowid FROM call_records WHERE rowid > ? ORDER BY rowid LIMIT ?"
    rows = connection.execute(query, (place, limit)).fetchall()
    return [_record(row[:-1]) for row in rows], rows[-1][-1] if rows else place


def put_place(connection: sqlite3.Connection, name: str, place: int) -> None:
    connection.execute("INSERT OR REPLACE INTO record_outlets (name, place) VALUES (?, ?)", (name, place))


def remove_before(connection: sqlite3.Connection, before: float, outlets: Iterable[str]) -> int:
    """Remove records that began before then, and that each of these outlets has had; their number."""
    had = dict(connection.execute("SELECT name, place FROM record_outlets").fetchall())
    place = min((had.get(name, 0) for name in outlets), default=2**62)
    # The last one stays: SQLite gives its number again when the table is empty, and outlets would miss a record.
    query = """DELETE FROM call_records WHERE started < ? AND rowid <= ?
        AND rowid < (SELECT max(rowid) FROM call_records)"""
    return connection.execute(query, (before, place)).rowcount


def between(
    connection: sqlite3.Connection,
    since: float,
    until: float,
    accounts: Collection[int] | None,
    after_row: int,
    limit: int,
) -> tuple[list[CallRecord], int]:
    """Records that began in that time, of these accounts or of all, behind a place in the table; and the next place."""
    query = f"""SELECT {_COLUMNS}, rowid FROM call_records WHERE rowid > :row AND started >= :since AND started < :until
        AND {_whose(accounts)} ORDER BY rowid LIMIT :limit"""
    given = {"row": after_row, "since": since, "until": until, "accounts": _list(accounts), "limit": limit}
    rows = connection.execute(query, given).fetchall()
    return [_record(row[:-1]) for row in rows], rows[-1][-1] if rows else 0
