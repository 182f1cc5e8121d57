"""The table of accounts' own lists of calls in `main.db`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from pbx.records.log import Kind, LogEntry

COMPONENT = "call log"
MIGRATIONS = (
    """CREATE TABLE call_log (
        account INTEGER NOT NULL, call TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL, party TEXT NOT NULL,
        name TEXT NOT NULL, seconds REAL NOT NULL, note TEXT NOT NULL);
    CREATE INDEX call_log_account ON call_log (account, at);""",
)
_TOO_MANY = """DELETE FROM call_log WHERE account = :account AND rowid NOT IN (
    SELECT rowid FROM call_log WHERE account = :account ORDER BY at DESC, rowid DESC LIMIT :keep)"""


def save(connection: sqlite3.Connection, entries: Iterable[LogEntry]) -> None:
    """Add them; what an account has beyond what it keeps goes, the oldest first."""
    for e in entries:
        row = (e.account, e.call, e.at, e.kind, e.party, e.name, e.seconds, e.note)
        connection.execute("INSERT INTO call_log VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute(_TOO_MANY, {"account": e.account, "keep": e.keep})


def of(connection: sqlite3.Connection, account: int, limit: int) -> list[LogEntry]:
    """The last ones of an account, the newest first."""
    query = """SELECT account, call, at, kind, party, name, seconds, note FROM call_log WHERE account = ?
        ORDER BY at DESC, rowid DESC LIMIT ?"""
    return [
        LogEntry(account, str(call), at, _kind(str(kind)), str(party), str(name), seconds, str(note))
        for account, call, at, kind, party, name, seconds, note in connection.execute(query, (account, limit))
    ]


def remove(connection: sqlite3.Connection, account: int) -> None:
    connection.execute("DELETE FROM call_log WHERE account = ?", (account,))


def remove_before(connection: sqlite3.Connection, before: float) -> int:
    """How many began before then, and are gone now."""
    return connection.execute("DELETE FROM call_log WHERE at < ?", (before,)).rowcount


def _kind(text: str) -> Kind:
    match text:
        case "placed" | "answered":
            return text
        case _:
            return "missed"
