"""Commands about mailboxes: LIST, LSUB, STATUS, SELECT, CREATE, DELETE, RENAME, SUBSCRIBE (RFC 3501 §6.3).

Each handler writes its untagged answers and gives the text of its OK.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from base.failures import Failure
from mail.imap import commands as c
from mail.imap import writing
from mail.imap.context import Context
from mail.imap.news import tell_size
from mail.imap.view import View
from mail.store import Mailbox, Status
from mail.store.model import FLAG_NAMES
from mail.store.names import SEPARATOR, Pattern, parents


async def select(context: Context, command: c.Select) -> str:
    """SELECT and EXAMINE. A mailbox that was selected before has been left by the session."""
    store, account = context.store, context.account.id
    mailbox = await store.mailbox(account, command.mailbox)
    first = await store.recent_from(account, mailbox.id, claim=not command.read_only)
    snapshot = await store.snapshot(account, mailbox.id)
    view = View(snapshot, read_only=command.read_only, recent_from=first)
    context.view = view
    context.condstore = context.condstore or command.condstore
    flags = [*FLAG_NAMES.values(), *view.keywords]
    permanent = [] if command.read_only else [*flags, "\\*"]
    context.channel.write(b"* FLAGS " + writing.listed(flags) + b"\r\n")
    tell_size(context, view)
    if snapshot.first_unseen is not None:
        number = view.sequence(snapshot.first_unseen) or 0
        context.channel.write(b"* OK [UNSEEN %d] First unseen\r\n" % number)
    for line in (
        b"PERMANENTFLAGS " + writing.listed(permanent),
        b"UIDVALIDITY %d" % snapshot.mailbox.uidvalidity,
        b"UIDNEXT %d" % snapshot.mailbox.uidnext,
        b"HIGHESTMODSEQ %d" % snapshot.mailbox.modseq,
    ):
        context.channel.write(b"* OK [" + line + b"] Ok\r\n")
    return "[READ-ONLY] EXAMINE completed" if command.read_only else "[READ-WRITE] SELECT completed"


async def create(context: Context, command: c.Create) -> str:
    # A separator at the end only says that names below will follow (RFC 3501 §6.3.3).
    await context.store.create(context.account.id, command.mailbox.removesuffix(SEPARATOR))
    return "CREATE completed"


async def delete(context: Context, command: c.Delete) -> str:
    await context.store.delete(context.account.id, command.mailbox)
    return "DELETE completed"


async def rename(context: Context, command: c.Rename) -> str:
    await context.store.rename(context.account.id, command.old, command.new)
    return "RENAME completed"


async def subscribe(context: Context, command: c.Subscribe) -> str:
    await context.store.subscribe(context.account.id, command.mailbox, command.wanted)
    return "SUBSCRIBE completed" if command.wanted else "UNSUBSCRIBE completed"


async def status(context: Context, command: c.Status) -> str:
    found = await context.store.status(context.account.id, command.mailbox)
    if "HIGHESTMODSEQ" in command.items:
        context.condstore = True  # RFC 7162 §3.1: asking for it enables.
    context.channel.write(_status(found, command.items))
    return "STATUS completed"


def _status(found: Status, items: tuple[str, ...]) -> bytes:
    values = {
        "MESSAGES": found.messages,
        "RECENT": found.recent,
        "UIDNEXT": found.mailbox.uidnext,
        "UIDVALIDITY": found.mailbox.uidvalidity,
        "UNSEEN": found.unseen,
        "HIGHESTMODSEQ": found.mailbox.modseq,
        "SIZE": found.size,
    }
    told = writing.listed(f"{item} {values[item]}" for item in dict.fromkeys(items))
    return b"* STATUS " + writing.mailbox(found.mailbox.name) + b" " + told + b"\r\n"


# ---- LIST -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tree:
    """All mailboxes and subscriptions of an account."""

    mailboxes: dict[str, Mailbox]
    subscribed: frozenset[str]
    with_children: frozenset[str]

    def attributes(self, name: str, *, subscribed: bool) -> list[str]:
        mailbox = self.mailboxes.get(name)
        found = ["\\HasChildren" if name in self.with_children else "\\HasNoChildren"]
        if mailbox is None:
            found.append("\\NonExistent")
        elif mailbox.special:
            found.append("\\" + mailbox.special)
        if subscribed and name in self.subscribed:
            found.append("\\Subscribed")
        return found


async def _tree(context: Context) -> _Tree:
    mailboxes = {mailbox.name: mailbox for mailbox in await context.store.mailboxes(context.account.id)}
    subscribed = await context.store.subscriptions(context.account.id)
    above = frozenset(parent for name in mailboxes for parent in parents(name))
    return _Tree(mailboxes, subscribed, above)


async def list_(context: Context, command: c.List) -> str:
    """LIST and LSUB."""
    done = "LSUB completed" if command.lsub else "LIST completed"
    verb = b"LSUB" if command.lsub else b"LIST"
    if command.patterns == ("",) and not command.lsub:
        # A question about the separator (RFC 3501 §6.3.8).
        context.channel.write(b'* LIST (\\Noselect) "/" ""\r\n')
        return done
    tree = await _tree(context)
    patterns = [Pattern.of(command.reference + pattern) for pattern in command.patterns]
    for name, attributes, note in _lsub(tree, patterns) if command.lsub else _listed(tree, command, patterns):
        told = writing.listed(attributes)
        context.channel.write(b'* %b %b "/" %b%b\r\n' % (verb, told, writing.mailbox(name), note))
        if command.status and name in tree.mailboxes:
            await _status_of(context, name, command.status)
    await context.channel.drain()
    return done


async def _status_of(context: Context, name: str, items: tuple[str, ...]) -> None:
    """RFC 5819: a STATUS after each LIST."""
    try:
        context.channel.write(_status(await context.store.status(context.account.id, name), items))
    except Failure as failure:
        if failure.code != "not-found":
            raise


def _listed(tree: _Tree, command: c.List, patterns: list[Pattern]) -> Iterator[tuple[str, list[str], bytes]]:
    """Name, attributes and extended data of each line (RFC 5258 §3)."""
    only_subscribed = "SUBSCRIBED" in command.select
    subscribed = only_subscribed or "SUBSCRIBED" in command.returns
    names = set(tree.mailboxes) | (tree.subscribed if only_subscribed else frozenset())
    for name in sorted(names, key=lambda each: (each != "INBOX", each)):
        if not any(pattern.matches(name) for pattern in patterns):
            continue
        chosen = not only_subscribed or name in tree.subscribed
        if "SPECIAL-USE" in command.select:
            chosen = chosen and name in tree.mailboxes and bool(tree.mailboxes[name].special)
        note = b""
        if "RECURSIVEMATCH" in command.select and _subscribed_below(tree, name, patterns):
            note = b' ("CHILDINFO" ("SUBSCRIBED"))'
        if chosen or note:
            yield name, tree.attributes(name, subscribed=subscribed), note


def _subscribed_below(tree: _Tree, name: str, patterns: list[Pattern]) -> bool:
    below = (each for each in tree.subscribed if each.startswith(name + SEPARATOR))
    return any(not any(pattern.matches(each) for pattern in patterns) for each in below)


def _lsub(tree: _Tree, patterns: list[Pattern]) -> Iterator[tuple[str, list[str], bytes]]:
    """Subscribed names; above one that `%` hides, its parent as \\Noselect (RFC 3501 §6.3.9)."""
    told: set[str] = set()
    for name in sorted(tree.subscribed):
        if any(pattern.matches(name) for pattern in patterns):
            told.add(name)
            yield name, [] if name in tree.mailboxes else ["\\Noselect"], b""
    for parent in sorted({parent for name in tree.subscribed - told for parent in parents(name)} - told):
        if any(pattern.matches(parent) for pattern in patterns):
            yield parent, ["\\Noselect"], b""
