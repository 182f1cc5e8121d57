"""The values that settings, programs and records are made of.

Not a serializer (`base.values.text` is) and not a language. A value is one of: `None` (null), `str`, `int` (signed,
64 bits), `bytes` (datablock), `TimeStamp`, `NetAddress`, `list` (array), `Dictionary`, `XmlElement` or a `Handle`.
A string is UTF-8 octets held as `str` with surrogate escapes, so that any octets survive; lengths count octets.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

NUMBER_MIN = -(2**63)
NUMBER_MAX = 2**63 - 1

_EARLIEST = -62_135_596_800  # 0001-01-01
_LATEST = 253_402_300_799  # 9999-12-31 23:59:59


def wrap(number: int) -> int:
    """The number reduced to 64 bits with sign."""
    return (number + 2**63) % 2**64 - 2**63


@dataclass(frozen=True, slots=True, order=True)
class TimeStamp:
    """A moment: whole seconds since 1970-01-01 00:00 GMT; what no calendar can show is the remote past or future."""

    seconds: int

    def __post_init__(self) -> None:
        if self.seconds < _EARLIEST:
            object.__setattr__(self, "seconds", NUMBER_MIN)
        elif self.seconds > _LATEST:
            object.__setattr__(self, "seconds", NUMBER_MAX)

    @property
    def remote(self) -> bool:
        """True for the remote past and the remote future."""
        return self.seconds in (NUMBER_MIN, NUMBER_MAX)

    def moved(self, seconds: int) -> TimeStamp:
        """This moment `seconds` later; a remote one stays where it is."""
        return self if self.remote else TimeStamp(self.seconds + seconds)

    def moment(self) -> datetime:
        """The aware UTC `datetime`. Raises ValueError for the remote ones."""
        if self.remote:
            raise ValueError("a remote timestamp has no date")
        return datetime.fromtimestamp(self.seconds, UTC)

    def __str__(self) -> str:
        """`DD-MM-YYYY_HH:MM:SS`, `PAST` or `FUTURE`."""
        if self.remote:
            return "PAST" if self.seconds < 0 else "FUTURE"
        at = self.moment()
        return f"{at.day:02}-{at.month:02}-{at.year:04}_{at.hour:02}:{at.minute:02}:{at.second:02}"

    @classmethod
    def parse(cls, text: str) -> TimeStamp:
        """Read `DD-MM-YYYY[_HH:MM[:SS]]`, `PAST` or `FUTURE`. Raises ValueError."""
        folded = text.strip().upper()
        if folded in ("PAST", "FUTURE"):
            return PAST if folded == "PAST" else FUTURE
        day, _, hour = folded.partition("_")
        date = [_digits(part, 4) for part in day.split("-")]
        clock = [_digits(part, 2) for part in hour.split(":")] if hour else []
        if len(date) != 3 or len(clock) not in (0, 2, 3):
            raise ValueError(f"not a timestamp: {text!r}")
        hours, minutes, seconds = (*clock, 0, 0, 0)[:3]
        moment = datetime(date[2], date[1], date[0], hours, minutes, seconds, tzinfo=UTC)
        return cls(int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()))


def _digits(text: str, most: int) -> int:
    if not (0 < len(text) <= most and text.isascii() and text.isdigit()):
        raise ValueError(f"not a number of at most {most} digits: {text!r}")
    return int(text)


PAST = TimeStamp(NUMBER_MIN)
FUTURE = TimeStamp(NUMBER_MAX)


@dataclass(frozen=True, slots=True)
class NetAddress:
    """An IPv4 or IPv6 address in canonical text, with a port or 0."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        """`[1.2.3.4]` or `[1.2.3.4]:5060`."""
        return f"[{self.host}]:{self.port}" if self.port else f"[{self.host}]"

    def order(self) -> tuple[int, int, int]:
        """A key that sorts IPv4 before IPv6, then by address and port."""
        address = ipaddress.ip_address(self.host)
        return (address.version, int(address), self.port)

    @classmethod
    def parse(cls, text: str) -> NetAddress:
        """Read `[1.2.3.4]:port`, `[::1]`, `1.2.3.4:port`, `1.2.3.4` or `::1`. Raises ValueError."""
        text = text.strip()
        if text.startswith("["):
            host, closed, rest = text[1:].partition("]")
            if not closed or (rest and not rest.startswith(":")):
                raise ValueError(f"not an address: {text!r}")
            port = rest[1:] if rest else ""
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
            rest = ":" + port
        else:
            host, port, rest = text, "", ""
        number = _digits(port, 5) if rest else 0
        if number > 65535 or "%" in host:
            raise ValueError(f"not an address: {text!r}")
        return cls(str(ipaddress.ip_address(host)), number)


class Dictionary:
    """Keys and values in the order in which the keys came; case of keys matters unless switched off."""

    __slots__ = ("_exact", "_folded", "_order")

    def __init__(
        self, items: Iterable[tuple[str, Value]] | Mapping[str, Value] = (), *, case_sensitive: bool = True
    ) -> None:
        self._exact: dict[str, Value] = {}
        self._folded: dict[str, str] | None = None if case_sensitive else {}
        self._order: list[str] | None = None
        for key, value in items.items() if isinstance(items, Mapping) else items:
            self[key] = value

    @property
    def case_sensitive(self) -> bool:
        return self._folded is None

    def set_case_sensitive(self, sensitive: bool) -> None:
        """Switch how keys are compared. Of keys that become the same one the last value stays."""
        if sensitive == (self._folded is None):
            return
        items = list(self._exact.items())
        self._exact, self._folded, self._order = {}, None if sensitive else {}, None
        for key, value in items:
            self[key] = value

    def _spelled(self, key: str) -> str:
        return key if self._folded is None else self._folded.get(key.lower(), key)

    def get(self, key: str, default: Value = None) -> Value:
        return self._exact.get(key if self._folded is None else self._spelled(key), default)

    def __getitem__(self, key: str) -> Value:
        return self._exact[self._spelled(key)]

    def __setitem__(self, key: str, value: Value) -> None:
        if self._folded is not None:
            key = self._folded.setdefault(key.lower(), key)
        if key not in self._exact:
            self._order = None
        self._exact[key] = value

    def remove(self, key: str) -> None:
        """Forget the key; nothing happens when it is not there."""
        if self._exact.pop(self._spelled(key), _NOTHING) is not _NOTHING:
            self._order = None
            if self._folded is not None:
                del self._folded[key.lower()]

    def key_at(self, index: int) -> str | None:
        """Key number `index`, counted from 0, or None."""
        if not 0 <= index < len(self._exact):
            return None
        if self._order is None:
            self._order = list(self._exact)
        return self._order[index]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._spelled(key) in self._exact

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def __len__(self) -> int:
        return len(self._exact)

    def items(self) -> Iterable[tuple[str, Value]]:
        return self._exact.items()

    def __eq__(self, other: object) -> bool:
        return equal(self, other) if isinstance(other, Dictionary) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Dictionary({self._exact!r})"


class _Nothing:
    __slots__ = ()


_NOTHING = _Nothing()


@dataclass(slots=True, eq=False)
class XmlElement:
    """An XML element: a tree that programs change in place.

    `prefix` is "" for none; `namespaces` maps the prefixes declared here to URIs; `attributes` is keyed by
    (prefix, name); a child is an element or text.
    """

    type: str
    prefix: str = ""
    namespaces: dict[str, str] = field(default_factory=dict)
    attributes: dict[tuple[str, str], str] = field(default_factory=dict)
    children: list[XmlElement | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All the text directly inside."""
        return "".join(child for child in self.children if isinstance(child, str))


class Handle:
    """Something that only its owner understands: a task, a mailbox, a message. Two handles are equal when identical."""

    __slots__ = ()

    class_name = "STHandle"

    def describe(self) -> str:
        """What stands in the text form, `#(STHandle ...)`: no parentheses."""
        return ""


Value: TypeAlias = str | int | bytes | TimeStamp | NetAddress | list["Value"] | Dictionary | XmlElement | Handle | None


def equal(left: object, right: object) -> bool:
    """Equality by value, however deep, also of structures that hold themselves; unlike types are unequal."""
    assumed: set[tuple[int, int]] = set()
    waiting: list[tuple[object, object]] = [(left, right)]
    while waiting:
        a, b = waiting.pop()
        if a is b:
            continue
        if type(a) is not type(b):
            return False
        if isinstance(a, list | Dictionary | XmlElement):
            if (id(a), id(b)) not in assumed:
                assumed.add((id(a), id(b)))
                pairs = _pairs(a, b)
                if pairs is None:
                    return False
                waiting.extend(pairs)
        elif a != b:
            return False
    return True


def _pairs(a: object, b: object) -> list[tuple[object, object]] | None:
    """What must be equal inside two containers of one type; None when they differ already."""
    if isinstance(a, list) and isinstance(b, list):
        return list(zip(a, b, strict=True)) if len(a) == len(b) else None
    if isinstance(a, Dictionary) and isinstance(b, Dictionary):
        if len(a) != len(b) or not all(key in b for key in a):
            return None
        return [(value, b[key]) for key, value in a.items()]
    if isinstance(a, XmlElement) and isinstance(b, XmlElement):
        same = (a.type, a.prefix, a.namespaces, a.attributes) == (b.type, b.prefix, b.namespaces, b.attributes)
        return list(zip(a.children, b.children, strict=True)) if same and len(a.children) == len(b.children) else None
    return None


def copy_value(value: Value) -> Value:
    """A deep copy; what was shared inside stays shared, handles are not copied. Works on any depth."""
    made: dict[int, Value] = {}
    pending: list[Value] = []

    def twin(original: Value) -> Value:
        if not isinstance(original, list | Dictionary | XmlElement):
            return original
        if id(original) not in made:
            made[id(original)] = _shell(original)
            pending.append(original)
        return made[id(original)]

    result = twin(value)
    while pending:
        original = pending.pop()
        copy = made[id(original)]
        if isinstance(original, list) and isinstance(copy, list):
            copy.extend(twin(item) for item in original)
        elif isinstance(original, Dictionary) and isinstance(copy, Dictionary):
            for key, item in original.items():
                copy[key] = twin(item)
        elif isinstance(original, XmlElement) and isinstance(copy, XmlElement):
            for child in original.children:
                inner = twin(child)
                assert isinstance(inner, str | XmlElement)
                copy.children.append(inner)
    return result


def _shell(value: list[Value] | Dictionary | XmlElement) -> Value:
    if isinstance(value, list):
        return []
    if isinstance(value, Dictionary):
        return Dictionary(case_sensitive=value.case_sensitive)
    return XmlElement(value.type, value.prefix, dict(value.namespaces), dict(value.attributes))


def octets(text: str) -> bytes:
    """The octets of a string value."""
    return text.encode("utf-8", "surrogateescape")


def from_octets(data: bytes) -> str:
    """The string value of any octets."""
    return data.decode("utf-8", "surrogateescape")


def octet_length(text: str) -> int:
    """How many octets a string value has."""
    return len(text) if text.isascii() else len(octets(text))
