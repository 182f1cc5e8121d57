"""The commands of a client as plain values. `grammar` makes them; `session` obeys them.

RFC 3501 §6, with RFC 2177 (IDLE), 2342 (NAMESPACE), 2971 (ID), 3691 (UNSELECT), 4315 (UIDPLUS), 4959 (SASL-IR),
5161 (ENABLE), 5258 and 5819 (LIST with options and STATUS), 6154 (SPECIAL-USE), 6851 (MOVE), 7162 (CONDSTORE).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date

from mail.imap.sets import SequenceSet
from mail.store.model import FlagAction


class Plain(enum.Enum):
    """Commands without arguments."""

    CAPABILITY = "CAPABILITY"
    NOOP = "NOOP"
    LOGOUT = "LOGOUT"
    STARTTLS = "STARTTLS"
    NAMESPACE = "NAMESPACE"
    CHECK = "CHECK"
    CLOSE = "CLOSE"
    UNSELECT = "UNSELECT"
    IDLE = "IDLE"


@dataclass(frozen=True, slots=True)
class Identify:
    """ID: who the client says it is; kept for the log."""

    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class Enable:
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select:
    mailbox: str
    read_only: bool
    condstore: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Delete:
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    mailbox: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class List:
    """LIST and LSUB. `select` and `returns` are options of RFC 5258; `status` the items of RFC 5819."""

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    lsub: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    mailbox: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND up to its message, which the driver streams."""

    mailbox: str
    flags: tuple[str, ...]
    internal_date: int | None


@dataclass(frozen=True, slots=True)
class Expunge:
    uids: SequenceSet | None


class Item(enum.Enum):
    """FETCH items that need no octets, or only the structure."""

    FLAGS = "FLAGS"
    UID = "UID"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a message: `BODY[1.2.HEADER]<0.100>`. `what` is "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT
    or MIME; `label` is how the answer names it; with `peek` it does not set `\\Seen`."""

    part: tuple[int, ...]
    what: str
    label: bytes
    fields: tuple[str, ...] = ()
    peek: bool = False
    start: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    chosen: SequenceSet
    items: tuple[Item | Section, ...]
    by_uid: bool
    changed_since: int | None = None


@dataclass(frozen=True, slots=True)
class Store:
    chosen: SequenceSet
    action: FlagAction
    silent: bool
    flags: tuple[str, ...]
    by_uid: bool
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY, and MOVE when `move` is true."""

    chosen: SequenceSet
    mailbox: str
    by_uid: bool
    move: bool


# ---- search keys (RFC 3501 §6.4.4) ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class All:
    pass


@dataclass(frozen=True, slots=True)
class HasFlag:
    """A system flag or keyword is set (or not). `\\Recent` is among them."""

    flag: str
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class HeaderHas:
    """A header field exists and holds this text (any, when empty); case-insensitive."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TextHas:
    """The body, or with `header` the whole message, holds this text."""

    text: str
    header: bool


class DateOf(enum.Enum):
    ARRIVED = "internal date"
    SENT = "Date header"


class Order(enum.Enum):
    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class Dated:
    which: DateOf
    order: Order
    day: date


@dataclass(frozen=True, slots=True)
class Sized:
    larger: bool
    octets: int


@dataclass(frozen=True, slots=True)
class Among:
    """In a set, of sequence numbers or of UIDs."""

    chosen: SequenceSet
    by_uid: bool


@dataclass(frozen=True, slots=True)
class ModifiedSince:
    modseq: int


@dataclass(frozen=True, slots=True)
class Not:
    key: Key


@dataclass(frozen=True, slots=True)
class Either:
    one: Key
    other: Key


@dataclass(frozen=True, slots=True)
class Every:
    keys: tuple[Key, ...]


Key = All | HasFlag | HeaderHas | TextHas | Dated | Sized | Among | ModifiedSince | Not | Either | Every


@dataclass(frozen=True, slots=True)
class Search:
    key: Key
    by_uid: bool


Command = (
    Plain
    | Identify
    | Login
    | Authenticate
    | Enable
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Status
    | Append
    | Expunge
    | Fetch
    | Store
    | Copy
    | Search
)
