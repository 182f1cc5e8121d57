"""What FETCH asks for (RFC 3501 §6.4.5, §9 `fetch-att`)."""

from __future__ import annotations

import re

from mail.imap.commands import Item, Section
from mail.imap.lexer import Lexer, bad

_WORD = re.compile(rb"[A-Za-z0-9.]+")
_PARTIAL = re.compile(rb"<(\d{1,10})\.(\d{1,10})>")
_PART = re.compile(rb"[1-9]\d{0,4}(?:\.[1-9]\d{0,4})*")
_FIELD = re.compile(rb"[!-9;-~]+")
# Limit: items of one FETCH, names in HEADER.FIELDS, and levels of a part number.
_MAX_ITEMS = 100
_MAX_FIELDS = 200
_MAX_LEVELS = 50

_MACROS = {
    "ALL": (Item.FLAGS, Item.INTERNALDATE, Item.SIZE, Item.ENVELOPE),
    "FAST": (Item.FLAGS, Item.INTERNALDATE, Item.SIZE),
    "FULL": (Item.FLAGS, Item.INTERNALDATE, Item.SIZE, Item.ENVELOPE, Item.BODY),
}
_WHOLE = {
    "RFC822": Section((), "", b"RFC822"),
    "RFC822.HEADER": Section((), "HEADER", b"RFC822.HEADER", peek=True),
    "RFC822.TEXT": Section((), "TEXT", b"RFC822.TEXT"),
}
_ITEMS = {item.value: item for item in Item}


def fetch_items(lexer: Lexer) -> tuple[Item | Section, ...]:
    """One item, a macro, or a list of items."""
    if not lexer.skip(b"("):
        word = lexer.take(_WORD, "fetch item")[0].decode().upper()
        return _MACROS[word] if word in _MACROS else (_item(lexer, word),)
    found: list[Item | Section] = []
    while not lexer.skip(b")"):
        if found:
            lexer.space()
        found.append(_item(lexer, lexer.take(_WORD, "fetch item")[0].decode().upper()))
    return tuple(dict.fromkeys(found)) if 0 < len(found) <= _MAX_ITEMS else bad("bad list of items")


def _item(lexer: Lexer, word: str) -> Item | Section:
    if word in ("BODY", "BODY.PEEK") and lexer.skip(b"["):
        return _section(lexer, peek=word == "BODY.PEEK")
    if word in _WHOLE:
        return _WHOLE[word]
    return _ITEMS.get(word) or bad("unknown fetch item")


def _section(lexer: Lexer, *, peek: bool) -> Section:
    part: tuple[int, ...] = ()
    what = ""
    fields: tuple[str, ...] = ()
    if number := _PART.match(lexer.octets, lexer.at):
        lexer.at = number.end()
        part = tuple(int(level) for level in number[0].split(b"."))
    if len(part) > _MAX_LEVELS:
        bad("no such part")
    if not lexer.peek(b"]") and (not part or lexer.skip(b".")):
        what = lexer.take(_WORD, "section")[0].decode().upper()
        fields = _fields(lexer, what, bool(part))
    lexer.need(b"]")
    label = b"BODY[" + _specification(part, what, fields) + b"]"
    partial = _PARTIAL.match(lexer.octets, lexer.at)
    if partial is None:
        return Section(part, what, label, fields, peek)
    lexer.at = partial.end()
    start, count = int(partial[1]), int(partial[2])
    if not count:
        bad("partial of nothing")
    return Section(part, what, label + b"<%d>" % start, fields, peek, start, count)


def _fields(lexer: Lexer, what: str, in_part: bool) -> tuple[str, ...]:
    if what in ("HEADER", "TEXT") or (what == "MIME" and in_part):
        return ()
    if what not in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        bad("unknown section")
    lexer.need(b" (")
    names: list[str] = []
    while not lexer.skip(b")"):
        if names:
            lexer.space()
        name = lexer.astring()
        names.append(name.decode("ascii") if _FIELD.fullmatch(name) else bad("bad header name"))
    return tuple(names) if 0 < len(names) <= _MAX_FIELDS else bad("bad list of header names")


def _specification(part: tuple[int, ...], what: str, fields: tuple[str, ...]) -> bytes:
    pieces = [str(level) for level in part] + ([what] if what else [])
    text = ".".join(pieces)
    if fields:
        text += " (" + " ".join(_written(name) for name in fields) + ")"
    return text.encode()


def _written(name: str) -> str:
    """A header name as the answer repeats it: quoted when it is no atom."""
    if any(character in '(){%*"\\]' for character in name):
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return name
