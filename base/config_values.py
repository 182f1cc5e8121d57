"""Readers of the values in the configuration file: each gives the value, or raises `Wrong` with what the key wants."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Wrong(Exception):
    """A value that is not what the key wants."""


def text(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong("must be text in quotes")
    return value


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong("must be true or false")
    return value


def within(low: int, high: int) -> Callable[[object], int]:
    def number(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Wrong(f"must be a whole number from {low} to {high}")
        return value

    return number


def within_or(words: Mapping[object, object], low: int, high: int, wanted: str) -> Callable[[object], object]:
    """A number, or one of the words, which stand for values."""

    def value(given: object) -> object:
        if isinstance(given, str | int) and not isinstance(given, bool) and given in words:
            return words[given]
        try:
            return within(low, high)(given)
        except Wrong:
            raise Wrong(f"must be {wanted}") from None

    return value


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def address(value: object) -> str:
    try:
        return str(ipaddress.ip_address(text(value).strip("[]")))
    except ValueError:
        raise Wrong(f"{value!r} is no numeric address") from None


def optional_address(value: object) -> str:
    return "" if value == "" else address(value)


def name_server(value: object) -> tuple[str, int] | None:
    """Of DNS: an address, port 53 unless one is named."""
    given = text(value).strip()
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+)(?::(\d{1,5}))?", given)
    if given and match is None:
        raise Wrong(f'{given!r} is no address of a server; write "192.0.2.53", or "192.0.2.53:5353" with its port')
    return None if match is None else (address(match[1]), within(1, 65535)(int(match[2] or 53)))


def networks(value: object) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text(item), strict=False) for item in items(value))
    except ValueError as error:
        raise Wrong(str(error)) from None


def addresses(value: object) -> tuple[str, ...]:
    found = tuple(address(item) for item in items(value))
    if len({":" in each for each in found}) != len(found):
        raise Wrong("takes one IPv4 and one IPv6 address")
    return found


_ORIGIN = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9.\-]+)(?::\d{1,5})?|\*|null", re.IGNORECASE)


def origins(value: object) -> tuple[str, ...]:
    found = tuple(text(item) for item in items(value))
    for each in found:
        if _ORIGIN.fullmatch(each) is None:
            raise Wrong(f'{each!r} is no origin of a web page; write "https://phone.example.org", or "*" for all')
    return found


def one_of(*words: str) -> Callable[[object], str]:
    def word(value: object) -> str:
        given = value.lower() if isinstance(value, str) else ""
        if given not in words:
            raise Wrong(f"must be {', '.join(words[:-1])} or {words[-1]}")
        return given

    return word


def url(value: object) -> str:
    given = text(value)
    if given and not re.match(r"https?://[^/\s]+", given):
        raise Wrong(f"{given!r} is no address of a web server")
    return given


def port_range(value: object) -> tuple[int, int]:
    ends = items(value)
    if isinstance(value, str) and "-" in value:
        ends = [int(part) if part.strip().isdigit() else part for part in value.split("-", 1)]
    if len(ends) != 2:
        raise Wrong('must be a range such as "61000-64999"')
    low, high = (within(1024, 65535)(end) for end in ends)
    if high - low < 3:
        raise Wrong("must hold at least four ports")
    return low, high
