"""What a careful colleague would say of a Router table before it is used. Pure; it forbids nothing.

Each warning names its line, what will happen, and what to write instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from directory.model import Address, Use
from directory.router.record import Record
from directory.router.table import RouterTable

_SAMPLES = (("", "2"), ("5551234567", "5"), ("name", "7"), ("1", "0"))
"""What stands for a `*`, and for the digits of `(nd)`."""


@dataclass(frozen=True, slots=True)
class Warning_:
    """One remark on one line (from 1)."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the linter must know of the server, and of the table as a whole: the domains that it leads to."""

    main_domain: str
    local_domain: Callable[[str], str | None]
    names: Iterable[Address] = ()
    emergency: tuple[str, ...] = ()
    led_to: frozenset[str] = frozenset()


def lint(table: RouterTable, around: Surroundings) -> list[Warning_]:
    """All remarks, in the order of the lines."""
    around = replace(around, led_to=frozenset(domain for each in table.records for domain in each.target_domains))
    return [
        warning
        for index, record in enumerate(table.records)
        for warning in _of_record(record, table.records[:index], around)
    ]


def _of_record(record: Record, before: tuple[Record, ...], around: Surroundings) -> Iterator[Warning_]:
    for check in (_open_relay, _emergency, _swallowed_names, _foreign_left, _useless_list, _circle):
        text = check(record, around)
        if text:
            yield Warning_(record.line, text)
    shadow = _shadowed(record, before, around)
    if shadow is not None:
        yield Warning_(record.line, f"never reached: line {shadow.line} takes everything that fits it")


def _open_relay(record: Record, around: Surroundings) -> str:
    out = any(_is_foreign(domain, around) for domain in record.target_domains)
    if not record.relay or not out or record.uses == {Use.ACCESS}:
        return ""
    return "anybody may use it, also who has not logged in: write NoRelay: before it, unless that is meant"


def _is_foreign(domain: str, around: Surroundings) -> bool:
    """Whether what stands after the `@` may lead out of this server."""
    return bool(domain) and ("*" in domain or around.local_domain(domain) is None)


def _useless_list(record: Record, around: Surroundings) -> str:
    rights = (record.right, *record.others)
    here = [
        right
        for right, domain in zip(rights[:-1], record.target_domains, strict=False)
        if not _is_foreign(domain, around)
    ]
    return f"{here[0]} is here: what follows it in the list is never tried" if here else ""


def _emergency(record: Record, around: Surroundings) -> str:
    local = record.local
    if local is None or not local.wildcards or not record.serves(Use.SIGNAL):
        return ""
    taken = [number for number in around.emergency if local.match(number) is not None]
    if not taken:
        return ""
    numbers = ", ".join(taken)
    return (
        f"its wildcard fits the emergency number {numbers}, which it will not get: "
        f"write a record of its own, like N:S:<{taken[0]}@{record.domain.text}> = {taken[0]}@GATEWAY"
    )


def _swallowed_names(record: Record, around: Surroundings) -> str:
    """Names of this server that the record takes away from their owners."""
    local = record.local
    if local is None or not local.wildcards:
        return ""
    taken = [
        str(name)
        for name in around.names
        if record.domain.match(name.domain) is not None and local.match(name.local) is not None
    ]
    if not taken:
        return ""
    shown = ", ".join(taken[:3]) + (f" and {len(taken) - 3} more" if len(taken) > 3 else "")
    return f"it takes calls away from names of this server: {shown}"


def _foreign_left(record: Record, around: Surroundings) -> str:
    domain = record.domain.text
    if record.local is None or record.domain.wildcards or around.local_domain(domain) is not None:
        return ""
    if domain in around.led_to:  # by another line
        return ""
    return (
        f"{record.domain.text} is no domain of this server, so what its people dial does not fit; "
        f"the main domain is {around.main_domain}"
    )


def _circle(record: Record, around: Surroundings) -> str:
    """A record whose outcome fits it again, and grows."""
    for address in _samples(record, around):
        first = record.apply(address, around.main_domain)
        if not isinstance(first, Address) or first == address:
            continue
        second = record.apply(first, around.main_domain)
        third = record.apply(second, around.main_domain) if isinstance(second, Address) else None
        if isinstance(third, Address) and third not in (first, second, address) and len(str(third)) > len(str(first)):
            return (
                f"it fits what it makes, again and again ({address} becomes {first}, {second}, …): calls fail as a loop"
            )
    return ""


def _shadowed(record: Record, before: tuple[Record, ...], around: Surroundings) -> Record | None:
    """The earlier record that takes all samples of this one."""
    samples = _samples(record, around)
    for earlier in before:
        if not _covers_uses(earlier, record):
            continue
        outcomes = [earlier.apply(sample, around.main_domain) for sample in samples]
        if all(outcome is not None for outcome in outcomes) and any(
            outcome != sample for outcome, sample in zip(outcomes, samples, strict=True)
        ):
            return earlier
    return None


def _covers_uses(earlier: Record, later: Record) -> bool:
    return not earlier.uses or (bool(later.uses) and later.uses <= earlier.uses)


def _samples(record: Record, around: Surroundings) -> list[Address]:
    """Addresses that fit the record, unlike each other."""
    found = []
    for filler, digit in _SAMPLES:
        local = record.local.sample(filler, digit) if record.local is not None else filler or "name"
        domain = record.domain.sample(filler, digit) or around.main_domain
        found.append(Address(local, domain.lower()))
    return found
