"""Which deliveries were done: a queue id is delivered to an account once, however often it is tried (decision 15)."""

from __future__ import annotations

import sqlite3

from mail.store.model import Appended

# Limit: how long a queue id is remembered, in seconds; longer than any queue keeps a message.
MEMORY = 30 * 86400


def before(connection: sqlite3.Connection, account_id: int, queue_id: str) -> Appended | None:
    """Where that delivery put its message; None when it has not been done."""
    row = connection.execute(
        "SELECT uidvalidity, uid, mailbox_id FROM delivered WHERE account_id = ? AND queue_id = ?",
        (account_id, queue_id),
    ).fetchone()
    return None if row is None else Appended(row[0], row[1], row[2], again=True)


def note(connection: sqlite3.Connection, account_id: int, queue_id: str, appended: Appended, wall: float) -> None:
    """Remember a delivery, in the transaction that made it, and forget the oldest."""
    connection.execute(
        "INSERT INTO delivered (account_id, queue_id, delivered_at, uidvalidity, uid, mailbox_id)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (account_id, queue_id, int(wall), appended.uidvalidity, appended.uid, appended.mailbox_id),
    )
    connection.execute(
        "DELETE FROM delivered WHERE account_id = ? AND delivered_at < ?", (account_id, int(wall) - MEMORY)
    )
