"""Where a SIP address leads: transport, port and numeric hosts, in the order to try them. RFC 3263, RFC 2782.

It asks a `Network` for records and opens nothing; `stack.py` connects. Hosts that failed are tried last for a while
(RFC 3263 §4.3).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from pbx.nat.detection import numeric
from pbx.sipcore.uri import Uri
from pbx.transport.network import Endpoint, Naptr, Network, Srv

PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
"""RFC 3263 §4.1, table 1."""
PREFIXES = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
MOST_TARGETS = 8
"""Limit: places that one request may be tried at."""
PENALTY = 60.0
REMEMBERED = 1024
"""Limit: places that are remembered to have failed, and as many that were given out last."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place to try. `name` is whom the certificate must be for (RFC 5922 §7.2: the domain that was asked for)."""

    transport: str
    remote: Endpoint
    name: str


class Locator:
    """Finds the places of an address."""

    def __init__(self, network: Network, clock: Clock, entropy: Entropy) -> None:
        self._network = network
        self._clock = clock
        self._entropy = entropy
        self._failed: OrderedDict[tuple[str, Endpoint], float] = OrderedDict()
        self._given: OrderedDict[tuple[str, Endpoint], None] = OrderedDict()

    async def places(self, uri: Uri, able: Collection[str]) -> Sequence[Place]:
        """In the order to try them; `able` are the transports that we can open, the preferred first.

        Raises Failure("unavailable") when there is none.
        """
        host = (uri.params.get("maddr") or uri.host).rstrip(".")
        wanted = _wanted(uri)
        if wanted is not None and wanted not in able:
            raise Failure("unavailable", "Transport not supported", private=f"{uri.scheme} {wanted}")
        found = await self._find(host, uri, wanted, able)
        if not found:
            raise Failure("unavailable", "Host unknown", private=host, temporary=True)
        unlike = tuple(dict.fromkeys(found))[:MOST_TARGETS]
        for place in unlike:
            self._given[place.transport, place.remote] = None
            self._given.move_to_end((place.transport, place.remote))
        while len(self._given) > REMEMBERED:
            self._given.popitem(last=False)
        return sorted(unlike, key=self._is_avoided)  # stable: those that failed come last

    def avoid(self, transport: str, remote: Endpoint) -> None:
        """It did not answer: for a minute it is tried after the others."""
        self._failed[transport, remote] = self._clock.now() + PENALTY
        self._failed.move_to_end((transport, remote))
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)

    def forgive(self, transport: str, remote: Endpoint) -> None:
        """It has answered."""
        self._failed.pop((transport, remote), None)

    def located(self, transport: str, remote: Endpoint) -> bool:
        """True for a place that was given out lately."""
        return (transport, remote) in self._given

    def _is_avoided(self, place: Place) -> bool:
        return self._failed.get((place.transport, place.remote), 0.0) > self._clock.now()

    async def _find(self, host: str, uri: Uri, wanted: str | None, able: Collection[str]) -> list[Place]:
        address = numeric(host)
        default = wanted or ("tls" if uri.scheme == "sips" else "udp")  # RFC 3263 §4.1
        if address is not None:
            return [Place(default, (address, uri.port or PORTS[default]), host.strip("[]"))]
        if uri.port is not None or default in ("ws", "wss"):
            # RFC 3263 §4.2: with a port there is no SRV
            return await self._hosts(default, host, uri.port or PORTS[default], host)
        if wanted is not None:
            return await self._services(wanted, f"{PREFIXES[wanted]}.{host}", host) or await self._hosts(
                wanted, host, PORTS[wanted], host
            )
        return await self._by_naptr(host, uri, able) or await self._hosts(default, host, PORTS[default], host)

    async def _by_naptr(self, host: str, uri: Uri, able: Collection[str]) -> list[Place]:
        if "." not in host or host.lower().endswith(".invalid"):
            return []
        # RFC 3263 §4.1: without NAPTR each transport of ours is asked for; all questions at once, as DNS may be slow
        secure = uri.scheme == "sips"
        transports = [each for each in able if each in PREFIXES and (each == "tls") == secure]
        asked = [self._services(transport, f"{PREFIXES[transport]}.{host}", host) for transport in transports]
        records, services = await asyncio.gather(self._network.naptr(host), asyncio.gather(*asked))
        usable = sorted(
            (each for each in records if _usable(each, uri, able)), key=lambda each: (each.order, each.preference)
        )
        if not usable:
            return [place for places in services for place in places]
        found: list[Place] = []
        for each in usable[:MOST_TARGETS]:
            found += await self._services(SERVICES[each.service], each.replacement, host)
        return found

    async def _services(self, transport: str, name: str, domain: str) -> list[Place]:
        found: list[Place] = []
        for service in self._ordered(await self._network.srv(name)):
            if len(found) < MOST_TARGETS:
                found += await self._hosts(transport, service.target, service.port, domain)
        return found

    def _ordered(self, services: Sequence[Srv]) -> Sequence[Srv]:
        """RFC 2782: by priority, and by lot among equals, with chances by weight."""
        left = [each for each in services if each.target not in ("", ".")]
        ordered: list[Srv] = []
        while left:
            best = min(each.priority for each in left)
            group = sorted((each for each in left if each.priority == best), key=lambda each: each.weight)
            chosen = self._lot(group)
            ordered.append(chosen)
            left.remove(chosen)
        return ordered

    def _lot(self, group: Sequence[Srv]) -> Srv:
        total = sum(each.weight for each in group)
        mark = self._entropy.number(0, total)
        running = 0
        for each in group:
            running += each.weight
            if running >= mark:
                return each
        return group[-1]

    async def _hosts(self, transport: str, host: str, port: int, name: str) -> list[Place]:
        address = numeric(host)
        addresses = [address] if address is not None else await self._network.look_up(host)
        return [Place(transport, (each, port), name) for each in addresses]


def _wanted(uri: Uri) -> str | None:
    """The transport that the address names; `sips` over TCP is TLS (RFC 3261 §26.2.2)."""
    named = (uri.params.get("transport") or "").lower() or None
    if uri.scheme == "sips":
        return {"tcp": "tls", "ws": "wss", None: None}.get(named, named)
    return named


def _usable(record: Naptr, uri: Uri, able: Collection[str]) -> bool:
    transport = SERVICES.get(record.service)
    return transport in able and (uri.scheme != "sips" or transport == "tls")
