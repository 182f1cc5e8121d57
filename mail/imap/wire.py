"""Cuts what a client sends into commands, literals and plain lines (RFC 3501 §4.3, RFC 7888).

Pure: octets in, events out.

    A1 LOGIN {5}      -> Continue, then the five octets join the line
    A2 APPEND x {900} -> MessageStart; after `accept` the message comes as MessageData …, MessageEnd

Nothing grows beyond its bound: a line or literal that is too long ends as `Broken`.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import assert_never

from base.failures import Failure
from mail.imap import grammar
from mail.imap.commands import Append, Command
from mail.imap.grammar_search import UnknownCharset
from mail.imap.lexer import BadCommand
from mail.store.model import MAX_MESSAGE

# Limit: octets of one command with its small literals (RFC 7162 §4 asks for 8192 at least).
MAX_COMMAND = 128 * 1024
# Limit: the same for somebody who has not logged in.
MAX_STRANGER = 8 * 1024
# Limit: what a refused LITERAL+ may hold; we read and drop it, then go on. Beyond, we hang up.
MAX_DROPPED = MAX_MESSAGE + 1024 * 1024
# Limit: a line that is no command (an answer of AUTHENTICATE, DONE).
MAX_LINE = 8 * 1024

_LITERAL = re.compile(rb"\{(\d{1,10})(\+?)\}\r?\n\Z")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A whole command."""

    tag: str
    command: Command


@dataclass(frozen=True, slots=True)
class Line:
    """A plain line, when one was expected."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Continue:
    """The client waits for `+` before it sends a literal."""


@dataclass(frozen=True, slots=True)
class MessageStart:
    """An APPEND as far as its message. Say `accept` or `refuse` before asking for the next event."""

    tag: str
    command: Append
    size: int
    waits: bool


@dataclass(frozen=True, slots=True)
class MessageData:
    octets: bytes


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """The message is whole and the command has ended as it must; `tag` is answered now."""

    tag: str


@dataclass(frozen=True, slots=True)
class Broken:
    """BAD (or NO, when `refused` says why): what came is no command. `fatal`: nothing more can be understood."""

    tag: str | None
    text: str
    fatal: bool = False
    refused: Failure | None = None
    charset: bool = False


Event = Arrived | Line | Continue | MessageStart | MessageData | MessageEnd | Broken


class _State(enum.Enum):
    COMMAND = "a command line, or the rest of one after a literal"
    LITERAL = "octets of a small literal"
    DECIDING = "an APPEND waits for accept or refuse"
    MESSAGE = "octets of a message"
    MESSAGE_END = "the line end after a message"
    DROPPING = "octets of a literal that was refused"
    DROPPED_LINE = "the rest of a line that was refused"
    PLAIN = "a line that is no command"
    DEAD = "nothing any more"


class Reader:
    """Feed it octets, then take events until there is none."""

    def __init__(self, limit: int = MAX_STRANGER) -> None:
        self.limit = limit
        self._state = _State.COMMAND
        self._waiting = bytearray()
        self._command = bytearray()
        self._searched = 0
        self._left = 0
        self._waits = False
        self._tag = ""

    @property
    def buffered(self) -> int:
        """Octets that came and were not taken."""
        return len(self._waiting)

    def feed(self, octets: bytes) -> None:
        if self._state is not _State.DEAD:
            self._waiting += octets

    def expect_line(self) -> None:
        """The next line is not a command (AUTHENTICATE, IDLE)."""
        self._state = _State.PLAIN

    def accept(self) -> None:
        """Take the message of the APPEND that was told."""
        self._state = _State.MESSAGE if self._left else _State.MESSAGE_END

    def refuse(self) -> None:
        """Do without it: a client that waits will not send it, one that does not is read past."""
        self._drop()

    def next(self) -> Event | None:
        """The next event; None when more octets are needed."""
        while True:
            match self._state:
                case _State.COMMAND:
                    outcome = self._line()
                case _State.LITERAL:
                    outcome = self._literal()
                case _State.MESSAGE:
                    outcome = self._message()
                case _State.MESSAGE_END:
                    outcome = self._message_end()
                case _State.DROPPING:
                    outcome = self._dropping()
                case _State.DROPPED_LINE:
                    outcome = self._dropped_line()
                case _State.PLAIN:
                    outcome = self._plain()
                case _State.DECIDING | _State.DEAD:
                    outcome = False
                case _:
                    assert_never(self._state)
            if outcome is not True:
                return outcome or None

    # Each step below gives an event, True (go on) or False (more octets are needed).

    def _take_line(self) -> bytes | None:
        """A line with its end; None when it has not come."""
        end = self._waiting.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._waiting)
            return None
        self._searched = 0
        line = bytes(self._waiting[: end + 1])
        del self._waiting[: end + 1]
        return line

    def _line(self) -> Event | bool:
        line = self._take_line()
        if line is None:
            return self._too_long() if len(self._waiting) + len(self._command) > self.limit else False
        self._command += line
        if len(self._command) > self.limit:
            self._command.clear()
            return Broken(None, "command is too long")
        literal = _LITERAL.search(line[-20:])
        if literal is None:
            return self._whole()
        return self._announced(int(literal[1]), not literal[2])

    def _too_long(self) -> Event:
        """No end in sight: there is no way to find the next command."""
        self._state = _State.DEAD
        self._waiting.clear()
        return Broken(None, "command is too long", fatal=True)

    def _whole(self) -> Event | bool:
        octets = bytes(self._command)
        octets = octets[:-2] if octets.endswith(b"\r\n") else octets[:-1]
        self._command.clear()
        if not octets:
            return True  # Interop: an empty line between commands (after APPEND, some clients send one).
        return _parsed(octets)

    def _announced(self, size: int, waits: bool) -> Event | bool:
        """A literal follows: of a message, or small and part of the line."""
        self._left, self._waits = size, waits
        prefix = bytes(self._command[: self._command.rindex(b"{")])
        try:
            append = grammar.append_prefix(prefix)
        except (BadCommand, Failure) as error:
            return self._broken(prefix, error)
        if append is not None:
            self._state = _State.DECIDING
            self._tag = append[0]
            self._command.clear()
            return MessageStart(*append, size, waits)
        if len(self._command) + size > self.limit:
            return self._broken(prefix, BadCommand("literal is too large"))
        self._state = _State.LITERAL
        return Continue() if waits else True

    def _broken(self, prefix: bytes, error: BadCommand | Failure) -> Event:
        self._command.clear()
        self._drop()
        return _refusal(grammar.tag_of(prefix), error)

    def _drop(self) -> None:
        """Forget the literal that was announced, and the command with it."""
        if self._waits:
            self._state = _State.COMMAND
        elif self._left > MAX_DROPPED:
            self._state = _State.DEAD
        else:
            self._state = _State.DROPPING

    def _literal(self) -> Event | bool:
        if len(self._waiting) < self._left:
            return False
        self._command += self._waiting[: self._left]
        del self._waiting[: self._left]
        self._state = _State.COMMAND
        return True

    def _message(self) -> Event | bool:
        if not self._waiting:
            return False
        octets = bytes(self._waiting[: self._left])
        del self._waiting[: self._left]
        self._left -= len(octets)
        if not self._left:
            self._state = _State.MESSAGE_END
        return MessageData(octets)

    def _message_end(self) -> Event | bool:
        line = self._take_line()
        if line is None:
            return self._too_long() if len(self._waiting) > MAX_LINE else False
        self._state = _State.COMMAND
        if line.strip():
            return Broken(self._tag, "one message at a time")
        return MessageEnd(self._tag)

    def _dropping(self) -> Event | bool:
        gone = min(self._left, len(self._waiting))
        del self._waiting[:gone]
        self._left -= gone
        if self._left:
            return False
        self._state = _State.DROPPED_LINE
        return True

    def _dropped_line(self) -> Event | bool:
        """What follows a refused literal belongs to the same command, and may announce another."""
        line = self._take_line()
        if line is None:
            return self._too_long() if len(self._waiting) > self.limit else False
        literal = _LITERAL.search(line[-20:])
        self._state = _State.COMMAND
        if literal is not None:
            self._left, self._waits = int(literal[1]), not literal[2]
            self._drop()
        return True

    def _plain(self) -> Event | bool:
        line = self._take_line()
        if line is None:
            return self._too_long() if len(self._waiting) > MAX_LINE else False
        self._state = _State.COMMAND
        return Line(line.rstrip(b"\r\n"))


def _parsed(octets: bytes) -> Event:
    try:
        return Arrived(*grammar.parse(octets))
    except (BadCommand, Failure) as error:
        return _refusal(grammar.tag_of(octets), error)


def _refusal(tag: str | None, error: BadCommand | Failure) -> Broken:
    if isinstance(error, Failure):
        return Broken(tag, error.public, refused=error)
    return Broken(tag, str(error), charset=isinstance(error, UnknownCharset))
