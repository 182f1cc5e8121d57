"""The MIME structure of a message as a tree of offsets into its octets (RFC 2045, RFC 2046 §5).

Nothing is decoded or copied but header values; depth, count of parts and time are bounded whatever a message holds.

    start          body            end
      | header \r\n | body ........ |        a part inside a multipart ends before the line end of the next boundary
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mail.mime.fields import Header, Parametrised, parametrised, parse_header

# Limit: levels and parts of one message; beyond them a part is told as one piece.
MAX_DEPTH = 30
MAX_PARTS = 1000
# Limit: octets of one part's header that are read.
_MAX_HEADER = 256 * 1024

_BLANK = re.compile(rb"^\r?\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """One entity. `children`: parts of a multipart; `message`: what a message/rfc822 holds."""

    start: int
    body: int
    end: int
    header: Header
    kind: bytes
    subtype: bytes
    parameters: tuple[tuple[bytes, bytes], ...]
    lines: int
    children: tuple[Part, ...] = ()
    message: Part | None = None

    @property
    def multipart(self) -> bool:
        return bool(self.children)

    @property
    def size(self) -> int:
        """Octets of the body as it came."""
        return self.end - self.body

    def at(self, path: tuple[int, ...]) -> Part | None:
        """The part with that number (RFC 3501 §6.4.5): part 1 of what is no multipart is its whole body."""
        part = self
        for depth, number in enumerate(path):
            inner = part.message if depth and part.message is not None else part
            if inner.multipart:
                if number > len(inner.children):
                    return None
                part = inner.children[number - 1]
            elif number == 1 and (depth == 0 or inner is not part):
                part = inner
            else:
                return None
        return part


def parse_message(octets: bytes) -> Part:
    """The structure of a whole message."""
    return _Parser(octets).part(0, len(octets), b"text", b"plain", 0)


def body_start(octets: bytes, start: int, end: int) -> int:
    """Behind the blank line that ends a header; `end` when there is none."""
    blank = _BLANK.search(octets, start, min(end, start + _MAX_HEADER))
    return blank.end() if blank else min(end, start + _MAX_HEADER)


class _Parser:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._parts = 0

    def part(self, start: int, end: int, kind: bytes, subtype: bytes, depth: int) -> Part:
        """The entity between two offsets; `kind`/`subtype` is its type when it names none."""
        self._parts += 1
        body = body_start(self._octets, start, end)
        header = parse_header(self._octets, start, body)
        stated = _content_type(header)
        parameters: tuple[tuple[bytes, bytes], ...] = ()
        if stated is not None:
            kind, _, subtype = (piece.lower() for piece in stated.value.partition(b"/"))
            parameters = stated.parameters
        elif (kind, subtype) == (b"text", b"plain"):
            parameters = ((b"charset", b"us-ascii"),)
        deeper = depth < MAX_DEPTH and self._parts < MAX_PARTS
        lines = self._octets.count(b"\n", body, end)
        children: tuple[Part, ...] = ()
        message = None
        if kind == b"multipart":
            children = self._children(body, end, stated, subtype, depth) if deeper else (self._empty(end),)
        elif (kind, subtype) == (b"message", b"rfc822") and deeper:
            message = self.part(body, end, b"text", b"plain", depth + 1)
        elif (kind, subtype) == (b"message", b"rfc822"):
            kind, subtype = b"application", b"octet-stream"
        return Part(start, body, end, header, kind, subtype, parameters, lines, children, message)

    def _children(
        self, body: int, end: int, stated: Parametrised | None, subtype: bytes, depth: int
    ) -> tuple[Part, ...]:
        boundary = (stated.get(b"boundary") if stated else None) or b""
        kind = (b"message", b"rfc822") if subtype == b"digest" else (b"text", b"plain")
        found: list[Part] = []
        for start, stop in self._between(boundary, body, end) if boundary else ():
            if self._parts >= MAX_PARTS:
                break
            found.append(self.part(start, stop, *kind, depth + 1))
        # A multipart has at least one part on the wire (RFC 3501 §9 body-type-mpart).
        return tuple(found) or (self._empty(end),)

    def _between(self, boundary: bytes, body: int, end: int) -> list[tuple[int, int]]:
        """Where the parts lie between the boundary lines (RFC 2046 §5.1.1)."""
        line = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?$", re.MULTILINE)
        spans: list[tuple[int, int]] = []
        start: int | None = None
        for match in line.finditer(self._octets, body, end):
            if start is not None:
                spans.append((start, max(start, self._before(match.start()))))
            if match[1]:
                return spans
            start = min(end, match.end() + 1)
            if len(spans) >= MAX_PARTS:
                return spans
        if start is not None and start < end:
            spans.append((start, end))
        return spans

    def _before(self, at: int) -> int:
        """The line end before a boundary belongs to the boundary."""
        if self._octets[at - 2 : at] == b"\r\n":
            return at - 2
        return at - 1

    def _empty(self, at: int) -> Part:
        self._parts += 1
        return Part(at, at, at, Header(()), b"text", b"plain", ((b"charset", b"us-ascii"),), 0)


def _content_type(header: Header) -> Parametrised | None:
    """The Content-Type when it is one (RFC 2045 §5.2 for what to do otherwise)."""
    value = header.get("content-type")
    if value is None:
        return None
    stated = parametrised(value)
    kind, slash, subtype = stated.value.partition(b"/")
    return stated if kind and slash and subtype and stated.value.isascii() else None
