"""Header fields, content types and parameters (RFC 5322 §2.2, RFC 2045 §5.1, RFC 2183), read forgivingly.

Not a validator: whatever a stranger wrote yields some answer in linear time and never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\n]*)(?:\n[ \t][^\n]*)*)(?:\n|\Z)")
_LINE = re.compile(rb"[^\n]*(?:\n|\Z)")
_FOLD = re.compile(rb"[\r\n]+[ \t]*")
_TOKEN = re.compile(rb'[^\x00-\x20\x7f()<>@,;:\\"/\[\]?=]+')
_VALUE = re.compile(rb'"((?:[^"\\]|\\.)*)"?|([^\x00-\x20;"]+)', re.DOTALL)
_SPACE = re.compile(rb"\s+")
# Limit: fields of one header and parameters of one field that are looked at.
_MAX_FIELDS = 2000
_MAX_PARAMETERS = 50


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: lower-case name, unfolded value, and where its octets are (with line end)."""

    name: str
    value: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """All fields of one header in order."""

    fields: tuple[Field, ...]

    def get(self, name: str) -> bytes | None:
        """The value of the first field of that (lower-case) name."""
        return next((field.value for field in self.fields if field.name == name), None)

    def joined(self, name: str) -> bytes | None:
        """The values of all fields of that name, with commas (address lists that came twice)."""
        values = [field.value for field in self.fields if field.name == name]
        return b", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Parametrised:
    """`text/plain; charset=utf-8`: the value before the parameters, and these in order with lower-case names."""

    value: bytes
    parameters: tuple[tuple[bytes, bytes], ...] = ()

    def get(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.parameters if key == name), None)


def parse_header(octets: bytes, start: int = 0, end: int | None = None) -> Header:
    """The fields between `start` and `end`; lines that are none are passed over."""
    end = len(octets) if end is None else end
    found: list[Field] = []
    at = start
    while at < end and len(found) < _MAX_FIELDS:
        match = _FIELD.match(octets, at, end)
        if match is None:
            line = _LINE.match(octets, at, end)
            at = line.end() if line and line.end() > at else end
            continue
        found.append(Field(match[1].decode("ascii").lower(), unfold(match[2]), at, match.end()))
        at = match.end()
    return Header(tuple(found))


def only(octets: bytes, header: Header, names: Iterable[str], *, exclude: bool = False) -> bytes:
    """The exact octets of the fields named (or of the others), with the blank line (RFC 3501 §6.4.5)."""
    wanted = {name.lower() for name in names}
    pieces = [octets[field.start : field.end] for field in header.fields if (field.name in wanted) is not exclude]
    return b"".join(piece if piece.endswith(b"\n") else piece + b"\r\n" for piece in pieces) + b"\r\n"


def unfold(value: bytes) -> bytes:
    """One line, without the white space at its ends (RFC 5322 §2.2.3); NUL has no place in an answer."""
    value = value.strip()
    if b"\n" in value or b"\r" in value:
        value = _FOLD.sub(b" ", value)
    return value.replace(b"\x00", b"") if b"\x00" in value else value


def without_comments(value: bytes) -> bytes:
    """Parentheses taken out, nested ones too; quoted strings are left alone."""
    if b"(" not in value:
        return value
    kept = bytearray()
    depth = 0
    quoted = False
    escaped = False
    for octet in value:
        character = chr(octet)
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"' and not depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            depth += 1
        elif character == ")" and depth and not quoted:
            depth -= 1
            kept += b" "
            continue
        if not depth:
            kept.append(octet)
    return bytes(kept)


def parametrised(value: bytes) -> Parametrised:
    """A value with `; name=value` parameters."""
    value = without_comments(value)
    first, semicolon, rest = value.partition(b";")
    first = _SPACE.sub(b"", first)
    return Parametrised(first, tuple(_parameters(rest)) if semicolon else ())


def _parameters(text: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(text) and len(found) < _MAX_PARAMETERS:
        at = _past(text, at, b" \t;")
        name = _TOKEN.match(text, at)
        equals = _past(text, name.end(), b" \t") if name else at
        if name is None or text[equals : equals + 1] != b"=":
            semicolon = text.find(b";", at)
            if semicolon < 0:
                break
            at = semicolon + 1
            continue
        value = _VALUE.match(text, _past(text, equals + 1, b" \t"))
        if value is None:
            found.append((name[0].lower(), b""))
            at = equals + 1
            continue
        found.append((name[0].lower(), unquote(value[1]) if value[1] is not None else value[2]))
        at = value.end()
    return found


def _past(text: bytes, at: int, characters: bytes) -> int:
    while text[at : at + 1] and text[at] in characters:
        at += 1
    return at


def unquote(text: bytes) -> bytes:
    """The inside of a quoted string without its backslashes."""
    return re.sub(rb"\\(.)", rb"\1", text, flags=re.DOTALL) if b"\\" in text else text
