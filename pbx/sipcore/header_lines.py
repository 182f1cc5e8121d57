"""The header lines of one message, as they came, beside a list of their kinds: read and changed line by line.

A line is parsed when it is asked for and written anew only when it is changed. RFC 3261 §7.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.headers import LISTS, SPELLINGS, kind_of, split_list

_ORDER = "via route record-route path max-forwards from to call-id cseq contact expires min-expires"
_RANKS = {kind: rank for rank, kind in enumerate(_ORDER.split())} | {"content-type": 98, "content-length": 99}
"""Where a new header goes (RFC 3261 §7.3.1: what proxies need comes first)."""


class HeaderLines:
    """Values are text without the name and with folding undone. A carriage return or line feed in a value that is set
    becomes a space."""

    __slots__ = ("_kinds", "_lines")

    def __init__(self, lines: list[str], kinds: list[str]) -> None:
        self._lines = lines
        self._kinds = kinds

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, name: str) -> str | None:
        """The value of the first line of that name (a list is not split), or None."""
        kind = SPELLINGS.get(name) or kind_of(name)
        kinds = self._kinds
        return _value(self._lines[kinds.index(kind)]) if kind in kinds else None

    def get_all(self, name: str) -> list[str]:
        """All values of that name in order; list headers are split at their commas (RFC 3261 §7.3.1)."""
        kind = SPELLINGS.get(name) or kind_of(name)
        if kind not in self._kinds:
            return []
        values = [_value(line) for line, its in zip(self._lines, self._kinds, strict=True) if its == kind]
        return [part for value in values for part in split_list(value)] if kind in LISTS else values

    def has(self, name: str) -> bool:
        return (SPELLINGS.get(name) or kind_of(name)) in self._kinds

    def tokens(self, name: str) -> set[str]:
        """A list of words as a set in lower case (Supported, Require, Allow-Events…)."""
        return {value.lower() for value in self.get_all(name)}

    def number(self, name: str) -> int | None:
        """A header that is a number of seconds or hops; None when absent or not a number below 2**32."""
        value = self.get(name)
        if value is None:
            return None
        digits = value.partition(";")[0].strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
            return None
        return min(int(digits), 2**32 - 1)

    def headers(self) -> Iterator[tuple[str, str]]:
        """(kind, value) of each line; kinds are lower-case long forms."""
        for kind, line in zip(self._kinds, self._lines, strict=True):
            yield kind, _value(line)

    def raw_lines(self) -> tuple[str, ...]:
        """The header lines as they stand, folding included."""
        return tuple(self._lines)

    @property
    def head_octets(self) -> int:
        """About how much the header lines hold."""
        return sum(map(len, self._lines))

    def _required(self, kind: str) -> str:
        kinds = self._kinds
        if kind not in kinds:
            raise SipSyntaxError(f"Missing {kind.title()}")
        return _value(self._lines[kinds.index(kind)])

    # --- changing ----------------------------------------------------------------------------------------------------

    def add(self, name: str, value: str) -> None:
        """One more line, after those of its name, or at its customary place."""
        kind = kind_of(name)
        self._insert(self._place(kind), kind, name, value)

    def insert_first(self, name: str, value: str) -> None:
        """One more line, before those of its name (Via, Record-Route)."""
        kind = kind_of(name)
        at = self._kinds.index(kind) if kind in self._kinds else self._place(kind)
        self._insert(at, kind, name, value)

    def set(self, name: str, value: str) -> None:
        """Exactly one line of that name, where the first one stood."""
        kind = kind_of(name)
        if kind not in self._kinds:
            self._insert(self._place(kind), kind, name, value)
            return
        at = self._kinds.index(kind)
        self._lines[at] = _line(name, value)
        if self._kinds.count(kind) > 1:
            self._drop(kind, after=at)
        self._forget(kind)

    def remove(self, name: str) -> None:
        """No line of that name."""
        kind = kind_of(name)
        if kind in self._kinds:
            self._drop(kind, after=-1)
            self._forget(kind)

    def remove_first(self, name: str) -> str | None:
        """Take the first value away (of a list, only its first element) and return it: popping a Via or a Route."""
        kind = kind_of(name)
        if kind not in self._kinds:
            return None
        at = self._kinds.index(kind)
        value = _value(self._lines[at])
        parts = split_list(value) if kind in LISTS else [value]
        if len(parts) > 1:
            self._lines[at] = _line(name, ", ".join(parts[1:]))
        else:
            del self._lines[at], self._kinds[at]
        self._forget(kind)
        return parts[0] if parts else ""

    def replace_first(self, name: str, value: str) -> None:
        """Write the first value anew and leave the others (stamping a Via)."""
        self.remove_first(name)
        self.insert_first(name, value)

    def copy_from(self, other: HeaderLines, *names: str) -> None:
        """Append the lines of these names as they stand in `other`."""
        for name in names:
            kind = kind_of(name)
            for line, its in zip(other._lines, other._kinds, strict=True):
                if its == kind:
                    at = self._place(kind)
                    self._lines.insert(at, line)
                    self._kinds.insert(at, kind)
            self._forget(kind)

    def _place(self, kind: str) -> int:
        kinds = self._kinds
        if kind in kinds:
            return len(kinds) - kinds[::-1].index(kind)
        rank = _RANKS.get(kind, 50)
        if rank < 50:
            return next((at for at, its in enumerate(kinds) if _RANKS.get(its, 50) > rank), len(kinds))
        at = len(kinds)
        while at and _RANKS.get(kinds[at - 1], 50) > rank:
            at -= 1
        return at

    def _insert(self, at: int, kind: str, name: str, value: str) -> None:
        self._lines.insert(at, _line(name, value))
        self._kinds.insert(at, kind)
        self._forget(kind)

    def _drop(self, kind: str, *, after: int) -> None:
        for at in range(len(self._kinds) - 1, after, -1):
            if self._kinds[at] == kind:
                del self._lines[at], self._kinds[at]

    def _forget(self, kind: str) -> None:
        """Told of each change: what was read from lines of that kind is out of date."""

    # --- for the parser ----------------------------------------------------------------------------------------------

    def begin(self) -> tuple[list[str], list[str]]:
        """The lines and their kinds themselves, for the parser to fill."""
        return self._lines, self._kinds


def _value(line: str) -> str:
    value = line.partition(":")[2].strip(" \t\r\n")
    if "\n" in value:
        # RFC 3261 §7.3.1: a line break and the white space after it mean one space
        value = " ".join(part.strip(" \t") for part in value.split("\r\n"))
    return value


def _line(name: str, value: str) -> str:
    if "\r" in value or "\n" in value:
        value = " ".join(value.split())
    return f"{name}: {value}"
