"""Answers to FETCH: one message at a time, sections as exact octets, large ones a piece at a time (RFC 3501 §7.4.2)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from base.failures import Failure
from mail.imap import writing
from mail.imap.commands import Item, Section
from mail.imap.lexer import internal_date
from mail.imap.ports import Channel
from mail.mime.fields import only, parse_header
from mail.mime.structure import Part, parse_message
from mail.store import MailStore, Message
from mail.store.tables import PIECE

Items = tuple[Item | Section, ...]

# Limit: octets of headers in the structures that are remembered for the next FETCH, over all sessions; each part counts
# for some more.
_REMEMBERED = 16 * 1024 * 1024
_PART = 1000
_STRUCTURAL = (Item.BODY, Item.BODYSTRUCTURE)


class Structures:
    """Parses messages in a reading thread and remembers the last ones."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._known: OrderedDict[tuple[int, int], tuple[Part, int]] = OrderedDict()
        self._weight = 0

    async def of(self, account_id: int, message: Message) -> Part:
        """Raises Failure("not-found") when the message is gone."""
        key = (account_id, message.blob)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known[0]
        part, weight = await self._store.compute(account_id, message, _weighed)
        if key not in self._known:
            self._known[key] = part, weight
            self._weight += weight
        while self._weight > _REMEMBERED:
            _, (_, lighter) = self._known.popitem(last=False)
            self._weight -= lighter
        return part


def _weighed(octets: bytes) -> tuple[Part, int]:
    part = parse_message(octets)
    return part, _weight(part)


def _weight(part: Part) -> int:
    inner = (*part.children, part.message) if part.message else part.children
    return _PART + part.body - part.start + sum(map(_weight, inner))


@dataclass(frozen=True, slots=True)
class Span:
    """Octets of a section: those in hand, or a stretch of the stored message of which `first` was read ahead."""

    octets: bytes | None = None
    start: int = 0
    end: int = 0
    first: bytes = b""

    @property
    def size(self) -> int:
        return self.end - self.start if self.octets is None else len(self.octets)

    def partial(self, start: int, count: int) -> Span:
        """`<start.count>` of it (RFC 3501 §6.4.5)."""
        if self.octets is not None:
            return Span(self.octets[start : start + count])
        low = min(self.end, self.start + start)
        return Span(None, low, min(self.end, low + count))


def needs_header(items: Items) -> bool:
    """Whether the header alone will be looked at."""
    return any(item is Item.ENVELOPE or (isinstance(item, Section) and _in_header(item)) for item in items)


def _in_header(section: Section) -> bool:
    return not section.part and section.what.startswith("HEADER")


class Fetcher:
    """Writes the FETCH answers of one session."""

    def __init__(self, store: MailStore, structures: Structures, channel: Channel, account_id: int) -> None:
        self._store = store
        self._structures = structures
        self._channel = channel
        self._account_id = account_id

    async def answer(self, sequence: int, message: Message, items: Items, header: bytes | None, recent: bool) -> None:
        """One `* n FETCH (…)`. `header`: read ahead when `needs_header`.

        Raises Failure("not-found") before anything is written when the message is gone.
        """
        part = await self._part(message, items)
        if header is None and needs_header(items):
            header = await self._store.header(self._account_id, message)
        spans = {item: await self._span(item, message, part, header) for item in items if isinstance(item, Section)}
        self._channel.write(b"* %d FETCH (" % sequence)
        for at, item in enumerate(items):
            self._channel.write(b" " * bool(at))
            if isinstance(item, Section):
                await self._section(item, message, spans[item])
            else:
                self._channel.write(self._simple(item, message, part, header, recent))
        self._channel.write(b")\r\n")
        await self._channel.drain()

    async def _part(self, message: Message, items: Items) -> Part | None:
        """The structure, when some item cannot do without."""
        for item in items:
            if item in _STRUCTURAL or (isinstance(item, Section) and item.part):
                return await self._structures.of(self._account_id, message)
        return None

    def _simple(self, item: Item, message: Message, part: Part | None, header: bytes | None, recent: bool) -> bytes:
        match item:
            case Item.FLAGS:
                return b"FLAGS " + flag_list(message, recent)
            case Item.UID:
                return b"UID %d" % message.uid
            case Item.INTERNALDATE:
                return b"INTERNALDATE " + internal_date(message.internal_date)
            case Item.SIZE:
                return b"RFC822.SIZE %d" % message.size
            case Item.MODSEQ:
                return b"MODSEQ (%d)" % message.modseq
            case Item.ENVELOPE:
                return b"ENVELOPE " + writing.envelope(parse_header(header or b""))
            case Item.BODY | Item.BODYSTRUCTURE:
                assert part is not None
                extended = item is Item.BODYSTRUCTURE
                return (b"BODYSTRUCTURE " if extended else b"BODY ") + writing.body_structure(part, extended=extended)

    async def _section(self, item: Section, message: Message, span: Span | None) -> None:
        self._channel.write(item.label + b" ")
        if span is None:
            self._channel.write(writing.NIL)
            return
        self._channel.write(b"{%d}\r\n" % span.size)
        if span.octets is not None:
            self._channel.write(span.octets)
            return
        self._channel.write(span.first)
        left = span.size - len(span.first)
        try:
            async for piece in self._store.stream(self._account_id, message, span.end - left, left):
                left -= len(piece)
                await self._channel.drain()
                self._channel.write(piece)
        except Failure as failure:
            # The literal was promised: only hanging up keeps the client from taking an answer for octets.
            raise ConnectionError("a message went away while it was sent") from failure

    async def _span(self, item: Section, message: Message, part: Part | None, header: bytes | None) -> Span | None:
        """Where the octets of a section are; None for a part that is not there."""
        span = await self._located(item, message, part, header)
        if span is not None and item.start is not None and item.count is not None:
            span = span.partial(item.start, item.count)
        if span is None or span.octets is not None:
            return span
        ahead = min(span.size, PIECE)
        first = await self._store.octets(self._account_id, message, span.start, ahead)
        return Span(None, span.start, span.end, first)

    async def _located(self, item: Section, message: Message, root: Part | None, header: bytes | None) -> Span | None:
        if not item.part:
            return _of_message(item, message, header)
        assert root is not None
        part = root.at(item.part)
        if part is None:
            return None
        match item.what:
            case "":
                return Span(None, part.body, part.end)
            case "MIME":
                return Span(None, part.start, part.body)
            case _ if part.message is None:
                return None
            case "HEADER":
                return Span(None, part.message.start, part.message.body)
            case "TEXT":
                return Span(None, part.message.body, part.message.end)
            case _:
                inner = part.message
                octets = await self._store.octets(self._account_id, message, inner.start, inner.body - inner.start)
                return _fields(item, octets)


def _of_message(item: Section, message: Message, header: bytes | None) -> Span:
    match item.what:
        case "":
            return Span(None, 0, message.size)
        case "HEADER":
            return Span(header or b"")
        case "TEXT":
            return Span(None, message.header_size, message.size)
        case _:
            return _fields(item, header or b"")


def _fields(item: Section, octets: bytes) -> Span:
    return Span(only(octets, parse_header(octets), item.fields, exclude=item.what.endswith("NOT")))


def flag_list(message: Message, recent: bool) -> bytes:
    """`(\\Seen $Work \\Recent)`."""
    return writing.listed([*message.flags, "\\Recent"] if recent else message.flags)
