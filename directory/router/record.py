"""One record of the Router: `NoRelay:Signal:<9*@example.com> = *@gateway.example.com`. Pure text.

    [prefix:]... left = right   ; remark

A left side in angle brackets is an account-level record, `<local@domain>` or `<local>` in the main domain; a bare one
is domain-level. Spec: cgp-server §3; the guide, section V.C. Its right side may be a list, which CommuniGate's may not:
`<+(7-15d)@*> = +*@cheap, +*@other` leads to the first, and calls that are not taken there to the next.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from directory import names
from directory.model import Address, Use
from directory.router.pattern import Pattern, PatternError, fill


class Verdict(enum.Enum):
    """A right side that leads nowhere."""

    ERROR = "error"
    """Refused as unknown."""
    NULL = "null"
    """Taken and thrown away."""
    BLACKLISTED = "blacklisted"
    """Refused."""


class RecordError(ValueError):
    """What is wrong with a line: where (from 1) and how to mend it."""

    def __init__(self, line: int, column: int, fault: str, cure: str) -> None:
        super().__init__(f"line {line}, column {column}: {fault}: {cure}")
        self.line = line
        self.column = column
        self.fault = fault
        self.cure = cure


_PREFIXES = {
    "signal": Use.SIGNAL,
    "s": Use.SIGNAL,
    "mail": Use.MAIL,
    "m": Use.MAIL,
    "access": Use.ACCESS,
    "a": Use.ACCESS,
    "norelay": False,
    "n": False,
    "relay": True,
    "r": True,
    "relayall": True,
}
_PREFIX = re.compile(r"\s*([A-Za-z]+)\s*:")
_MARKS = frozenset("{}#,@")
_LINE_LIMIT = 1024  # Limit: characters of one record.
_COMMA = re.compile(r",(?![^{}]*\})")  # those in `app{a,b}#account` are no list's
MOST_WAYS = 10
"""Limit: addresses on the right side of one record."""


@dataclass(frozen=True, slots=True)
class Record:
    """`uses` is empty for all of them. `local` is None in a domain-level record. `relay`: who fits it may send on,
    whoever he is."""

    line: int
    text: str
    uses: frozenset[Use]
    relay: bool
    local: Pattern | None
    domain: Pattern
    right: str
    others: tuple[str, ...] = ()  # the rest of a list

    def serves(self, use: Use) -> bool:
        return not self.uses or use in self.uses

    def apply(self, address: Address, main_domain: str) -> Address | Verdict | None:
        """What the record makes of `address`; None when it does not fit.

        The right side's `*` get the texts of the local part's wildcards; only where it has none, those of the domain.
        """
        domain = self.domain.match(address.domain)
        if domain is None:
            return None
        if self.local is None:
            return self._moved(address, domain, main_domain)
        parts = self._parts(address)
        return None if parts is None else _lead(self.right, parts, main_domain)

    def apply_others(self, address: Address, main_domain: str) -> tuple[Address, ...]:
        """What the rest of the list makes of an address that fits."""
        parts = self._parts(address) if self.others else None
        led = () if parts is None else (_lead(right, parts, main_domain) for right in self.others)
        return tuple(each for each in led if isinstance(each, Address))

    def _parts(self, address: Address) -> tuple[str, ...] | None:
        """The texts of the wildcards that feed the right side of an account-level record."""
        domain = self.domain.match(address.domain)
        local = None if self.local is None else self.local.match(address.local)
        if domain is None or local is None:
            return None
        if self.names_program and any(_MARKS.intersection(part) for part in local):
            return None  # what somebody dials must not become another program, account or parameter
        return local or domain

    def _moved(self, address: Address, parts: tuple[str, ...], main_domain: str) -> Address | Verdict:
        """A domain-level record: another domain, or one address for all of it."""
        if "@" in self.right or _verdict(self.right) is not None:
            return _lead(self.right, parts, main_domain)
        return names.address_at(address.local, fill(self.right, parts) or main_domain)

    @property
    def is_for_any_domain(self) -> bool:
        """Whether its left side names no domain: `<…@*>`."""
        return self.domain.text == "*"

    @property
    def names_program(self) -> bool:
        """Whether it leads to an application, `app{..}#account`."""
        return any("#" in right for right in (self.right, *self.others))

    @property
    def target_domains(self) -> tuple[str, ...]:
        """The domain of each address on the right, with its wildcards; empty where none is named, or none is led to."""
        return tuple(self._domain_of(right) for right in (self.right, *self.others))

    def _domain_of(self, right: str) -> str:
        names_one = _verdict(right) is None and (self.local is None or "@" in right)
        return right.rpartition("@")[2] if names_one else ""


def parse_record(text: str, line: int, main_domain: str) -> Record | None:
    """One line of a table; None for an empty one. Raises RecordError."""
    bare = text.partition(";")[0].rstrip()
    if not bare.strip():
        return None
    if len(bare) > _LINE_LIMIT:
        raise RecordError(line, _LINE_LIMIT, "the record is too long", f"at most {_LINE_LIMIT} characters, please")
    uses, relay, begin = _prefixes(bare, line)
    left, equals, right = bare[begin:].partition("=")
    if not equals:
        raise RecordError(line, len(bare) + 1, "there is no '='", "write a record as <left> = right")
    local, domain = _left(left, line, begin, main_domain)
    rights = _rights(right, line, begin + len(left) + 1, local, domain)
    return Record(line, bare.strip(), uses, relay, local, domain, rights[0], rights[1:])


def _prefixes(text: str, line: int) -> tuple[frozenset[Use], bool, int]:
    """What the prefixes say, and where they end."""
    uses: set[Use] = set()
    relay, at = True, 0
    while (match := _PREFIX.match(text, at)) is not None:
        meaning = _PREFIXES.get(match[1].lower())
        match meaning:
            case Use():
                uses.add(meaning)
            case bool():
                relay = meaning
            case None:
                known = "NoRelay, Relay, Signal, Mail, Access or N, R, S, M, A"
                raise RecordError(line, match.start(1) + 1, f"unknown prefix {match[1]}:", f"it may be {known}")
        at = match.end()
    return frozenset(uses), relay, at


def _left(text: str, line: int, begin: int, main_domain: str) -> tuple[Pattern | None, Pattern]:
    bare = text.strip()
    column = begin + len(text) - len(text.lstrip()) + 1
    if not bare:
        raise RecordError(line, column, "nothing stands before '='", "write <local@domain> or a domain")
    if not bare.startswith("<"):
        return None, _domain_level(bare, line, column)
    if not bare.endswith(">"):
        raise RecordError(line, column, "the '<' is never closed", "write <local@domain>")
    local, _, domain = bare[1:-1].partition("@")
    if not local:
        raise RecordError(line, column + 1, "there is no local part", "write <*@domain> for all of a domain")
    return (
        _pattern(local, line, column + 1),
        _pattern(domain or main_domain, line, column + 2 + len(local)),
    )


def _domain_level(text: str, line: int, column: int) -> Pattern:
    prefix, bracket, _ = text.partition("<")
    if bracket:
        raise RecordError(line, column, f"{text} is no address", f"a ':' is missing after {prefix.strip()}")
    if "@" in text or ">" in text:
        raise RecordError(line, column, f"{text} is no domain", f"write an address as <{text.strip('<>')}>")
    return _pattern(text, line, column)


def _pattern(text: str, line: int, column: int) -> Pattern:
    space = next((at for at, letter in enumerate(text) if letter.isspace() or letter in "<>"), None)
    if space is not None:
        raise RecordError(line, column + space, f"{text[space]!r} does not belong here", "take it out")
    try:
        return Pattern.parse(text)
    except PatternError as error:
        raise RecordError(line, column + error.column, error.fault, "see `tandem router --help`") from error


def _rights(text: str, line: int, begin: int, local: Pattern | None, domain: Pattern) -> tuple[str, ...]:
    """The addresses of the right side, mostly a single one."""
    parts = _COMMA.split(text)
    for number, part in enumerate(parts):
        column = begin + len(part) - len(part.lstrip()) + 1
        if number and (local is None or not part.strip() or any(_verdict(each.strip()) for each in parts)):
            raise RecordError(
                line, column, "no list can stand here", "a list is of addresses, and belongs to <local@domain>"
            )
        if number >= MOST_WAYS:
            raise RecordError(line, column, "the list is too long", f"at most {MOST_WAYS} addresses, please")
        _check_right(part, line, begin, local, domain)
        begin += len(part) + 1
    return tuple(part.strip() for part in parts)


def _check_right(text: str, line: int, begin: int, local: Pattern | None, domain: Pattern) -> None:
    right = text.strip()
    column = begin + len(text) - len(text.lstrip()) + 1
    if local is not None and not right:
        raise RecordError(
            line, column, "nothing stands after '='", "say where it leads: *@gateway.example.com, or error"
        )
    for letter in ("<", ">", "=", " ", "\t", "("):
        if letter in right:
            at = column + right.index(letter)
            raise RecordError(
                line, at, f"{letter!r} does not belong here", "the right side is an address with `*` only"
            )
    wildcards = (local.wildcards if local is not None else 0) or domain.wildcards
    if "*" in right and not wildcards:
        at = column + right.index("*")
        raise RecordError(line, at, "the left side has nothing for this `*`", "put a `*` or (nd) on the left")
    host = right.rpartition("@")[2]
    if "@" in right and not host:
        raise RecordError(line, column + len(right), "the domain is missing", "write local@domain, or no '@' at all")


def _lead(right: str, parts: tuple[str, ...], main_domain: str) -> Address | Verdict:
    verdict = _verdict(right)
    if verdict is not None:
        return verdict
    local, at, domain = right.rpartition("@")
    if not at:
        return Address(fill(domain, parts), main_domain)
    return names.address_at(fill(local, parts), fill(domain, parts))


def _verdict(right: str) -> Verdict | None:
    try:
        return Verdict(right.lower())
    except ValueError:
        return None
