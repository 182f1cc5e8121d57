"""What the store keeps, as plain values: mailboxes, messages, flags, changes. Nothing here reads a database."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from base.failures import Failure

# Limit: the largest message (issue: 50 MB), as octets.
MAX_MESSAGE = 50 * 1024 * 1024
# Limit: keywords of one message, and octets of one keyword; ours, so that a row stays small.
MAX_KEYWORDS = 32
MAX_KEYWORD = 64


class Flag(enum.IntFlag):
    """System flags (RFC 3501 §2.3.2); `\\Recent` belongs to sessions and is not stored."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


FLAG_NAMES = {
    Flag.SEEN: "\\Seen",
    Flag.ANSWERED: "\\Answered",
    Flag.FLAGGED: "\\Flagged",
    Flag.DELETED: "\\Deleted",
    Flag.DRAFT: "\\Draft",
}
_BY_NAME = {name.lower(): flag for flag, name in FLAG_NAMES.items()}
_NAMES_OF_BITS = tuple(tuple(name for flag, name in FLAG_NAMES.items() if bits & flag) for bits in range(32))


class FlagAction(enum.Enum):
    """What STORE does with the flags it is given (RFC 3501 §6.4.6)."""

    ADD = "+"
    REMOVE = "-"
    REPLACE = "="


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags of one message: system bits, and keywords in the case they were given."""

    bits: int = 0
    keywords: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> Flags:
        """From `\\Seen`, `$Forwarded`, …; case-insensitive. `\\Recent` is left out (RFC 3501 §2.3.2).

        Raises Failure("invalid") for an unknown system flag, a bad keyword or too many of them.
        """
        bits = 0
        keywords: dict[str, str] = {}
        for name in names:
            if name.startswith("\\"):
                bits |= _system(name)
            else:
                keywords.setdefault(_keyword(name).lower(), name)
        if len(keywords) > MAX_KEYWORDS:
            raise Failure("invalid", "too many keywords")
        return cls(bits, tuple(keywords.values()))

    def __iter__(self) -> Iterator[str]:
        yield from _NAMES_OF_BITS[self.bits & 31]
        yield from self.keywords

    def changed(self, action: FlagAction, by: Flags) -> Flags:
        """These flags after `action`. Raises Failure("invalid") when there would be too many keywords."""
        if action is FlagAction.REPLACE:
            return by
        theirs = {keyword.lower() for keyword in by.keywords}
        if action is FlagAction.REMOVE:
            return Flags(self.bits & ~by.bits, tuple(k for k in self.keywords if k.lower() not in theirs))
        mine = {keyword.lower() for keyword in self.keywords}
        keywords = self.keywords + tuple(k for k in by.keywords if k.lower() not in mine)
        if len(keywords) > MAX_KEYWORDS:
            raise Failure("invalid", "too many keywords")
        return Flags(self.bits | by.bits, keywords)


def _system(name: str) -> int:
    if name.lower() == "\\recent":
        return 0
    flag = _BY_NAME.get(name.lower())
    if flag is None:
        raise Failure("invalid", "unknown system flag")
    return flag


def _keyword(name: str) -> str:
    if not name or len(name) > MAX_KEYWORD or not name.isascii() or not name.isprintable():
        raise Failure("invalid", "bad keyword")
    if any(character in ' (){}%*"\\]' for character in name):
        raise Failure("invalid", "bad keyword")
    return name


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox. `id` stays when it is renamed; `special` is a special use without the backslash (RFC 6154)."""

    id: int
    name: str
    uidvalidity: int
    uidnext: int
    modseq: int
    special: str = ""
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of a mailbox (RFC 3501 §6.3.10)."""

    mailbox: Mailbox
    messages: int
    unseen: int
    recent: int
    size: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message without its octets; `internal_date` in seconds since 1970 UTC, `size` and `header_size` in octets."""

    uid: int
    modseq: int
    flags: Flags
    internal_date: int
    size: int
    header_size: int
    blob: int
    voice: bool


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an accepted message is; `again` when the same queue id had been delivered before (nothing was added)."""

    uidvalidity: int
    uid: int
    mailbox_id: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Copied:
    """Which message became which (RFC 4315 §3): `sources[i]` is now `targets[i]` in the other mailbox."""

    uidvalidity: int
    sources: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a mailbox after some modseq. `complete` false: too long ago, compare the whole list."""

    modseq: int
    changed: tuple[Message, ...]
    expunged: tuple[int, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What SELECT tells: the mailbox, its UIDs in order, and the first of them that is not `\\Seen`."""

    mailbox: Mailbox
    uids: tuple[int, ...]
    first_unseen: int | None


class Kind(enum.Flag):
    """What a change touched; REMOVED: the account's mail as a whole is gone."""

    ARRIVED = 1
    FLAGS = 2
    EXPUNGED = 4
    MAILBOXES = 8
    REMOVED = 16


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change of one mailbox; `voice` says that a voice message was touched (the lamp may change)."""

    account_id: int
    mailbox_id: int
    mailbox: str
    kind: Kind
    modseq: int = 0
    voice: bool = False


class Octets(Protocol):
    """A message too large to hold in memory, read once in a writing thread."""

    @property
    def size(self) -> int: ...

    def pieces(self) -> Iterator[bytes]:
        """The octets in order, in pieces of any length; may be asked for more than once."""
