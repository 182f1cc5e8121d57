"""Mailboxes in the tables: make, list, rename, delete, subscribe, count. Each function runs inside one transaction."""

from __future__ import annotations

import sqlite3

from base.failures import Failure
from mail.store import names
from mail.store.model import Flag, Mailbox, Status
from mail.store.tables import next_uidvalidity

# Limit: mailboxes and subscriptions of one account, and keywords of one mailbox.
MAX_MAILBOXES = 2000
MAX_KEYWORDS = 256

Where = str | int

_COLUMNS = "id, name, uidvalidity, uidnext, modseq, special, keywords"
_Row = tuple[int, str, int, int, int, str, str]


def _mailbox(row: _Row) -> Mailbox:
    return Mailbox(*row[:6], keywords=tuple(row[6].split()))


def every(connection: sqlite3.Connection, account_id: int) -> tuple[Mailbox, ...]:
    """All mailboxes by name, INBOX first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? ORDER BY name", (account_id,))
    return tuple(sorted(map(_mailbox, rows), key=lambda mailbox: (mailbox.name != names.INBOX, mailbox.name)))


def find(connection: sqlite3.Connection, account_id: int, where: Where) -> Mailbox:
    """By name or by id. Raises Failure("not-found")."""
    if isinstance(where, int):
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? AND id = ?", (account_id, where)
        ).fetchone()
    else:
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM mailbox WHERE account_id = ? AND name = ?", (account_id, names.canonical(where))
        ).fetchone()
    if row is None:
        raise Failure("not-found", "no such mailbox")
    return _mailbox(row)


def status(connection: sqlite3.Connection, account_id: int, where: Where) -> Status:
    """Counts of one mailbox."""
    mailbox = find(connection, account_id, where)
    row = connection.execute(
        "SELECT count(*), coalesce(sum(CASE WHEN flags & ? = 0 THEN 1 ELSE 0 END), 0), coalesce(sum(size), 0),"
        " coalesce(sum(CASE WHEN uid >= (SELECT recent_from FROM mailbox WHERE id = ?) THEN 1 ELSE 0 END), 0)"
        " FROM message WHERE mailbox_id = ?",
        (int(Flag.SEEN), mailbox.id, mailbox.id),
    ).fetchone()
    return Status(mailbox, messages=row[0], unseen=row[1], recent=row[3], size=row[2])


def create(connection: sqlite3.Connection, account_id: int, name: str, wall: float) -> Mailbox:
    """Make a mailbox and what is missing above it (RFC 3501 §6.3.3). Raises Failure("invalid" | "exists" | "full")."""
    name = names.check_new(name)
    existing = {mailbox.name for mailbox in every(connection, account_id)}
    if name in existing:
        raise Failure("exists", "mailbox exists")
    missing = [parent for parent in names.parents(name) if parent not in existing] + [name]
    if len(existing) + len(missing) > MAX_MAILBOXES:
        raise Failure("full", "too many mailboxes")
    for each in missing:
        connection.execute(
            "INSERT INTO mailbox (account_id, name, uidvalidity) VALUES (?, ?, ?)",
            (account_id, each, next_uidvalidity(connection, account_id, wall)),
        )
    return find(connection, account_id, name)


def delete(connection: sqlite3.Connection, account_id: int, name: str) -> Mailbox:
    """Remove a mailbox and its messages; those below it stay (RFC 3501 §6.3.4).

    Raises Failure("not-found" | "denied"): INBOX stays, and so does a mailbox with others below it.
    """
    mailbox = find(connection, account_id, name)
    if mailbox.name == names.INBOX:
        raise Failure("denied", "INBOX cannot be deleted")
    if _below(connection, account_id, mailbox.name):
        raise Failure("denied", "mailbox has others below it")
    blobs = connection.execute("SELECT DISTINCT blob_id FROM message WHERE mailbox_id = ?", (mailbox.id,)).fetchall()
    connection.execute("DELETE FROM message WHERE mailbox_id = ?", (mailbox.id,))
    connection.execute("DELETE FROM expunged WHERE mailbox_id = ?", (mailbox.id,))
    connection.execute("DELETE FROM mailbox WHERE id = ?", (mailbox.id,))
    release(connection, [blob for (blob,) in blobs])
    return mailbox


def rename(connection: sqlite3.Connection, account_id: int, old: str, new: str, wall: float) -> Mailbox:
    """Rename a mailbox with all below it; not for INBOX.

    Raises Failure("not-found" | "exists" | "invalid" | "full").
    """
    mailbox = find(connection, account_id, old)
    new = names.check_new(new)
    if new.startswith(mailbox.name + names.SEPARATOR):
        raise Failure("invalid", "a mailbox cannot move below itself")
    if _exists(connection, account_id, new):
        raise Failure("exists", "mailbox exists")
    if names.parents(new) and not _exists(connection, account_id, names.parents(new)[-1]):
        create(connection, account_id, names.parents(new)[-1], wall)
    for each in [mailbox, *_below(connection, account_id, mailbox.name)]:
        target = names.check_new(new + each.name[len(mailbox.name) :])
        connection.execute("UPDATE mailbox SET name = ? WHERE id = ?", (target, each.id))
    return find(connection, account_id, new)


def _exists(connection: sqlite3.Connection, account_id: int, name: str) -> bool:
    return bool(
        connection.execute("SELECT 1 FROM mailbox WHERE account_id = ? AND name = ?", (account_id, name)).fetchone()
    )


def _below(connection: sqlite3.Connection, account_id: int, name: str) -> list[Mailbox]:
    return [each for each in every(connection, account_id) if each.name.startswith(name + names.SEPARATOR)]


def subscriptions(connection: sqlite3.Connection, account_id: int) -> frozenset[str]:
    rows = connection.execute("SELECT name FROM subscription WHERE account_id = ?", (account_id,))
    return frozenset(name for (name,) in rows)


def subscribe(connection: sqlite3.Connection, account_id: int, name: str, wanted: bool) -> None:
    """A subscription is to a name and outlives its mailbox (RFC 3501 §6.3.6). Raises Failure("invalid" | "full")."""
    if not wanted:
        connection.execute(
            "DELETE FROM subscription WHERE account_id = ? AND name = ?", (account_id, names.canonical(name))
        )
        return
    name = names.check_new(name)
    if len(subscriptions(connection, account_id)) >= MAX_MAILBOXES:
        raise Failure("full", "too many subscriptions")
    connection.execute(
        "INSERT INTO subscription (account_id, name) VALUES (?, ?) ON CONFLICT DO NOTHING", (account_id, name)
    )


def remember_keywords(connection: sqlite3.Connection, mailbox: Mailbox, keywords: tuple[str, ...]) -> None:
    """Keep what FLAGS and PERMANENTFLAGS will list. Raises Failure("full") when the mailbox has too many."""
    known = {keyword.lower() for keyword in mailbox.keywords}
    fresh = tuple(keyword for keyword in keywords if keyword.lower() not in known)
    if not fresh:
        return
    if len(known) + len(fresh) > MAX_KEYWORDS:
        raise Failure("full", "too many keywords")
    connection.execute(
        "UPDATE mailbox SET keywords = ? WHERE id = ?", (" ".join((*mailbox.keywords, *fresh)), mailbox.id)
    )


def release(connection: sqlite3.Connection, blobs: list[int]) -> None:
    """Delete the blobs that no message has any more."""
    connection.executemany(
        "DELETE FROM blob WHERE id = ? AND NOT EXISTS (SELECT 1 FROM message WHERE blob_id = blob.id)",
        [(blob,) for blob in blobs],
    )
