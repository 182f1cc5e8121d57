"""The table of waiting messages in `main.db`, its bounds for each account, and the order in which they came."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from base.failures import Failure
from pbx.messages.letter import Letter

COMPONENT = "messages"
MIGRATIONS = (
    """
    CREATE TABLE waiting_messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account_id INTEGER NOT NULL,
        arrived REAL NOT NULL,
        expires_at REAL NOT NULL,
        octets BLOB NOT NULL
    );
    CREATE INDEX waiting_messages_of ON waiting_messages (account_id, arrived, id);
    CREATE INDEX waiting_messages_end ON waiting_messages (expires_at);
    """,
)

MOST, OCTETS = 200, 2 * 1024 * 1024
"""Limit: messages that wait for one account, and their size together."""


def store(connection: sqlite3.Connection, account_id: int, letter: Letter) -> int:
    """Give the letter its id. Raises Failure("full") beyond the bounds."""
    purge(connection, letter.arrived)
    count, octets = connection.execute(
        "SELECT COUNT(*), COALESCE(SUM(LENGTH(octets)), 0) FROM waiting_messages WHERE account_id = ?", (account_id,)
    ).fetchone()
    if count >= MOST or octets + len(letter.octets) > OCTETS:
        raise Failure("full", "Too many messages wait", temporary=True)
    cursor = connection.execute(
        "INSERT INTO waiting_messages (account_id, arrived, expires_at, octets) VALUES (?, ?, ?, ?)",
        (account_id, letter.arrived, letter.expires_at, letter.octets),
    )
    return int(cursor.lastrowid or 0)


def purge(connection: sqlite3.Connection, now: float) -> None:
    connection.execute("DELETE FROM waiting_messages WHERE expires_at <= ?", (now,))


def waiting(connection: sqlite3.Connection, account_id: int, now: float) -> Sequence[Letter]:
    """What waits for an account, in the order of its coming."""
    rows = connection.execute(
        "SELECT octets, arrived, expires_at, id FROM waiting_messages WHERE account_id = ? AND expires_at > ?"
        " ORDER BY arrived, id",
        (account_id, now),
    )
    return [Letter(*row) for row in rows]


def remove(connection: sqlite3.Connection, letter_id: int) -> None:
    connection.execute("DELETE FROM waiting_messages WHERE id = ?", (letter_id,))


def remove_account(connection: sqlite3.Connection, account_id: int) -> None:
    connection.execute("DELETE FROM waiting_messages WHERE account_id = ?", (account_id,))


def accounts(connection: sqlite3.Connection, now: float) -> set[int]:
    """Those for whom something waits."""
    purge(connection, now)
    return {row[0] for row in connection.execute("SELECT DISTINCT account_id FROM waiting_messages")}
