"""Tells a client what happened in its mailbox: EXPUNGE, EXISTS, RECENT, FETCH FLAGS (RFC 3501 §7)."""

from __future__ import annotations

from collections.abc import Iterable

from mail.imap.context import Context
from mail.imap.fetching import flag_list
from mail.imap.view import View
from mail.imap.writing import listed
from mail.store.model import FLAG_NAMES, Message


async def announce(context: Context, *, expunges: bool) -> None:
    """Take in what the store did since the last time, and tell it.

    Without `expunges` no sequence number moves (decision 20: not during FETCH, STORE, SEARCH). Raises
    Failure("not-found") when the mailbox itself is gone.
    """
    view = context.selected
    arrived: list[Message] = []
    if view.dirty:
        arrived = await _take_in(context, view)
    if expunges and view.has_gone:
        for number in view.expunge():
            context.channel.write(b"* %d EXPUNGE\r\n" % number)
    if arrived:
        tell_size(context, view)


async def _take_in(context: Context, view: View) -> list[Message]:
    view.dirty = False
    store, account, mailbox = context.store, context.account.id, view.mailbox.id
    changes = await store.changes(account, mailbox, view.modseq)
    if not changes.complete:
        before = len(view)
        view.replace(await store.snapshot(account, mailbox))
        return list(await store.messages(account, mailbox, view.uids[before:]))
    arrived, flagged = view.take(changes)
    if arrived:
        first = await store.recent_from(account, mailbox, claim=not view.read_only)
        view.claim(first, [message.uid for message in arrived])
    await _tell_keywords(context, view, (*arrived, *flagged))
    tell_flags(context, view, flagged)
    return arrived


def tell_size(context: Context, view: View) -> None:
    context.channel.write(b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(view), len(view.recent)))


def tell_flags(context: Context, view: View, messages: Iterable[Message]) -> None:
    """`* n FETCH (UID u FLAGS (…))` for each."""
    for message in messages:
        number = view.sequence(message.uid)
        if number is None:
            continue
        modseq = b" MODSEQ (%d)" % message.modseq if context.condstore else b""
        flags = flag_list(message, message.uid in view.recent)
        context.channel.write(b"* %d FETCH (UID %d FLAGS %b%b)\r\n" % (number, message.uid, flags, modseq))


async def _tell_keywords(context: Context, view: View, messages: Iterable[Message]) -> None:
    """A keyword that this client has not been told of yet (RFC 3501 §7.2.6)."""
    known = set(view.keywords)
    if any(keyword not in known for message in messages for keyword in message.flags.keywords):
        mailbox = await context.store.mailbox(context.account.id, view.mailbox.id)
        view.keywords = mailbox.keywords
        context.channel.write(b"* FLAGS " + listed([*FLAG_NAMES.values(), *view.keywords]) + b"\r\n")
