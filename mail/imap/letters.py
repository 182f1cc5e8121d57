"""Commands about messages: FETCH, STORE, COPY, MOVE, SEARCH, EXPUNGE (RFC 3501 §6.4, RFC 4315, RFC 6851, RFC 7162).

Each handler writes its untagged answers and gives the text of its OK.
"""

from __future__ import annotations

from collections.abc import Sequence

from base.failures import Failure
from mail.imap import commands as c
from mail.imap import searching
from mail.imap.context import Context, Refused, chunks, refused
from mail.imap.fetching import Items, needs_header
from mail.imap.news import announce, tell_flags
from mail.imap.sets import written
from mail.imap.view import View
from mail.store import Copied, Message
from mail.store.model import Flag


def _gone() -> Refused:
    return Refused("EXPUNGEISSUED", "Some of the messages are gone")


async def fetch(context: Context, command: c.Fetch) -> str:
    """One answer per message; reading a body sets `\\Seen`, unless PEEK or EXAMINE."""
    if c.Item.MODSEQ in command.items:
        context.condstore = True
    view = context.selected
    missing = False
    for uids in chunks(context.uids(command.chosen, command.by_uid)):
        messages, items = await _seen(context, view, uids, command.items)
        missing = missing or len(messages) < len(uids)
        if command.changed_since is not None:
            messages = [message for message in messages if message.modseq > command.changed_since]
        missing = not await _answer(context, view, messages, items) or missing
    if missing:
        raise _gone()
    return "FETCH completed"


async def _seen(context: Context, view: View, uids: Sequence[int], items: Items) -> tuple[list[Message], Items]:
    """The messages to answer; when reading them changed their flags, FLAGS is among the items."""
    messages = list(await context.store.messages(context.account.id, view.mailbox.id, uids))
    reads = any(isinstance(item, c.Section) and not item.peek for item in items)
    unseen = [message.uid for message in messages if not message.flags.bits & Flag.SEEN]
    if not reads or view.read_only or not unseen:
        return messages, items
    changed = await context.store.set_flags(context.account.id, view.mailbox.id, unseen, ["\\Seen"])
    view.told(changed)
    now = {message.uid: message for message in changed}
    extra = tuple(item for item in (c.Item.FLAGS, c.Item.MODSEQ) if item not in items)
    extra = extra if context.condstore else tuple(item for item in extra if item is c.Item.FLAGS)
    return [now.get(message.uid, message) for message in messages], (*items, *extra)


async def _answer(context: Context, view: View, messages: list[Message], items: Items) -> bool:
    """Write the answers; False when a message had gone."""
    headers: Sequence[bytes | None] = [None] * len(messages)
    needed = needs_header(items)
    if needed:
        headers = await context.store.headers(context.account.id, messages)
    fetcher = context.fetcher
    whole = True
    for message, header in zip(messages, headers, strict=True):
        number = view.sequence(message.uid)
        if number is None or (needed and header is None):
            whole = False
            continue
        try:
            await fetcher.answer(number, message, items, header, message.uid in view.recent)
        except Failure as failure:
            if failure.code != "not-found":
                raise
            whole = False
    return whole


async def store(context: Context, command: c.Store) -> str:
    """Change flags; others' changes are told first, so that the answers are the last word."""
    view = context.writable()
    if command.unchanged_since is not None:
        context.condstore = True
    await announce(context, expunges=False)
    failed: list[int] = []
    missing = False
    for uids in chunks(context.uids(command.chosen, command.by_uid)):
        messages = await context.store.set_flags(
            context.account.id,
            view.mailbox.id,
            uids,
            command.flags,
            command.action,
            unchanged_since=command.unchanged_since,
        )
        await _tell_stored(context, view, messages, command.silent)
        absent = sorted(set(uids) - {message.uid for message in messages})
        if absent and command.unchanged_since is not None:
            there = await context.store.messages(context.account.id, view.mailbox.id, absent)
            failed += [message.uid for message in there]
            missing = missing or len(there) < len(absent)
        else:
            missing = missing or bool(absent)
    if missing:
        raise _gone()
    return f"[MODIFIED {_named(view, failed, command.by_uid)}] Some changed" if failed else "STORE completed"


async def _tell_stored(context: Context, view: View, messages: Sequence[Message], silent: bool) -> None:
    view.told(messages)
    if not silent:
        tell_flags(context, view, messages)
    elif context.condstore:
        # RFC 7162 §3.1.3: the new modseq is told even to .SILENT.
        for message in messages:
            number = view.sequence(message.uid)
            if number:
                context.channel.write(b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % (number, message.uid, message.modseq))
    await context.channel.drain()


def _named(view: View, uids: list[int], by_uid: bool) -> str:
    numbers = uids if by_uid else [number for uid in uids if (number := view.sequence(uid))]
    return written(numbers).decode()


async def copy(context: Context, command: c.Copy) -> str:
    """COPY and MOVE; where each message went is told as UIDPLUS wants (RFC 4315 §3)."""
    view = context.writable() if command.move else context.selected
    uids = context.uids(command.chosen, command.by_uid)
    act = context.store.move if command.move else context.store.copy
    done = "MOVE completed" if command.move else "COPY completed"
    try:
        copied = await act(context.account.id, view.mailbox.id, uids, command.mailbox)
    except Failure as failure:
        if failure.code == "not-found":
            raise Refused("TRYCREATE", "No such mailbox") from failure
        raise refused(failure) from failure
    if not copied.sources:
        return done
    if command.move:
        # Before the EXPUNGEs that follow (RFC 6851 §4.3).
        context.channel.write(f"* OK {_copyuid(copied)} Moved\r\n".encode())
        return done
    return f"{_copyuid(copied)} {done}"


def _copyuid(copied: Copied) -> str:
    return f"[COPYUID {copied.uidvalidity} {written(copied.sources).decode()} {written(copied.targets).decode()}]"


async def expunge(context: Context, command: c.Expunge) -> str:
    """The EXPUNGE answers come with the news that end this command."""
    view = context.writable()
    uids = None if command.uids is None else command.uids.among(view.uids)
    await context.store.expunge(context.account.id, view.mailbox.id, uids)
    return "EXPUNGE completed"


async def close(context: Context) -> None:
    """CLOSE: expunge without a word (RFC 3501 §6.4.2)."""
    view = context.selected
    if not view.read_only:
        await context.store.expunge(context.account.id, view.mailbox.id)


async def search(context: Context, command: c.Search) -> str:
    """The numbers of the messages that meet the key."""
    view = context.selected
    tell_modseq = searching.asks_modseq(command.key)
    context.condstore = context.condstore or tell_modseq
    found: list[int] = []
    highest = 0
    for uids in chunks(view.uids[:]):
        for candidate in await _meeting(context, view, uids, command.key):
            found.append(candidate.message.uid if command.by_uid else candidate.sequence)
            highest = max(highest, candidate.message.modseq)
    numbers = b"".join(b" %d" % number for number in found)
    modseq = b" (MODSEQ %d)" % highest if tell_modseq and found else b""
    context.channel.write(b"* SEARCH" + numbers + modseq + b"\r\n")
    return "SEARCH completed"


async def _meeting(context: Context, view: View, uids: Sequence[int], key: c.Key) -> list[searching.Candidate]:
    """First by the rows alone, then by headers, then by bodies; each round only for those that are left."""
    account = context.account.id
    needed = searching.cost(key)
    messages = await context.store.messages(account, view.mailbox.id, uids)
    left = [
        searching.Candidate(
            view.sequence(message.uid) or 0, message, message.uid in view.recent, view.uids[-1], len(view)
        )
        for message in messages
    ]
    left = _filtered(left, key, searching.ROW, needed)
    if needed >= searching.HEADER:
        headers = await context.store.headers(account, [each.message for each in left])
        left = [each.with_header(header) for each, header in zip(left, headers, strict=True) if header is not None]
        left = _filtered(left, key, searching.HEADER, needed)
    if needed >= searching.BODY:
        left = [each for each in [await _with_text(context, each) for each in left] if each is not None]
        left = _filtered(left, key, searching.BODY, needed)
    return left


def _filtered(candidates: list[searching.Candidate], key: c.Key, level: int, needed: int) -> list[searching.Candidate]:
    part = key if level == needed else searching.split(key, level)
    return [each for each in candidates if searching.meets(part, each)]


async def _with_text(context: Context, candidate: searching.Candidate) -> searching.Candidate | None:
    try:
        text = await context.store.compute(context.account.id, candidate.message, searching.text_of)
    except Failure as failure:
        if failure.code != "not-found":
            raise
        return None
    return candidate.with_text(text)
