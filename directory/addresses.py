"""Lists of addresses as CommuniGate writes them: on each line an address, a range or a network; `;` begins a comment.

    10.0.0.0/8                      ; the office
    192.0.2.10-192.0.2.19           ; gateways
    2001:db8::7

Pure text and numbers. What a list is for is not decided here (`network.py`). Spec: the guide, section V.D.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

from base.failures import Failure

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Range = tuple[int, int, int]  # version, first, last

_LINES = 1000  # Limit: lines of one list.
# Limit: sources whose words are kept: a telephone's is asked for with each request, and reading one costs some 5 µs.
REMEMBERED = 4096
_WORD = re.compile(r"[^\s]+")


class AddressList:
    """Which addresses are in the list; an answer takes a binary search, however long the list is."""

    __slots__ = ("_ranges", "_starts")

    def __init__(self, ranges: Iterable[_Range] = ()) -> None:
        self._ranges = _merged(ranges)
        self._starts = [(version, first) for version, first, _ in self._ranges]

    @classmethod
    def of(cls, networks: Iterable[IpNetwork]) -> AddressList:
        return cls(
            (network.version, int(network.network_address), int(network.broadcast_address)) for network in networks
        )

    def __contains__(self, host: object) -> bool:
        """`host` is a numeric address; anything else is in no list."""
        if not self._ranges or not isinstance(host, str):
            return False
        address = plain_address(host)
        if address is None:
            return False
        value = int(address)
        index = bisect_right(self._starts, (address.version, value)) - 1
        if index < 0:
            return False
        version, first, last = self._ranges[index]
        return version == address.version and first <= value <= last

    def __or__(self, other: AddressList) -> AddressList:
        return AddressList([*self._ranges, *other._ranges])

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def networks(self) -> tuple[IpNetwork, ...]:
        """The same as the fewest networks."""
        found: list[IpNetwork] = []
        for version, first, last in self._ranges:
            if version == 4:
                found += ipaddress.summarize_address_range(ipaddress.IPv4Address(first), ipaddress.IPv4Address(last))
            else:
                found += ipaddress.summarize_address_range(ipaddress.IPv6Address(first), ipaddress.IPv6Address(last))
        return tuple(found)


def parse(text: str, name: str) -> AddressList:
    """Read a list called `name`. Raises Failure("invalid") that tells line and column."""
    lines = text.splitlines()
    if len(lines) > _LINES:
        raise Failure("invalid", f"{name}: at most {_LINES} lines")
    return AddressList(
        [found for number, line in enumerate(lines, 1) for found in _line(line, f"{name} line {number}")]
    )


def _line(line: str, where: str) -> Sequence[_Range]:
    words = list(_WORD.finditer(line.partition(";")[0]))
    if not words:
        return ()
    column, text = words[0].start() + 1, "".join(word[0] for word in words)
    if len(words) > 1 and "-" not in text:  # blanks may stand round the dash of a range, nowhere else
        raise Failure("invalid", f"{where} column {words[1].start() + 1}: one address, range or network a line, please")
    return (_range(text, f"{where} column {column}"),)


def _range(text: str, where: str) -> _Range:
    try:
        if "/" in text:
            network = ipaddress.ip_network(text, strict=False)
            return network.version, int(network.network_address), int(network.broadcast_address)
        first, dash, last = text.partition("-")
        begin = ipaddress.ip_address(first)
        end = ipaddress.ip_address(last) if dash else begin
    except ValueError as error:
        raise Failure("invalid", f"{where}: {error}") from None
    if begin.version != end.version or int(end) < int(begin):
        raise Failure("invalid", f"{where}: {text} runs backwards or from one kind of address to the other")
    return begin.version, int(begin), int(end)


def plain_address(host: str) -> _Address | None:
    """A numeric address, an IPv4 one also where it is written as IPv6 (RFC 4291 §2.5.5.2); None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=REMEMBERED)
def source_of(host: str) -> str:
    """The word by which a source is counted: an IPv4 address, or the /64 that one IPv6 subscriber has (RFC 6177 §2)."""
    address = plain_address(host)
    if address is None or address.version == 4:
        return host if address is None else str(address)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64)) + "/64"


@lru_cache(maxsize=REMEMBERED)
def neighbourhood(host: str) -> str:
    """The network that a peer stays in when its address changes a little: a pool of a carrier's routers, or a site."""
    address = plain_address(host)
    if address is None:
        return host
    keep = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, keep), strict=False).network_address)


def _merged(ranges: Iterable[_Range]) -> tuple[_Range, ...]:
    merged: list[_Range] = []
    for version, first, last in sorted(ranges):
        if merged and merged[-1][0] == version and first <= merged[-1][2] + 1:
            merged[-1] = (version, merged[-1][1], max(merged[-1][2], last))
        else:
            merged.append((version, first, last))
    return tuple(merged)
