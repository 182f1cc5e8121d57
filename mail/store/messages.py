"""Messages in the tables: add, list, flag, copy, move, expunge. Each function runs inside one transaction.

UID, UIDVALIDITY, flags and modseq of a change are given in the same transaction as the octets; a message is there
whole or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from base.failures import Failure
from mail.store import mailboxes
from mail.store.mailboxes import Where
from mail.store.model import (
    MAX_MESSAGE,
    Appended,
    Changes,
    Copied,
    Flag,
    FlagAction,
    Flags,
    Mailbox,
    Message,
    Octets,
    Snapshot,
)
from mail.store.tables import PIECE

# Limit: remembered expunges of one mailbox; who was away longer compares the whole list.
MAX_EXPUNGED = 20_000
# Limit: a UID is 32 bits (RFC 3501 §2.3.1.1).
MAX_UID = 0xFFFFFFFF

_COLUMNS = "uid, modseq, flags, keywords, internal_date, size, header_size, blob_id, voice"
_Row = tuple[int, int, int, str, int, int, int, int, int]


def _message(row: _Row) -> Message:
    uid, modseq, bits, keywords, date, size, header, blob, voice = row
    return Message(uid, modseq, Flags(bits, tuple(keywords.split())), date, size, header, blob, bool(voice))


@dataclass(frozen=True, slots=True)
class Draft:
    """A message about to be added."""

    octets: bytes | Octets
    flags: Flags
    internal_date: int
    voice: bool = False


# ---- reading --------------------------------------------------------------------------------------------------------


def select(
    connection: sqlite3.Connection, account_id: int, where: Where, uids: Sequence[int] | None
) -> tuple[Message, ...]:
    """Messages of a mailbox by UID; those of `uids` that are there, or all."""
    mailbox = mailboxes.find(connection, account_id, where)
    if uids is None:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM message WHERE mailbox_id = ? ORDER BY uid", (mailbox.id,))
        return tuple(map(_message, rows))
    return tuple(_some(connection, mailbox.id, uids))


def _some(connection: sqlite3.Connection, mailbox_id: int, uids: Sequence[int]) -> Iterator[Message]:
    """One query for each run of neighbouring UIDs."""
    for first, last in _runs(uids):
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ? ORDER BY uid",
            (mailbox_id, first, last),
        )
        yield from map(_message, rows.fetchall())


def _runs(uids: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for uid in sorted(set(uids)):
        if first is None or last is None:
            first = last = uid
        elif uid == last + 1:
            last = uid
        else:
            yield first, last
            first = last = uid
    if first is not None and last is not None:
        yield first, last


def snapshot(connection: sqlite3.Connection, account_id: int, where: Where) -> Snapshot:
    """All UIDs of a mailbox, and its state at that very moment."""
    mailbox = mailboxes.find(connection, account_id, where)
    rows = connection.execute("SELECT uid, flags FROM message WHERE mailbox_id = ? ORDER BY uid", (mailbox.id,))
    pairs = rows.fetchall()
    unseen = next((uid for uid, bits in pairs if not bits & Flag.SEEN), None)
    return Snapshot(mailbox, tuple(uid for uid, _ in pairs), unseen)


def whole(connection: sqlite3.Connection, blob: int) -> bytes:
    """All octets of a blob. Raises Failure("not-found") when it is gone."""
    rows = connection.execute("SELECT octets FROM blob_part WHERE blob_id = ? ORDER BY part", (blob,))
    pieces = [piece for (piece,) in rows]
    if not pieces:
        raise Failure("not-found", "the message is gone")
    return b"".join(pieces)


def headers(connection: sqlite3.Connection, blobs: Sequence[int]) -> list[bytes | None]:
    """The header of each blob; None for one that is gone."""
    found: list[bytes | None] = []
    for blob in blobs:
        row = connection.execute("SELECT octets FROM blob_part WHERE blob_id = ? AND part = 0", (blob,)).fetchone()
        found.append(None if row is None else row[0])
    return found


def changes(connection: sqlite3.Connection, account_id: int, where: Where, since: int) -> Changes:
    """What happened after modseq `since`. Raises Failure("not-found") when the mailbox is gone."""
    mailbox = mailboxes.find(connection, account_id, where)
    if mailbox.modseq <= since:
        return Changes(mailbox.modseq, (), ())
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM message WHERE mailbox_id = ? AND modseq > ? ORDER BY uid", (mailbox.id, since)
    )
    gone = connection.execute(
        "SELECT uid FROM expunged WHERE mailbox_id = ? AND modseq > ? ORDER BY uid", (mailbox.id, since)
    )
    forgotten = connection.execute("SELECT forgotten FROM mailbox WHERE id = ?", (mailbox.id,)).fetchone()[0]
    return Changes(mailbox.modseq, tuple(map(_message, rows)), tuple(uid for (uid,) in gone), forgotten <= since)


def octets(connection: sqlite3.Connection, blob: int, start: int, length: int) -> bytes:
    """`length` octets of a blob from `start`, fewer at its end. Raises Failure("not-found") when it is gone."""
    header = connection.execute("SELECT octets FROM blob_part WHERE blob_id = ? AND part = 0", (blob,)).fetchone()
    if header is None:
        raise Failure("not-found", "the message is gone")
    found: list[bytes] = [header[0][start : start + length]]
    # In the body, behind the header, every piece but the last is PIECE long.
    begin, end = max(0, start - len(header[0])), start + length - len(header[0])
    if end > begin:
        rows = connection.execute(
            "SELECT part, octets FROM blob_part WHERE blob_id = ? AND part BETWEEN ? AND ? ORDER BY part",
            (blob, begin // PIECE + 1, (end - 1) // PIECE + 1),
        )
        for part, piece in rows:
            offset = (part - 1) * PIECE
            found.append(piece[max(0, begin - offset) : end - offset])
    return b"".join(found)


def voice_counts(connection: sqlite3.Connection, account_id: int) -> tuple[int, int]:
    """(new, old): voice messages not deleted, unseen and seen (decision 20)."""
    row = connection.execute(
        "SELECT coalesce(sum(CASE WHEN flags & ? = 0 THEN 1 ELSE 0 END), 0), count(*)"
        " FROM message WHERE account_id = ? AND voice = 1 AND flags & ? = 0",
        (int(Flag.SEEN), account_id, int(Flag.DELETED)),
    ).fetchone()
    return row[0], row[1] - row[0]


# ---- writing --------------------------------------------------------------------------------------------------------


def touch(connection: sqlite3.Connection, mailbox: Mailbox) -> int:
    """The modseq of this transaction's change of `mailbox`."""
    connection.execute("UPDATE mailbox SET modseq = modseq + 1 WHERE id = ?", (mailbox.id,))
    row: tuple[int] = connection.execute("SELECT modseq FROM mailbox WHERE id = ?", (mailbox.id,)).fetchone()
    return row[0]


def append(connection: sqlite3.Connection, account_id: int, mailbox: Mailbox, draft: Draft) -> tuple[Appended, int]:
    """Add a message; with it the new modseq. Raises Failure("full" | "invalid")."""
    blob, size, header_size = _store(connection, account_id, draft.octets)
    mailboxes.remember_keywords(connection, mailbox, draft.flags.keywords)
    modseq = touch(connection, mailbox)
    uid = _next_uid(connection, mailbox, 1)
    _insert(
        connection,
        account_id,
        mailbox.id,
        Message(uid, modseq, draft.flags, draft.internal_date, size, header_size, blob, draft.voice),
    )
    return Appended(mailbox.uidvalidity, uid, mailbox.id), modseq


def _next_uid(connection: sqlite3.Connection, mailbox: Mailbox, count: int) -> int:
    uidnext: int = connection.execute("SELECT uidnext FROM mailbox WHERE id = ?", (mailbox.id,)).fetchone()[0]
    if uidnext + count > MAX_UID:
        raise Failure("full", "the mailbox has used up its numbers")
    connection.execute("UPDATE mailbox SET uidnext = ? WHERE id = ?", (uidnext + count, mailbox.id))
    return uidnext


def _insert(connection: sqlite3.Connection, account_id: int, mailbox_id: int, message: Message) -> None:
    connection.execute(
        f"INSERT INTO message (account_id, mailbox_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account_id,
            mailbox_id,
            message.uid,
            message.modseq,
            message.flags.bits,
            " ".join(message.flags.keywords),
            message.internal_date,
            message.size,
            message.header_size,
            message.blob,
            int(message.voice),
        ),
    )


def _store(connection: sqlite3.Connection, account_id: int, octets: bytes | Octets) -> tuple[int, int, int]:
    """Write a blob; its id, size and length of header."""
    size = len(octets) if isinstance(octets, bytes) else octets.size
    if size > MAX_MESSAGE:
        raise Failure("full", "the message is too large")
    blob = connection.execute("INSERT INTO blob (account_id, size) VALUES (?, ?)", (account_id, size)).lastrowid
    assert blob is not None
    header_size = written = 0
    for part, piece in enumerate(_parts(iter((octets,)) if isinstance(octets, bytes) else octets.pieces())):
        connection.execute("INSERT INTO blob_part (blob_id, part, octets) VALUES (?, ?, ?)", (blob, part, piece))
        header_size = header_size if part else len(piece)
        written += len(piece)
    if written != size:
        raise Failure("invalid", "the message was cut short")
    return blob, size, header_size


def _parts(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The header first, then pieces of exactly PIECE octets and a last shorter one."""
    waiting = b""
    for piece in pieces:
        waiting += piece
        if len(waiting) >= PIECE:
            break
    header = header_length(waiting)
    yield waiting[:header]
    waiting = waiting[header:]
    for piece in pieces:
        whole = len(waiting) // PIECE * PIECE
        for start in range(0, whole, PIECE):
            yield waiting[start : start + PIECE]
        waiting = waiting[whole:] + piece
    for start in range(0, len(waiting), PIECE):
        yield waiting[start : start + PIECE]


def header_length(octets: bytes) -> int:
    """The length of a header with its blank line, at most PIECE; line ends may be bare."""
    if octets.startswith((b"\r\n", b"\n")):
        return 2 if octets[0] == 13 else 1
    ends = [at + len(mark) for mark in (b"\n\r\n", b"\n\n") if (at := octets.find(mark, 0, PIECE)) >= 0]
    return min([*ends, len(octets), PIECE])


def set_flags(
    connection: sqlite3.Connection,
    mailbox: Mailbox,
    uids: Sequence[int],
    action: FlagAction,
    flags: Flags,
    unchanged_since: int | None = None,
) -> tuple[list[Message], list[Message], int]:
    """Change flags; (all messages named, those that changed, the new modseq).

    What was changed after modseq `unchanged_since` is left as it is and not among those named (RFC 7162 §3.1.3).
    """
    if action is not FlagAction.REMOVE:
        mailboxes.remember_keywords(connection, mailbox, flags.keywords)
    named: list[Message] = []
    changed: list[Message] = []
    modseq = mailbox.modseq
    for old in list(_some(connection, mailbox.id, uids)):
        if unchanged_since is not None and old.modseq > unchanged_since:
            continue
        after = old.flags.changed(action, flags)
        if after == old.flags:
            named.append(old)
            continue
        if not changed:
            modseq = touch(connection, mailbox)
        connection.execute(
            "UPDATE message SET flags = ?, keywords = ?, modseq = ? WHERE mailbox_id = ? AND uid = ?",
            (after.bits, " ".join(after.keywords), modseq, mailbox.id, old.uid),
        )
        new = Message(old.uid, modseq, after, old.internal_date, old.size, old.header_size, old.blob, old.voice)
        named.append(new)
        changed.append(new)
    return named, changed, modseq


def expunge(
    connection: sqlite3.Connection, account_id: int, mailbox: Mailbox, uids: Sequence[int] | None
) -> tuple[list[Message], int]:
    """Remove what is flagged `\\Deleted` (of `uids` when given); (what went, the new modseq)."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM message WHERE mailbox_id = ? AND flags & ? <> 0 ORDER BY uid",
        (mailbox.id, int(Flag.DELETED)),
    )
    chosen = None if uids is None else frozenset(uids)
    gone = [message for message in map(_message, rows) if chosen is None or message.uid in chosen]
    return gone, remove(connection, account_id, mailbox, gone)


def remove(connection: sqlite3.Connection, account_id: int, mailbox: Mailbox, gone: Sequence[Message]) -> int:
    """Take these messages out of the tables and remember their UIDs; the new modseq."""
    if not gone:
        return mailbox.modseq
    modseq = touch(connection, mailbox)
    connection.executemany(
        "DELETE FROM message WHERE mailbox_id = ? AND uid = ?", [(mailbox.id, message.uid) for message in gone]
    )
    connection.executemany(
        "INSERT INTO expunged (account_id, mailbox_id, uid, modseq) VALUES (?, ?, ?, ?)",
        [(account_id, mailbox.id, message.uid, modseq) for message in gone],
    )
    mailboxes.release(connection, [message.blob for message in gone])
    _forget(connection, mailbox)
    return modseq


def _forget(connection: sqlite3.Connection, mailbox: Mailbox) -> None:
    """Drop the oldest tombstones, and note up to which modseq they are no longer complete."""
    edge = connection.execute(
        "SELECT modseq FROM expunged WHERE mailbox_id = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
        (mailbox.id, MAX_EXPUNGED),
    ).fetchone()
    if edge is not None:
        connection.execute("DELETE FROM expunged WHERE mailbox_id = ? AND modseq <= ?", (mailbox.id, edge[0]))
        connection.execute("UPDATE mailbox SET forgotten = ? WHERE id = ?", (edge[0], mailbox.id))


def copy(
    connection: sqlite3.Connection, account_id: int, source: Mailbox, uids: Sequence[int], target: Mailbox
) -> tuple[Copied, list[Message], int]:
    """Copy messages with flags and dates, sharing octets; (numbers, originals, modseq of the target)."""
    originals = list(_some(connection, source.id, uids))
    if not originals:
        return Copied(target.uidvalidity, (), ()), [], target.modseq
    modseq = touch(connection, target)
    first = _next_uid(connection, target, len(originals))
    for uid, old in enumerate(originals, first):
        mailboxes.remember_keywords(connection, mailboxes.find(connection, account_id, target.id), old.flags.keywords)
        copied = Message(uid, modseq, old.flags, old.internal_date, old.size, old.header_size, old.blob, old.voice)
        _insert(connection, account_id, target.id, copied)
    sources = tuple(message.uid for message in originals)
    return Copied(target.uidvalidity, sources, tuple(range(first, first + len(originals)))), originals, modseq


def claim_recent(connection: sqlite3.Connection, mailbox_id: int) -> int:
    """The first UID no session was told of as `\\Recent`; the caller is that session now (RFC 3501 §2.3.2)."""
    row = connection.execute("SELECT recent_from, uidnext FROM mailbox WHERE id = ?", (mailbox_id,)).fetchone()
    if row is None:
        raise Failure("not-found", "no such mailbox")
    connection.execute("UPDATE mailbox SET recent_from = ? WHERE id = ?", (row[1], mailbox_id))
    first: int = row[0]
    return first


def recent_from(connection: sqlite3.Connection, mailbox_id: int) -> int:
    """What `claim_recent` would say, without claiming (EXAMINE)."""
    row: tuple[int] | None = connection.execute(
        "SELECT recent_from FROM mailbox WHERE id = ?", (mailbox_id,)
    ).fetchone()
    return row[0] if row else MAX_UID
