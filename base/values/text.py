"""The textual form of values, as it stands in settings files, program literals and command arguments.

`"text"`, `#12`, `[base64]`, `#T31-12-2024_23:59:59`, `#I[1.2.3.4]:5060`, `(a, b)`, `{key = value;}`, `<xml/>`,
`#NULL#`. White space and comments stand anywhere between tokens. Not JSON, and not the language CG/PL.
"""

from __future__ import annotations

import base64
import binascii
import re

from base.values.kinds import (
    NUMBER_MAX,
    NUMBER_MIN,
    Dictionary,
    Handle,
    NetAddress,
    TimeStamp,
    Value,
    XmlElement,
    from_octets,
    octets,
)
from base.values.xml import XmlError, format_xml, read_element

DEPTH_LIMIT = 100  # Limit: nested arrays and dictionaries; real settings nest fewer than ten.
SIZE_LIMIT = 32 * 1024 * 1024  # Limit: characters written; shared parts could multiply without end.

_PLAIN = re.compile(r"[A-Za-z0-9]+")
_QUOTED = re.compile(r'["\\\x00-\x1f\x7f\udc80-\udcff]')
_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)+", re.DOTALL)
_ATOM = re.compile(r"[-A-Za-z0-9_.@!#%\]:\x80-\U0010ffff]+")
_STRING = re.compile(r'"((?:[^"\\\r\n]|\\.)*)"')
_ESCAPE = re.compile(r"\\(?:([0-9]{3})|u'([0-9A-Fa-f]{1,6})'|(.))", re.DOTALL)
_BLOCK = re.compile(r"\[([A-Za-z0-9+/=\s]*)\]")
_SHARP = re.compile(
    r"#(?:(?P<null>NULL#)|T(?P<time>PAST|FUTURE|[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}(?:_[0-9:]{5,8})?)"
    r"|I(?P<address>\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?)"
    r"|(?P<number>[-+]?(?:0x[0-9a-f]+|0o[0-7]+|0b[01]+|[0-9]+))(?![A-Za-z0-9]))",
    re.IGNORECASE,
)
_SHORT = {"r": "\r", "n": "\n", "e": "\n", "t": "\t", "f": "\f"}
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\r": "\\r", "\n": "\\n", "\t": "\\t"}


class ValueTextError(ValueError):
    """Text that is not a value. `position` is the offset of the character that is wrong, `line` and `column` from 1."""

    def __init__(self, message: str, text: str, position: int) -> None:
        self.message = message
        self.position = position
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        super().__init__(f"{message} (line {self.line}, column {self.column})")


def format_value(value: Value) -> str:
    """The one-line textual form. Raises ValueError for what nests or grows beyond the limits."""
    parts: list[str] = []
    _write(value, parts, 0, [SIZE_LIMIT])
    return "".join(parts)


def quote(text: str) -> str:
    """A string as a word when it is only letters and digits, else in quotes."""
    if text.isascii() and _PLAIN.fullmatch(text):
        return text
    return '"' + _QUOTED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    return _ESCAPED.get(char) or f"\\{code - 0xDC00 if code >= 0xDC80 else code:03}"


def _write(value: Value, parts: list[str], depth: int, room: list[int]) -> None:
    if depth > DEPTH_LIMIT:
        raise ValueError("the value is nested too deeply to be written")
    if isinstance(value, list):
        parts.append("(")
        for index, item in enumerate(value):
            parts.append(", " if index else "")
            _write(item, parts, depth + 1, room)
        parts.append(")")
    elif isinstance(value, Dictionary):
        parts.append("{")
        for key, item in value.items():
            parts.append(quote(key) + " = ")
            _write(item, parts, depth + 1, room)
            parts.append("; ")
        parts[-1] = parts[-1].rstrip() if len(value) else parts[-1]
        parts.append("}")
    else:
        parts.append(_scalar(value))
    room[0] -= len(parts[-1]) + 4
    if room[0] < 0:
        raise ValueError("the value is too large to be written")


def _scalar(value: str | int | bytes | TimeStamp | NetAddress | XmlElement | Handle | None) -> str:
    match value:
        case None:
            return "#NULL#"
        case str():
            return quote(value)
        case int():
            return f"#{int(value)}"
        case bytes():
            return f"[{base64.b64encode(value).decode()}]"
        case TimeStamp():
            return f"#T{value}"
        case NetAddress():
            return f"#I{value}"
        case XmlElement():
            return format_xml(value)
        case Handle():
            return f"#({value.class_name} {value.describe()})" if value.describe() else f"#({value.class_name})"


class ForeignHandle(Handle):
    """An opaque object met in a text that only its writer understood."""

    __slots__ = ("_about", "class_name")

    def __init__(self, text: str) -> None:
        self.class_name, _, self._about = text.partition(" ")

    def describe(self) -> str:
        return self._about


def parse_value(text: str | bytes) -> Value:
    """The value a text stands for. Raises ValueTextError."""
    reader = _Reader(from_octets(text) if isinstance(text, bytes) else text)
    value = reader.value(0)
    reader.space()
    if reader.at < len(reader.text):
        raise reader.wrong("only one value is expected")
    return value


def unescape(body: str) -> str:
    """The inside of a quoted string with its backslash escapes resolved (also of CG/PL literals)."""
    if "\\" not in body:
        return body
    return from_octets(_ESCAPE.sub(_resolve, body).encode("utf-8", "surrogateescape"))


def _resolve(match: re.Match[str]) -> str:
    decimal, unicode, char = match.groups()
    if decimal is not None:
        # `\195\169` are two octets of one symbol, so octets above 127 are kept as such and joined afterwards.
        code = int(decimal) & 255
        return chr(code) if code < 128 else chr(0xDC00 + code)
    if unicode is not None:
        point = int(unicode, 16)
        return chr(point) if point < 0xD800 or 0xDFFF < point < 0x110000 else "\ufffd"
    return _SHORT.get(char, char)


class _Reader:
    """A cursor over the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def wrong(self, message: str) -> ValueTextError:
        return ValueTextError(message, self.text, self.at)

    def space(self) -> None:
        if (match := _SPACE.match(self.text, self.at)) is not None:
            self.at = match.end()

    def take(self, mark: str) -> bool:
        """Skip white space, then the mark if it stands there."""
        self.space()
        if self.text.startswith(mark, self.at):
            self.at += len(mark)
            return True
        return False

    def value(self, depth: int) -> Value:
        if depth > DEPTH_LIMIT:
            raise self.wrong("the value is nested too deeply")
        self.space()
        match self.text[self.at : self.at + 1]:
            case "":
                raise self.wrong("a value is missing")
            case '"':
                return self.string()
            case "(":
                return self.array(depth)
            case "{":
                return self.dictionary(depth)
            case "[":
                return self.block()
            case "#":
                return self.sharp()
            case "<":
                return self.xml()
            case _:
                return self.word()

    def string(self) -> str:
        parts: list[str] = []
        while (match := _STRING.match(self.text, self.at)) is not None:
            parts.append(unescape(match.group(1)))
            self.at = match.end()
            self.space()
        if not parts or self.text.startswith('"', self.at):
            raise self.wrong("the string is not closed")
        return "".join(parts) if len(parts) == 1 else from_octets(octets("".join(parts)))

    def word(self) -> str:
        match = _ATOM.match(self.text, self.at)
        if match is None:
            raise self.wrong(f"unexpected {self.text[self.at]!r}")
        self.at = match.end()
        return match.group()

    def array(self, depth: int) -> list[Value]:
        items: list[Value] = []
        self.at += 1
        if self.take(")"):
            return items
        while True:
            items.append(self.value(depth + 1))
            if self.take(")"):
                return items
            if not self.take(","):
                raise self.wrong("',' or ')' is expected")

    def dictionary(self, depth: int) -> Dictionary:
        made = Dictionary()
        self.at += 1
        while not self.take("}"):
            if self.at >= len(self.text):
                raise self.wrong("the dictionary is not closed")
            key = self.string() if self.text[self.at] == '"' else self.word()
            if not self.take("="):
                raise self.wrong("'=' is expected after a key")
            made[key] = self.value(depth + 1)
            if not self.take(";"):
                raise self.wrong("';' is expected after a dictionary element")
        return made

    def block(self) -> bytes:
        parts: list[bytes] = []
        while (match := _BLOCK.match(self.text, self.at)) is not None:
            try:
                parts.append(base64.b64decode("".join(match.group(1).split()), validate=True))
            except binascii.Error:
                raise self.wrong("the datablock is not base64") from None
            self.at = match.end()
            self.space()
        if not parts or self.text.startswith("[", self.at):
            raise self.wrong("the datablock is not closed, or not base64")
        return b"".join(parts)

    def sharp(self) -> Value:
        if self.text.startswith("#(", self.at):
            return self.foreign()
        match = _SHARP.match(self.text, self.at)
        if match is None:
            raise self.wrong("unknown object after '#'")
        try:
            value = _sharp_value(match)
        except ValueError as error:
            raise self.wrong(str(error)) from None
        self.at = match.end()
        return value

    def foreign(self) -> Handle:
        end = self.text.find(")", self.at)
        if end < 0:
            raise self.wrong("the object is not closed")
        inside = self.text[self.at + 2 : end]
        self.at = end + 1
        return ForeignHandle(inside)

    def xml(self) -> XmlElement:
        try:
            element, self.at = read_element(self.text, self.at)
        except XmlError as error:
            self.at = error.position
            raise self.wrong(error.message) from None
        return element


def _sharp_value(match: re.Match[str]) -> Value:
    if match["null"]:
        return None
    if match["time"]:
        return TimeStamp.parse(match["time"])
    if match["address"]:
        return NetAddress.parse(match["address"])
    digits = match["number"]
    if len(digits) > 70:
        raise ValueError("the number does not fit into 64 bits")
    prefixed = digits.lstrip("+-")[:2].lower() in ("0x", "0o", "0b")
    number = int(digits, 0 if prefixed else 10)
    if not NUMBER_MIN <= number <= NUMBER_MAX:
        raise ValueError("the number does not fit into 64 bits")
    return number
