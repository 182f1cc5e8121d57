"""The table of recorded calls in `main.db`; the sound itself is in files."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

COMPONENT = "recordings"
MIGRATIONS = (
    """CREATE TABLE recordings (
        name TEXT PRIMARY KEY, call TEXT NOT NULL, started REAL NOT NULL, seconds REAL, cause TEXT NOT NULL,
        caller TEXT NOT NULL, caller_account INTEGER, callee TEXT NOT NULL, callee_account INTEGER);
    CREATE INDEX recordings_started ON recordings (started);
    CREATE INDEX recordings_call ON recordings (call);""",
)
_COLUMNS = "name, call, started, seconds, cause, caller, caller_account, callee, callee_account"


@dataclass(frozen=True, slots=True)
class Recording:
    """One file. `call` is the id of the call record; `seconds` None: it goes on; `cause` is why it ended."""

    name: str
    call: str
    started: float
    caller: str
    caller_account: int | None
    callee: str
    callee_account: int | None
    seconds: float | None = None
    cause: str = ""


def add(connection: sqlite3.Connection, one: Recording) -> None:
    row = (one.name, one.call, one.started, one.seconds, one.cause)
    parties = (one.caller, one.caller_account, one.callee, one.callee_account)
    connection.execute(f"INSERT INTO recordings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, *parties))


def end(connection: sqlite3.Connection, name: str, seconds: float, cause: str) -> None:
    connection.execute("UPDATE recordings SET seconds = ?, cause = ? WHERE name = ?", (seconds, cause, name))


def remove(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("DELETE FROM recordings WHERE name = ?", (name,))


def find(connection: sqlite3.Connection, name: str) -> Recording | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM recordings WHERE name = ?", (name,)).fetchone()
    return None if row is None else _recording(row)


def unfinished(connection: sqlite3.Connection) -> list[Recording]:
    """Those that a former process has not ended."""
    return [_recording(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM recordings WHERE seconds IS NULL")]


def before(connection: sqlite3.Connection, moment: float, limit: int) -> list[str]:
    """The names of those that have ended and began before then, the oldest first."""
    query = "SELECT name FROM recordings WHERE started < ? AND seconds IS NOT NULL ORDER BY started LIMIT ?"
    return [row[0] for row in connection.execute(query, (moment, limit))]


def between(
    connection: sqlite3.Connection, since: float, until: float, account: int | None, call: str, limit: int
) -> list[Recording]:
    """Those that began in that time, the newest first; of one account or one call, when given."""
    query = f"""SELECT {_COLUMNS} FROM recordings WHERE started >= :since AND started < :until
        AND (:account IS NULL OR caller_account = :account OR callee_account = :account)
        AND (:call = '' OR call = :call) ORDER BY started DESC, name LIMIT :limit"""
    given = {"since": since, "until": until, "account": account, "call": call, "limit": limit}
    return [_recording(row) for row in connection.execute(query, given)]


def _recording(row: tuple[object, ...]) -> Recording:
    (name, call, started, seconds, cause, caller, caller_account, callee, callee_account) = row
    return Recording(
        str(name),
        str(call),
        _number(started),
        str(caller),
        _optional(caller_account),
        str(callee),
        _optional(callee_account),
        None if seconds is None else _number(seconds),
        str(cause),
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _optional(value: object) -> int | None:
    return value if isinstance(value, int) else None
