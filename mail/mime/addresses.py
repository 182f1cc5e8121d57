"""Address lists of header fields (RFC 5322 §3.4), as ENVELOPE wants them (RFC 3501 §7.4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mail.mime.fields import unquote

_WORDS = re.compile(
    rb"""(?P<space>[ \t\r\n]+)
       | (?P<quoted>"(?:[^"\\]|\\.)*"?)
       | (?P<literal>\[(?:[^\]\\]|\\.)*\]?)
       | (?P<special>[<>(),;:@\\])
       | (?P<atom>[^ \t\r\n"\[<>(),;:@\\]+)""",
    re.VERBOSE | re.DOTALL,
)
# Limit: addresses of one field that are told, and octets of it that are read.
_MAX_ADDRESSES = 1000
_MAX_OCTETS = 128 * 1024


@dataclass(frozen=True, slots=True)
class MailAddress:
    """One address. `host` None with a mailbox: a group begins; both None: it ends."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END = MailAddress(None, None, None, None)


def parse_addresses(value: bytes) -> tuple[MailAddress, ...]:
    """All addresses in order, groups marked; nonsense yields whatever can be made of it."""
    reader = _Reader()
    for match in _WORDS.finditer(value[:_MAX_OCTETS]):
        kind = match.lastgroup
        assert kind is not None
        reader.word(kind, match[0])
        if len(reader.found) >= _MAX_ADDRESSES:
            break
    return tuple(reader.end())


class _Reader:
    """Collects words until a comma, then says what address they were."""

    def __init__(self) -> None:
        self.found: list[MailAddress] = []
        self._in_group = False
        self._reset()

    def _reset(self) -> None:
        self._phrase: list[bytes] = []
        self._angle: list[bytes] | None = None
        self._closed = False
        self._depth = 0
        self._comment: list[bytes] = []

    def word(self, kind: str, text: bytes) -> None:
        if self._depth or text == b"(":
            self._in_comment(text)
        elif kind == "special":
            self._special(text)
        elif self._angle is not None and not self._closed:
            if kind != "space":
                self._angle.append(text)
        else:
            self._phrase.append(b" " if kind == "space" else text)

    def _in_comment(self, text: bytes) -> None:
        if text == b"(":
            self._depth += 1
        elif text == b")":
            self._depth -= 1
        else:
            self._comment.append(text)

    def _special(self, text: bytes) -> None:
        inside = self._angle is not None and not self._closed
        if text == b"<" and self._angle is None:
            self._angle = []
        elif text == b">" and inside:
            self._closed = True
        elif text == b"," and not inside:
            self._finish()
        elif text == b";" and not inside:
            self._finish()
            self._end_group()
        elif text == b":" and not inside and not self._in_group:
            self.found.append(MailAddress(None, None, _plain(self._phrase) or b"", None))
            self._in_group = True
            self._reset()
        elif inside and self._angle is not None:
            if text in (b"@", b":", b","):
                self._angle.append(text)
        elif text in (b"@", b":"):
            self._phrase.append(text)

    def _end_group(self) -> None:
        if self._in_group:
            self.found.append(GROUP_END)
            self._in_group = False

    def _finish(self) -> None:
        address = self._address()
        if address is not None:
            self.found.append(address)
        self._reset()

    def _address(self) -> MailAddress | None:
        if self._angle is not None:
            route, words = _split_route(self._angle)
            mailbox, host = _split(words)
            name = _plain(self._phrase)
            return MailAddress(name or None, route, mailbox, host) if mailbox or host else None
        words = [word for word in self._phrase if word != b" "]
        if not words:
            return None
        mailbox, host = _split(words)
        # The old way to give a name: `fred@host (Fred)` (RFC 5322 §3.4, note).
        comment = b" ".join(b"".join(self._comment).split())
        return MailAddress(comment or None, None, mailbox, host)

    def end(self) -> list[MailAddress]:
        self._finish()
        self._end_group()
        return self.found


def _plain(words: list[bytes]) -> bytes:
    """A phrase as text: quotes taken off, runs of space made one."""
    text = b"".join(unquote(word.strip(b'"')) if word.startswith(b'"') else word for word in words)
    return b" ".join(text.split())


def _split_route(words: list[bytes]) -> tuple[bytes | None, list[bytes]]:
    """`@a,@b:c@d` → the source route and the rest."""
    if words[:1] == [b"@"] and b":" in words:
        colon = words.index(b":")
        return b"".join(words[:colon]), words[colon + 1 :]
    return None, words


def _split(words: list[bytes]) -> tuple[bytes, bytes]:
    """Mailbox and host at the last `@`; an empty host when there is none (a host of NIL would begin a group)."""
    if b"@" in words:
        at = len(words) - 1 - words[::-1].index(b"@")
        return _local(words[:at]), b"".join(words[at + 1 :])
    return _local(words), b""


def _local(words: list[bytes]) -> bytes:
    return b"".join(unquote(word.strip(b'"')) if word.startswith(b'"') else word for word in words)
