"""The words of IMAP: atoms, strings, literals, numbers, dates (RFC 3501 §9), read from one whole command.

A literal lies inside the command's octets as it came: `{5}` CRLF and five octets.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NoReturn

from base.failures import Failure
from mail.imap import utf7
from mail.imap.sets import MAX_NUMBER, SequenceSet

_ATOM = re.compile(rb'[^(){ \x00-\x1f\x7f-\xff%*"\\\]]+')
_ASTRING = re.compile(rb'[^(){ \x00-\x1f\x7f-\xff%*"\\]+')
_LIST_CHARS = re.compile(rb'[^(){ \x00-\x1f\x7f-\xff"\\]+')
_TAG = re.compile(rb'[^(){ \x00-\x1f\x7f-\xff%*"\\+]+')
_FLAG = re.compile(rb'\\?[^(){ \x00-\x1f\x7f-\xff%*"\\\]]+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d{1,10})\+?\}\r\n")
_NUMBER = re.compile(rb"\d{1,10}")
_NUMBER64 = re.compile(rb"\d{1,19}")
_SET = re.compile(rb"(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?(?:,(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?)*")
_DATE = re.compile(rb'"?(\d{1,2})-([A-Za-z]{3})-(\d{4})"?')
_DATE_TIME = re.compile(rb'"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"')
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Limit: ranges in one sequence set.
_MAX_RANGES = 20_000


class BadCommand(Exception):
    """The client broke the grammar; the text may be shown to it (BAD)."""


def bad(text: str) -> NoReturn:
    raise BadCommand(text)


class Lexer:
    """A place in one command. Each method takes a word and moves on, or raises BadCommand."""

    __slots__ = ("at", "octets")

    def __init__(self, octets: bytes, at: int = 0) -> None:
        self.octets = octets
        self.at = at

    # ---- moving -----------------------------------------------------------------------------------------------------

    def take(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = pattern.match(self.octets, self.at)
        if found is None:
            bad(f"{what} expected")
        self.at = found.end()
        return found

    def skip(self, mark: bytes) -> bool:
        """Step over `mark` if it is next."""
        if self.octets.startswith(mark, self.at):
            self.at += len(mark)
            return True
        return False

    def need(self, mark: bytes) -> None:
        if not self.skip(mark):
            bad(f"'{mark.decode()}' expected" if mark.strip() else "space expected")

    def space(self) -> None:
        self.need(b" ")

    def peek(self, mark: bytes) -> bool:
        return self.octets.startswith(mark, self.at)

    @property
    def ended(self) -> bool:
        return self.at >= len(self.octets)

    def end(self) -> None:
        """Nothing may follow. Interop: a space at the end of the line is let through."""
        if self.octets[self.at :].strip(b" "):
            bad("unexpected argument")

    # ---- words ------------------------------------------------------------------------------------------------------

    def tag(self) -> str:
        return self.take(_TAG, "tag")[0].decode()

    def atom(self) -> str:
        return self.take(_ATOM, "word")[0].decode()

    def keyword(self) -> str:
        """An atom of the protocol, in capitals."""
        return self.atom().upper()

    def number(self) -> int:
        value = int(self.take(_NUMBER, "number")[0])
        return value if value <= MAX_NUMBER else bad("number is too large")

    def modseq(self) -> int:
        value = int(self.take(_NUMBER64, "number")[0])
        return value if value < 1 << 63 else bad("number is too large")

    def string(self) -> bytes:
        """A quoted string or a literal."""
        if self.peek(b'"'):
            quoted = self.take(_QUOTED, "string")[1]
            return re.sub(rb"\\(.)", rb"\1", quoted) if b"\\" in quoted else quoted
        size = int(self.take(_LITERAL, "string")[1])
        start, self.at = self.at, self.at + size
        if self.at > len(self.octets):
            bad("literal is cut short")
        return self.octets[start : self.at]

    def astring(self) -> bytes:
        if self.peek(b'"') or self.peek(b"{"):
            return self.string()
        return self.take(_ASTRING, "string")[0]

    def text(self) -> str:
        """A string of characters, UTF-8."""
        return _decoded(self.astring())

    def nstring(self) -> str | None:
        if self.octets[self.at : self.at + 3].upper() == b"NIL":
            self.at += 3
            return None
        return _decoded(self.string())

    def mailbox(self) -> str:
        return _mailbox(self.astring())

    def pattern(self) -> str:
        """A mailbox name with wildcards."""
        if self.peek(b'"') or self.peek(b"{"):
            return _mailbox(self.string())
        return _mailbox(self.take(_LIST_CHARS, "mailbox pattern")[0])

    def words(self) -> tuple[str, ...]:
        """`(A B C)` in capitals; may be empty."""
        self.need(b"(")
        found: list[str] = []
        while not self.skip(b")"):
            if found:
                self.space()
            found.append(self.take(_FLAG, "word")[0].decode().upper())
        return tuple(found)

    def flag(self) -> str:
        return self.take(_FLAG, "flag")[0].decode()

    def flags(self) -> tuple[str, ...]:
        """`(\\Seen $Work)`."""
        self.need(b"(")
        found: list[str] = []
        while not self.skip(b")"):
            if found:
                self.space()
            found.append(self.flag())
        return tuple(found)

    def sequence_set(self) -> SequenceSet:
        parts = self.take(_SET, "sequence set")[0].split(b",")
        if len(parts) > _MAX_RANGES:
            bad("sequence set is too long")
        return SequenceSet(tuple(map(_range, parts)))

    # ---- dates ------------------------------------------------------------------------------------------------------

    def day(self) -> date:
        """`1-Feb-1994`, quoted or not."""
        found = self.take(_DATE, "date")
        try:
            return date(int(found[3]), _month(found[2]), int(found[1]))
        except ValueError:
            bad("no such date")

    def date_time(self) -> int:
        """`"17-Jul-1996 02:44:25 -0700"` as seconds since 1970 UTC."""
        found = self.take(_DATE_TIME, "date and time")
        away = timedelta(hours=int(found[8]), minutes=int(found[9])) * (-1 if found[7] == b"-" else 1)
        try:
            hour, minute, second = map(int, found.group(4, 5, 6))
            moment = datetime(
                int(found[3]), _month(found[2]), int(found[1]), hour, minute, second, tzinfo=timezone(away)
            )
            return int(moment.timestamp())
        except (ValueError, OverflowError):
            bad("no such date")


def _month(name: bytes) -> int:
    return _MONTHS.index(name.decode().lower()) + 1


def _range(text: bytes) -> tuple[int | None, int | None]:
    first, colon, last = text.partition(b":")
    low = _limit(first)
    return (low, _limit(last)) if colon else (low, low)


def _limit(text: bytes) -> int | None:
    if text == b"*":
        return None
    value = int(text)
    return value if 0 < value <= MAX_NUMBER else bad("not a message number")


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        bad("not UTF-8")


def _mailbox(octets: bytes) -> str:
    try:
        return utf7.decode(octets)
    except ValueError as error:
        raise Failure("invalid", "bad mailbox name") from error


def internal_date(seconds: int) -> bytes:
    """Seconds since 1970 UTC as INTERNALDATE writes them."""
    moment = datetime.fromtimestamp(seconds, UTC)
    month = _MONTHS[moment.month - 1].capitalize()
    return f'"{moment.day:2d}-{month}-{moment:%Y %H:%M:%S} +0000"'.encode()
