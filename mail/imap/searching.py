"""Whether a message meets a search key (RFC 3501 §6.4.4). Text is compared decoded and without regard to case.

Costs grow from row to header to body; a message is only read as far as the key needs and the cheaper keys let it.
"""

from __future__ import annotations

import email.header
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from email.errors import HeaderParseError
from email.utils import parsedate_to_datetime
from typing import assert_never

from mail.imap import commands as c
from mail.mime.fields import Header, parametrised, parse_header
from mail.mime.structure import Part, parse_message
from mail.mime.transfer import decoded
from mail.store import Flags, Message

# Limit: octets of one text part, and characters of one message, that are searched.
_MAX_TEXT = 4 * 1024 * 1024
# Limit: characters of one field in which encoded words are decoded; the loop waits for that.
_MAX_WORDS = 8 * 1024

ROW, HEADER, BODY = range(3)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One message under examination. `header` and `text` are there when the key's `cost` says so."""

    sequence: int
    message: Message
    recent: bool
    largest_uid: int
    largest_sequence: int
    header: bytes = b""
    text: str = ""

    def with_header(self, header: bytes) -> Candidate:
        return replace(self, header=header)

    def with_text(self, text: str) -> Candidate:
        return replace(self, text=text)


def cost(key: c.Key) -> int:
    """How much of a message the key needs: ROW, HEADER or BODY."""
    match key:
        case c.TextHas():
            return BODY
        case c.HeaderHas() | c.Dated(which=c.DateOf.SENT):
            return HEADER
        case c.Not(key=inner):
            return cost(inner)
        case c.Either(one=one, other=other):
            return max(cost(one), cost(other))
        case c.Every(keys=keys):
            return max(map(cost, keys), default=ROW)
        case _:
            return ROW


def split(key: c.Key, level: int) -> c.Key:
    """The part of a conjunction that costs at most `level`: what fails it need not be read further."""
    keys = key.keys if isinstance(key, c.Every) else (key,)
    return c.Every(tuple(each for each in keys if cost(each) <= level))


def asks_modseq(key: c.Key) -> bool:
    """Whether the answer has to tell a modseq (RFC 7162 §3.1.5)."""
    match key:
        case c.ModifiedSince():
            return True
        case c.Not(key=inner):
            return asks_modseq(inner)
        case c.Either(one=one, other=other):
            return asks_modseq(one) or asks_modseq(other)
        case c.Every(keys=keys):
            return any(map(asks_modseq, keys))
        case _:
            return False


def meets(key: c.Key, candidate: Candidate) -> bool:
    """The verdict."""
    match key:
        case c.All():
            return True
        case c.HasFlag(flag=flag, wanted=wanted):
            return _has_flag(candidate, flag) is wanted
        case c.HeaderHas(name=name, text=text):
            return _header_has(parse_header(candidate.header), name, text)
        case c.TextHas(text=text, header=header):
            needle = _plain(text)
            return needle in candidate.text or (header and needle in _plain(_all_fields(candidate.header)))
        case c.Dated(which=which, order=order, day=day):
            return _dated(_day(candidate, which), order, day)
        case c.Sized(larger=larger, octets=octets):
            return candidate.message.size > octets if larger else candidate.message.size < octets
        case c.Among(chosen=chosen, by_uid=by_uid):
            return _among(candidate, chosen.ranges, by_uid)
        case c.ModifiedSince(modseq=modseq):
            return candidate.message.modseq >= modseq
        case c.Not(key=inner):
            return not meets(inner, candidate)
        case c.Either(one=one, other=other):
            return meets(one, candidate) or meets(other, candidate)
        case c.Every(keys=keys):
            return all(meets(each, candidate) for each in keys)
        case _:
            assert_never(key)


def _among(candidate: Candidate, ranges: tuple[tuple[int | None, int | None], ...], by_uid: bool) -> bool:
    number = candidate.message.uid if by_uid else candidate.sequence
    largest = candidate.largest_uid if by_uid else candidate.largest_sequence
    for first, last in ranges:
        low, high = sorted((largest if first is None else first, largest if last is None else last))
        if low <= number <= high:
            return True
    return False


def _has_flag(candidate: Candidate, flag: str) -> bool:
    name = flag.lower()
    if name == "\\recent":
        return candidate.recent
    flags: Flags = candidate.message.flags
    return any(each.lower() == name for each in flags)


def _header_has(header: Header, name: str, text: str) -> bool:
    needle = _plain(text)
    return any(field.name == name and needle in _plain(words(field.value)) for field in header.fields)


def _all_fields(octets: bytes) -> str:
    return "\n".join(f"{field.name}: {words(field.value)}" for field in parse_header(octets).fields)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.casefold())


def words(value: bytes) -> str:
    """A field's value with its encoded words decoded (RFC 2047)."""
    text = value.decode("utf-8", "replace")
    if "=?" not in text or len(text) > _MAX_WORDS:
        return text
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (HeaderParseError, UnicodeError, LookupError, ValueError):
        return text


def _dated(day: date | None, order: c.Order, wanted: date) -> bool:
    if day is None:
        return False
    match order:
        case c.Order.BEFORE:
            return day < wanted
        case c.Order.ON:
            return day == wanted
        case c.Order.SINCE:
            return day >= wanted


def _day(candidate: Candidate, which: c.DateOf) -> date | None:
    if which is c.DateOf.ARRIVED:
        return datetime.fromtimestamp(candidate.message.internal_date, UTC).date()
    value = parse_header(candidate.header).get("date")
    if value is None:
        return None
    try:
        # "Disregarding time and timezone" (RFC 3501 §6.4.4).
        return parsedate_to_datetime(value.decode("latin-1")).date()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def text_of(octets: bytes) -> str:
    """The text parts of a message, decoded and made plain for comparing; runs in a reading thread."""
    found: list[str] = []
    left = _MAX_TEXT
    todo = [parse_message(octets)]
    while todo and left > 0:
        part = todo.pop()
        todo.extend(reversed(part.children))
        if part.message is not None:
            found.append(_all_fields(octets[part.message.start : part.message.body]))
            todo.append(part.message)
        elif part.kind == b"text" and not part.multipart:
            found.append(_text(octets, part)[:left])
        left -= len(found[-1]) if found else 0
    return _plain("\n".join(found))


def _text(octets: bytes, part: Part) -> str:
    raw = octets[part.body : min(part.end, part.body + _MAX_TEXT)]
    encoding = parametrised(part.header.get("content-transfer-encoding") or b"").value
    charset = dict(part.parameters).get(b"charset", b"us-ascii")
    return decoded(raw, encoding, charset)
