"""The mail store: mailboxes and messages of all accounts, durable, with one change feed.

Not a protocol: IMAP, delivery, programs and the web all come through here. A write returns after its commit; the feed
is told then, also when the caller has gone away meanwhile. Decisions 15 and 20.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from base.clock import Clock
from base.metrics import Metrics
from base.storage.database import Databases
from mail.store import delivered, mailboxes, messages, names
from mail.store.feed import Feed
from mail.store.mailboxes import Where
from mail.store.model import (
    Appended,
    Change,
    Changes,
    Copied,
    FlagAction,
    Flags,
    Kind,
    Mailbox,
    Message,
    Octets,
    Snapshot,
    Status,
)
from mail.store.opener import MAX_OPEN, Opener
from mail.store.tables import PIECE

T = TypeVar("T")

_Write = Callable[[sqlite3.Connection], tuple[T, tuple[Change, ...]]]


class MailStore:
    """Everything raises Failure: "not-found", "exists", "invalid", "denied", "full", "busy", "unavailable".

    `where` is a mailbox by name or by id; the id survives a rename.
    """

    def __init__(self, databases: Databases, clock: Clock, metrics: Metrics, *, limit_open: int = MAX_OPEN) -> None:
        self.feed = Feed()
        self._clock = clock
        self._metrics = metrics
        self._opener = Opener(databases, clock, metrics, limit=limit_open)
        self._writing: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Let writes finish; the databases belong to whoever handed them in."""
        while self._writing:
            await asyncio.wait(self._writing)

    async def remove_account(self, account_id: int) -> None:
        """Delete all mail of an account for good, and tell who has it open."""
        await self._opener.forget(account_id)
        self.feed.publish(Change(account_id, 0, "", Kind.REMOVED, voice=True))

    # ---- mailboxes --------------------------------------------------------------------------------------------------

    async def mailboxes(self, account_id: int) -> tuple[Mailbox, ...]:
        """All mailboxes, INBOX first, then by name."""
        return await self._read(account_id, partial(mailboxes.every, account_id=account_id))

    async def mailbox(self, account_id: int, where: Where) -> Mailbox:
        return await self._read(account_id, partial(mailboxes.find, account_id=account_id, where=where))

    async def status(self, account_id: int, where: Where) -> Status:
        return await self._read(account_id, partial(mailboxes.status, account_id=account_id, where=where))

    async def create(self, account_id: int, name: str) -> Mailbox:
        """Make a mailbox, and those missing above it."""
        wall = self._clock.wall()

        def work(connection: sqlite3.Connection) -> tuple[Mailbox, tuple[Change, ...]]:
            made = mailboxes.create(connection, account_id, name, wall)
            return made, (Change(account_id, made.id, made.name, Kind.MAILBOXES),)

        return await self._write(account_id, work)

    async def delete(self, account_id: int, name: str) -> None:
        """Remove a mailbox with its messages."""

        def work(connection: sqlite3.Connection) -> tuple[None, tuple[Change, ...]]:
            gone = mailboxes.delete(connection, account_id, name)
            return None, (Change(account_id, gone.id, gone.name, Kind.MAILBOXES | Kind.EXPUNGED, voice=True),)

        await self._write(account_id, work)

    async def rename(self, account_id: int, old: str, new: str) -> Mailbox:
        """Rename a mailbox with all below it. INBOX stays and gives its messages away (RFC 3501 §6.3.5)."""
        wall = self._clock.wall()

        def work(connection: sqlite3.Connection) -> tuple[Mailbox, tuple[Change, ...]]:
            source = mailboxes.find(connection, account_id, old)
            if source.name != names.INBOX:
                renamed = mailboxes.rename(connection, account_id, old, new, wall)
                return renamed, (Change(account_id, renamed.id, renamed.name, Kind.MAILBOXES),)
            made = mailboxes.create(connection, account_id, new, wall)
            originals = messages.select(connection, account_id, source.id, None)
            _, _, modseq = messages.copy(connection, account_id, source, [each.uid for each in originals], made)
            gone = messages.remove(connection, account_id, source, originals)
            return made, (
                Change(account_id, made.id, made.name, Kind.MAILBOXES, modseq),
                *_change(account_id, source, Kind.EXPUNGED, gone, originals),
            )

        return await self._write(account_id, work)

    async def subscriptions(self, account_id: int) -> frozenset[str]:
        return await self._read(account_id, partial(mailboxes.subscriptions, account_id=account_id))

    async def subscribe(self, account_id: int, name: str, wanted: bool = True) -> None:
        def work(connection: sqlite3.Connection) -> tuple[None, tuple[Change, ...]]:
            mailboxes.subscribe(connection, account_id, name, wanted)
            return None, ()

        await self._write(account_id, work)

    # ---- reading messages -------------------------------------------------------------------------------------------

    async def messages(self, account_id: int, where: Where, uids: Sequence[int] | None = None) -> tuple[Message, ...]:
        """Messages by UID, without octets; those of `uids` that are there, or all."""
        return await self._read(account_id, partial(messages.select, account_id=account_id, where=where, uids=uids))

    async def octets(self, account_id: int, message: Message, start: int = 0, length: int | None = None) -> bytes:
        """Octets of a message exactly as they came; hold them only when they are few (see `stream`)."""
        if length is None:
            length = max(0, message.size - start)
        return await self._read(account_id, partial(messages.octets, blob=message.blob, start=start, length=length))

    async def header(self, account_id: int, message: Message) -> bytes:
        """The header with its blank line."""
        return await self.octets(account_id, message, 0, message.header_size)

    async def stream(
        self, account_id: int, message: Message, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """The same octets a piece at a time: the next is read when the last was taken."""
        end = message.size if length is None else min(message.size, start + length)
        while start < end:
            piece = await self.octets(account_id, message, start, min(PIECE, end - start))
            if not piece:
                return
            yield piece
            start += len(piece)

    async def headers(self, account_id: int, chosen: Sequence[Message]) -> list[bytes | None]:
        """The headers of several messages at once; None for one that is gone."""
        blobs = [message.blob for message in chosen]
        return await self._read(account_id, partial(messages.headers, blobs=blobs))

    async def compute(self, account_id: int, message: Message, work: Callable[[bytes], T]) -> T:
        """Run `work` on all octets of a message, in a reading thread."""

        def read(connection: sqlite3.Connection) -> T:
            return work(messages.whole(connection, message.blob))

        return await self._read(account_id, read)

    async def snapshot(self, account_id: int, where: Where) -> Snapshot:
        """A mailbox with all its UIDs, at one moment."""
        return await self._read(account_id, partial(messages.snapshot, account_id=account_id, where=where))

    async def changes(self, account_id: int, where: Where, since: int) -> Changes:
        """What happened in a mailbox after modseq `since`."""
        return await self._read(account_id, partial(messages.changes, account_id=account_id, where=where, since=since))

    async def voice_counts(self, account_id: int) -> tuple[int, int]:
        """(new, old) voice messages, deleted ones left out: what the lamp shows."""
        return await self._read(account_id, partial(messages.voice_counts, account_id=account_id))

    async def recent_from(self, account_id: int, mailbox_id: int, *, claim: bool) -> int:
        """The first UID that is `\\Recent`; with `claim` no later session is told so."""
        if not claim:
            return await self._read(account_id, partial(messages.recent_from, mailbox_id=mailbox_id))

        def work(connection: sqlite3.Connection) -> tuple[int, tuple[Change, ...]]:
            return messages.claim_recent(connection, mailbox_id), ()

        return await self._write(account_id, work)

    # ---- changing messages ------------------------------------------------------------------------------------------

    async def append(
        self,
        account_id: int,
        where: Where,
        message: bytes | Octets,
        *,
        flags: Iterable[str] = (),
        internal_date: float | None = None,
        voice: bool = False,
        queue_id: str | None = None,
    ) -> Appended:
        """Add a message; it is on the disk when this returns. The same `queue_id` again adds nothing."""
        wall = self._clock.wall()
        date = int(wall if internal_date is None else internal_date)
        draft = messages.Draft(message, Flags.of(flags), date, voice)

        def work(connection: sqlite3.Connection) -> tuple[Appended, tuple[Change, ...]]:
            if queue_id is not None and (earlier := delivered.before(connection, account_id, queue_id)):
                return earlier, ()
            mailbox = mailboxes.find(connection, account_id, where)
            appended, modseq = messages.append(connection, account_id, mailbox, draft)
            if queue_id is not None:
                delivered.note(connection, account_id, queue_id, appended, wall)
            return appended, (Change(account_id, mailbox.id, mailbox.name, Kind.ARRIVED, modseq, voice),)

        appended = await self._write(account_id, work)
        self._metrics.count("mail.appended", 0 if appended.again else 1)
        return appended

    async def set_flags(
        self,
        account_id: int,
        where: Where,
        uids: Sequence[int],
        flags: Iterable[str],
        action: FlagAction = FlagAction.ADD,
        *,
        unchanged_since: int | None = None,
    ) -> tuple[Message, ...]:
        """Change flags; the messages as they are now. UIDs that are not there are passed over, and so are messages
        that changed after modseq `unchanged_since`."""
        wanted = Flags.of(flags)

        def work(connection: sqlite3.Connection) -> tuple[tuple[Message, ...], tuple[Change, ...]]:
            mailbox = mailboxes.find(connection, account_id, where)
            named, changed, modseq = messages.set_flags(connection, mailbox, uids, action, wanted, unchanged_since)
            return tuple(named), _change(account_id, mailbox, Kind.FLAGS, modseq, changed)

        return await self._write(account_id, work)

    async def expunge(self, account_id: int, where: Where, uids: Sequence[int] | None = None) -> tuple[int, ...]:
        """Remove for good what is flagged `\\Deleted`, of `uids` when given; the UIDs that went."""

        def work(connection: sqlite3.Connection) -> tuple[tuple[int, ...], tuple[Change, ...]]:
            mailbox = mailboxes.find(connection, account_id, where)
            gone, modseq = messages.expunge(connection, account_id, mailbox, uids)
            return tuple(message.uid for message in gone), _change(account_id, mailbox, Kind.EXPUNGED, modseq, gone)

        return await self._write(account_id, work)

    async def copy(self, account_id: int, where: Where, uids: Sequence[int], target: Where) -> Copied:
        """Copy messages with flags and dates, all or none."""

        def work(connection: sqlite3.Connection) -> tuple[Copied, tuple[Change, ...]]:
            source = mailboxes.find(connection, account_id, where)
            goal = mailboxes.find(connection, account_id, target)
            copied, originals, modseq = messages.copy(connection, account_id, source, uids, goal)
            return copied, _change(account_id, goal, Kind.ARRIVED, modseq, originals)

        return await self._write(account_id, work)

    async def move(self, account_id: int, where: Where, uids: Sequence[int], target: Where) -> Copied:
        """Copy, then remove the originals, in one transaction (RFC 6851 §3.3)."""

        def work(connection: sqlite3.Connection) -> tuple[Copied, tuple[Change, ...]]:
            source = mailboxes.find(connection, account_id, where)
            goal = mailboxes.find(connection, account_id, target)
            copied, originals, modseq = messages.copy(connection, account_id, source, uids, goal)
            gone = messages.remove(connection, account_id, mailboxes.find(connection, account_id, source.id), originals)
            return copied, (
                *_change(account_id, goal, Kind.ARRIVED, modseq, originals),
                *_change(account_id, source, Kind.EXPUNGED, gone, originals),
            )

        return await self._write(account_id, work)

    # ---- the database -----------------------------------------------------------------------------------------------

    async def _read(self, account_id: int, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._opener.use(account_id) as database:
            return await database.read(work)

    async def _write(self, account_id: int, work: _Write[T]) -> T:
        """Shielded: when the caller is cancelled, the write still happens, and the feed is told of it."""
        task = asyncio.get_running_loop().create_task(self._commit(account_id, work))
        self._writing.add(task)
        task.add_done_callback(self._written)
        return await asyncio.shield(task)

    async def _commit(self, account_id: int, work: _Write[T]) -> T:
        async with self._opener.use(account_id) as database:
            result, changes = await database.write(work)
        for change in changes:
            self.feed.publish(change)
        return result

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # Seen here, in case the caller has gone.


def _change(
    account_id: int, mailbox: Mailbox, kind: Kind, modseq: int, touched: Sequence[Message]
) -> tuple[Change, ...]:
    if not touched:
        return ()
    voice = any(message.voice for message in touched)
    return (Change(account_id, mailbox.id, mailbox.name, kind, modseq, voice),)
