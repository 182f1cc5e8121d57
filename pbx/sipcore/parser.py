"""From bytes to messages: one datagram, or a stream cut into messages.

It checks what every later step relies on (start line, Via, From, To, Call-ID, CSeq) and leaves all else unread;
`screen` checks the rest of what a request needs before policy looks at it.

RFC 3261 §7, §18.3 (framing), §20; RFC 4475 (torture); RFC 5626 §3.5.1 (keepalive on streams).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.headers import SPELLINGS, Replaces, kind_of, split_list
from pbx.sipcore.message import Message, Request, Response
from pbx.sipcore.uri import Uri, check_address

MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
MAX_LINES = 256
"""Limit: far above any real message; a phone's INVITE has some twenty lines."""

_REQUEST_LINE = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) ([^\s<>\"]+) SIP/([0-9]+\.[0-9]+)", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9])(?: (.*))?", re.IGNORECASE)
_LENGTH_LINE = re.compile(rb"\r\n(?:content-length|l)[ \t]*:([^\r]*)", re.IGNORECASE)
_EMPTY_VIA = re.compile(r",[\s;]*(?:,|\Z)")
_CALL_ID = re.compile(r"[^\s,]+")


def parse(data: bytes) -> Request | Response:
    """Read one message, a whole datagram or what `StreamFramer` cut out. Raises SipSyntaxError.

    Octets beyond Content-Length are cut off, too few are an error (RFC 3261 §18.3).
    """
    data = data.lstrip(b"\r\n") if data[:1] in b"\r\n" else data
    end = data.find(b"\r\n\r\n")
    body = b""
    if end >= 0:
        body = data[end + 4 :]
        data = data[: end + 2]
    if len(data) > MAX_HEAD:
        raise SipSyntaxError("Header too long", code=513)
    try:
        text, charset = data.decode(), "utf-8"
    except UnicodeDecodeError:
        text, charset = data.decode("latin-1"), "latin-1"
    lines = text.split("\r\n")
    bare = text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1
    if lines[-1] == "":
        lines.pop()
    if not lines or len(lines) > MAX_LINES:
        raise SipSyntaxError("Too many header lines" if lines else "Empty message")
    message = _started(lines.pop(0), body, charset)
    try:
        if end < 0:
            raise SipSyntaxError("Header does not end")
        if bare:
            raise SipSyntaxError("Lines must end in CR LF")
        _take_lines(message, lines)
        _check(message)
    except SipSyntaxError as error:
        error.request = _answerable(message, lines)
        raise
    return message


def _started(line: str, body: bytes, charset: str) -> Request | Response:
    status = _STATUS_LINE.fullmatch(line) if line[:1] in ("S", "s") else None
    if status is not None:
        return Response(int(status.group(1)), status.group(2) or "", body=body, charset=charset)
    match = _REQUEST_LINE.fullmatch(line)
    if match is not None:
        request = Request(match.group(1), match.group(2), body=body, charset=charset)
        if match.group(3) != "2.0":
            request.unsupported_version = True
        return request
    return _bad_start(line, body, charset)


def _bad_start(line: str, body: bytes, charset: str) -> Request:
    """A start line that is wrong but surely a request's still gets its 400 (RFC 4475 §3.1.2.8 and on)."""
    words = line.split()
    if len(words) >= 3 and words[-1].upper().startswith("SIP/") and not words[0].upper().startswith("SIP/"):
        request = Request(words[0], " ".join(words[1:-1]), body=body, charset=charset)
        request.malformed_start = True
        return request
    raise SipSyntaxError("Malformed start line")


def _take_lines(message: Message, lines: list[str]) -> None:
    taken, kinds = message.begin()
    for line in lines:
        name, colon, _ = line.partition(":")
        kind = SPELLINGS.get(name)
        if kind is None:
            if line[:1] in (" ", "\t") and taken:
                taken[-1] = f"{taken[-1]}\r\n{line}"  # RFC 3261 §7.3.1: folding
                continue
            kind = kind_of(name)
        if not colon:
            raise SipSyntaxError("Header line without a colon")
        taken.append(line)
        kinds.append(kind)


_SINGLE = ("from", "to", "call-id", "cseq", "content-length", "max-forwards")


def _check(message: Request | Response) -> None:
    """What every message must have (RFC 3261 §8.1.1, §8.1.3.3), read once and kept."""
    kinds = message.begin()[1]
    if len(set(kinds)) < len(kinds):
        for kind in _SINGLE:
            if kinds.count(kind) > 1:
                raise SipSyntaxError(f"More than one {kind.title()}")
    if not _CALL_ID.fullmatch(message.call_id):
        raise SipSyntaxError("Missing or malformed Call-ID")
    _ = message.top_via, message.from_tag, message.to_tag
    if _EMPTY_VIA.search(message.get("Via") or ""):
        raise SipSyntaxError("Malformed Via")
    cseq = message.cseq
    if isinstance(message, Request):
        if message.malformed_start:
            raise SipSyntaxError("Malformed request line")
        if message.unsupported_version:
            raise SipSyntaxError("Unsupported SIP version", code=505)
        if cseq.method != message.method:
            raise SipSyntaxError("Method of CSeq is not that of the request")
    _check_length(message)


def _check_length(message: Message) -> None:
    body = message.body
    value = message.get("Content-Length")
    if value is not None:
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise SipSyntaxError("Malformed Content-Length")
        length = int(value)
        if length > len(body):
            raise SipSyntaxError("Body shorter than Content-Length")
        if length < len(body):
            message.body = body = body[:length]
        message.sized()
    if len(body) > MAX_BODY:
        raise SipSyntaxError("Body too long", code=513)


def _answerable(message: Request | Response, lines: list[str]) -> Request | None:
    """The request, when a 400 could find its way back: no ACK, and a Via that can be read."""
    if isinstance(message, Response) or message.method == "ACK":
        return None
    try:
        if not message.has("Via"):
            _salvage(message, lines)
        _ = message.top_via
    except SipSyntaxError:
        return None
    return message


def _salvage(message: Request, lines: list[str]) -> None:
    """Take the lines that can be read when one of them could not."""
    taken, kinds = message.begin()
    taken.clear()
    kinds.clear()
    for line in lines:
        name, colon, _ = line.partition(":")
        kind = SPELLINGS.get(name.rstrip(" \t"))
        if colon and kind is not None and "\n" not in line and "\r" not in line:
            taken.append(line)
            kinds.append(kind)


_KNOWN_SCHEMES = ("sip", "sips", "tel")


def screen(request: Request) -> tuple[int, str] | None:
    """What is wrong with the rest of a request: (status, reason), or None (RFC 3261 §8.2.2, §16.3).

    After it `Uri.parse(request.uri)`, `request.contacts`, the Route values and Max-Forwards can be read without fear.
    """
    try:
        if Uri.parse(request.uri).scheme not in _KNOWN_SCHEMES:
            return 416, "Unsupported URI Scheme"
    except SipSyntaxError as error:
        return error.code, "Malformed Request-URI"
    for name in ("Contact", "Route", "Record-Route", "Path", "Refer-To", "Referred-By", "P-Asserted-Identity"):
        for value in request.get_all(name):
            if value != "*" or name != "Contact":
                try:
                    check_address(value)
                except SipSyntaxError:
                    return 400, f"Malformed {name}"
    for name in ("Max-Forwards", "Expires", "Min-SE"):
        if request.has(name) and request.number(name) is None:
            return 400, f"Malformed {name}"
    if (request.number("Max-Forwards") or 0) > 255:  # RFC 3261 §20.22
        return 400, "Malformed Max-Forwards"
    if request.body and not request.has("Content-Type"):  # RFC 3261 §20.15
        return 400, "Missing Content-Type"
    if request.method in ("INVITE", "SUBSCRIBE") and len(request.get_all("Contact")) != 1:
        return 400, "Exactly one Contact is required"  # RFC 3261 §8.1.1.8
    return _screen_replaces(request)


def _screen_replaces(request: Request) -> tuple[int, str] | None:
    replaces = request.get_all("Replaces")
    if len(replaces) > 1:
        return 400, "More than one Replaces"  # RFC 3891 §3
    try:
        for value in replaces:
            Replaces.parse(value)
    except SipSyntaxError:
        return 400, "Malformed Replaces"
    return None


@dataclass(frozen=True, slots=True)
class Ping:
    """CR LF CR LF from a client that keeps its connection open; it is owed a `PONG`."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A stream whose framing is lost: answer `error.request` if it is there, then close the connection."""

    error: SipSyntaxError


PONG = b"\r\n"


class StreamFramer:
    """Cuts a byte stream into messages by Content-Length, which streams must carry (RFC 3261 §18.3).

    A message that cannot be read but whose end is known is reported as its SipSyntaxError and the stream goes on.
    After `Broken` all further bytes are ignored.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = 0
        self._broken = False

    def feed(self, data: bytes) -> list[Request | Response | SipSyntaxError | Ping | Broken]:
        """Take bytes as they come; give what they complete."""
        if self._broken:
            return []
        self._buffer += data
        if len(self._buffer) < self._wanted:
            return []  # a body that drips in is not looked at for each drop
        return list(self._events())

    def _events(self) -> Iterator[Request | Response | SipSyntaxError | Ping | Broken]:
        buffer = self._buffer
        while buffer:
            if buffer[0] in b"\r\n":
                if buffer.startswith(b"\r\n\r\n"):
                    del buffer[:4]
                    yield Ping()
                    continue
                if b"\r\n\r\n".startswith(bytes(buffer[:4])):
                    return  # the beginning of a ping, or a single CR LF before a message
                del buffer[: 2 if buffer.startswith(b"\r\n") else 1]
                continue
            end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD + 4)
            if end < 0:
                if len(buffer) > MAX_HEAD:
                    yield self._lost("Header too long", b"")
                return
            head = bytes(buffer[: end + 4])
            length = self._length(head)
            if length is None or length > MAX_BODY:
                yield self._lost("No usable Content-Length on a stream", head)
                return
            self._wanted = end + 4 + length
            if len(buffer) < self._wanted:
                return
            whole = bytes(buffer[: self._wanted])
            del buffer[: self._wanted]
            self._wanted = 0
            try:
                yield parse(whole)
            except SipSyntaxError as error:
                yield error

    @staticmethod
    def _length(head: bytes) -> int | None:
        found = {value.strip() for value in _LENGTH_LINE.findall(head)}
        if len(found) != 1:
            return None
        value = found.pop()
        return int(value) if value.isdigit() and len(value) < 10 else None

    def _lost(self, reason: str, head: bytes) -> Broken:
        self._broken = True
        self._buffer.clear()
        error = SipSyntaxError(reason)
        if head:
            try:
                message = parse(head)
                error.request = message if isinstance(message, Request) and message.method != "ACK" else None
            except SipSyntaxError as other:
                error.request = other.request
        return Broken(error)


__all__ = ["MAX_BODY", "MAX_HEAD", "PONG", "Broken", "Ping", "StreamFramer", "parse", "screen", "split_list"]
