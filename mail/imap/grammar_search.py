"""What SEARCH asks for (RFC 3501 §6.4.4)."""

from __future__ import annotations

from collections.abc import Callable

from mail.imap import commands as c
from mail.imap.lexer import BadCommand, Lexer, bad

# Limit: keys in one search, and parentheses within parentheses.
_MAX_KEYS = 500
_MAX_DEPTH = 20
_CHARSETS = frozenset({"US-ASCII", "UTF-8"})

_FLAGS = {
    "ANSWERED": "\\Answered",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
    "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
}
_DATES = {
    prefix + order.name: (which, order)
    for prefix, which in (("", c.DateOf.ARRIVED), ("SENT", c.DateOf.SENT))
    for order in c.Order
}
_HEADERS = ("FROM", "TO", "CC", "BCC", "SUBJECT")


class UnknownCharset(BadCommand):
    """SEARCH CHARSET names one that we cannot read: NO [BADCHARSET] (RFC 3501 §6.4.4)."""


def search_key(lexer: Lexer) -> c.Key:
    """All that follows `SEARCH `, as one key."""
    if lexer.octets[lexer.at : lexer.at + 8].upper() == b"CHARSET ":
        lexer.at += 8
        if lexer.astring().decode("ascii", "replace").upper() not in _CHARSETS:
            raise UnknownCharset("unknown charset")
        lexer.space()
    parser = _Keys(lexer)
    keys = parser.several()
    return keys[0] if len(keys) == 1 else c.Every(tuple(keys))


class _Keys:
    def __init__(self, lexer: Lexer) -> None:
        self._lexer = lexer
        self._left = _MAX_KEYS
        self._depth = 0

    def several(self) -> list[c.Key]:
        keys = [self.key()]
        while not self._lexer.ended and not self._lexer.peek(b")"):
            self._lexer.space()
            keys.append(self.key())
        return keys

    def key(self) -> c.Key:
        self._left -= 1
        self._depth += 1
        if self._left < 0 or self._depth > _MAX_DEPTH:
            bad("search is too complicated")
        try:
            return self._key()
        finally:
            self._depth -= 1

    def _key(self) -> c.Key:
        lexer = self._lexer
        if lexer.skip(b"("):
            keys = self.several()
            lexer.need(b")")
            return c.Every(tuple(keys))
        if lexer.octets[lexer.at : lexer.at + 1] in b"0123456789*" and not lexer.ended:
            return c.Among(lexer.sequence_set(), by_uid=False)
        word = lexer.keyword()
        return _simple(word) or self._with_argument(word)

    def _with_argument(self, word: str) -> c.Key:
        lexer = self._lexer
        if word in _DATES:
            lexer.space()
            which, order = _DATES[word]
            return c.Dated(which, order, lexer.day())
        if word in _HEADERS:
            lexer.space()
            return c.HeaderHas(word.lower(), lexer.text())
        make = _ARGUMENTS.get(word) or bad("unknown search key")
        lexer.space()
        return make(self)

    def negated(self) -> c.Key:
        return c.Not(self.key())

    def either(self) -> c.Key:
        one = self.key()
        self._lexer.space()
        return c.Either(one, self.key())

    def header(self) -> c.Key:
        name = self._lexer.text()
        self._lexer.space()
        return c.HeaderHas(name.lower(), self._lexer.text())

    def modified(self) -> c.Key:
        """RFC 7162 §3.1.5: an entry may be named; we keep one modseq per message."""
        if self._lexer.peek(b'"'):
            self._lexer.string()
            self._lexer.space()
            self._lexer.atom()
            self._lexer.space()
        return c.ModifiedSince(self._lexer.modseq())

    @property
    def lexer(self) -> Lexer:
        return self._lexer


def _simple(word: str) -> c.Key | None:
    """Keys of one word."""
    if word in _FLAGS:
        return c.HasFlag(_FLAGS[word])
    if word.startswith("UN") and word[2:] in _FLAGS:
        return c.HasFlag(_FLAGS[word[2:]], wanted=False)
    match word:
        case "ALL":
            return c.All()
        case "RECENT":
            return c.HasFlag("\\Recent")
        case "OLD":
            return c.HasFlag("\\Recent", wanted=False)
        case "NEW":
            return c.Every((c.HasFlag("\\Recent"), c.HasFlag("\\Seen", wanted=False)))
        case _:
            return None


_ARGUMENTS: dict[str, Callable[[_Keys], c.Key]] = {
    "NOT": _Keys.negated,
    "OR": _Keys.either,
    "HEADER": _Keys.header,
    "MODSEQ": _Keys.modified,
    "BODY": lambda keys: c.TextHas(keys.lexer.text(), header=False),
    "TEXT": lambda keys: c.TextHas(keys.lexer.text(), header=True),
    "KEYWORD": lambda keys: c.HasFlag(keys.lexer.flag()),
    "UNKEYWORD": lambda keys: c.HasFlag(keys.lexer.flag(), wanted=False),
    "LARGER": lambda keys: c.Sized(True, keys.lexer.number()),
    "SMALLER": lambda keys: c.Sized(False, keys.lexer.number()),
    "UID": lambda keys: c.Among(keys.lexer.sequence_set(), by_uid=True),
}
