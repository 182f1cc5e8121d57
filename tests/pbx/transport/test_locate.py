"""Finding servers: records of a stand-in network for the rules, a DNS server on loopback for the real questions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.failures import Failure
from pbx.sipcore.message import Request
from pbx.sipcore.parser import parse
from pbx.sipcore.uri import Uri
from pbx.transport.locate import PENALTY, Locator
from pbx.transport.memory import MemoryNetwork
from pbx.transport.names import NameService
from pbx.transport.network import Naptr, Srv
from pbx.transport.sockets import SystemNetwork
from tests.pbx.transport.site import Asker, open_site, options

ALL = ("udp", "tcp", "tls")
NAMES = {
    "example.org": ("192.0.2.1", "2001:db8::1"),
    "a.example.org": ("192.0.2.10",),
    "b.example.org": ("192.0.2.20",),
    "plain.org": ("192.0.2.99",),
}
NAPTRS = {
    "example.org": (
        Naptr(50, 90, "SIPS+D2T", "_sips._tcp.example.org"),
        Naptr(90, 10, "SIP+D2U", "_sip._udp.b.example.org"),
        Naptr(90, 5, "SIP+D2T", "_sip._tcp.example.org"),
        Naptr(100, 1, "SIP+D2U", "_sip._udp.example.org"),
        Naptr(1, 1, "E2U+SIP", "elsewhere.example.org"),
    )
}
SERVICES = {
    "_sips._tcp.example.org": (Srv(0, 1, 5061, "a.example.org"),),
    "_sip._tcp.example.org": (Srv(1, 0, 5070, "b.example.org"), Srv(0, 0, 5060, "a.example.org")),
    "_sip._udp.example.org": (Srv(0, 0, 5060, "a.example.org"), Srv(1, 0, 5080, "b.example.org")),
    "_sip._udp.b.example.org": (Srv(0, 0, 5090, "b.example.org"),),
    "_sip._udp.only.org": (Srv(0, 0, 5062, "a.example.org"),),
    "_sip._udp.closed.org": (Srv(0, 0, 0, "."),),
}


def locator(clock: ManualClock | None = None, services: dict[str, tuple[Srv, ...]] | None = None) -> Locator:
    clock = clock or ManualClock()
    network = MemoryNetwork(clock, names=NAMES, naptrs=NAPTRS, services=services or SERVICES)
    return Locator(network, clock, SeededEntropy(5))


async def found(text: str, able: tuple[str, ...] = ALL, using: Locator | None = None) -> list[str]:
    places = await (using or locator()).places(Uri.parse(text), able)
    return [f"{place.transport} {place.remote[0]} {place.remote[1]}" for place in places]


@pytest.mark.parametrize(
    ("uri", "places"),
    [
        ("sip:192.0.2.7", ["udp 192.0.2.7 5060"]),
        ("sips:192.0.2.7", ["tls 192.0.2.7 5061"]),
        ("sip:[2001:db8::7]:5070;transport=tcp", ["tcp 2001:db8::7 5070"]),
        ("sip:example.org:5090", ["udp 192.0.2.1 5090", "udp 2001:db8::1 5090"]),
        ("sip:x;maddr=192.0.2.9", ["udp 192.0.2.9 5060"]),
        ("sip:example.org;transport=udp", ["udp 192.0.2.10 5060", "udp 192.0.2.20 5080"]),
        ("sips:example.org", ["tls 192.0.2.10 5061"]),
        ("sips:example.org;transport=tcp", ["tls 192.0.2.10 5061"]),
        ("sip:only.org", ["udp 192.0.2.10 5062"]),
        ("sip:plain.org", ["udp 192.0.2.99 5060"]),
        ("sip:plain.org;transport=tls", ["tls 192.0.2.99 5061"]),
    ],
)
async def test_where_an_address_leads(uri: str, places: list[str]) -> None:
    assert await found(uri) == places


async def test_naptr_by_order_and_only_what_we_can() -> None:
    """By order, and by preference among equals."""
    tcp = ["tcp 192.0.2.10 5060", "tcp 192.0.2.20 5070"]
    udp = ["udp 192.0.2.20 5090", "udp 192.0.2.10 5060", "udp 192.0.2.20 5080"]
    assert await found("sip:example.org") == ["tls 192.0.2.10 5061", *tcp, *udp]
    assert await found("sip:example.org", ("udp", "tcp")) == [*tcp, *udp]


@pytest.mark.parametrize(
    "uri", ["sip:nowhere.org", "sip:closed.org", "sip:x.invalid", "sip:example.org;transport=sctp"]
)
async def test_nothing_found_is_said(uri: str) -> None:
    with pytest.raises(Failure, match=r"unknown|supported"):
        await found(uri)


async def test_equals_share_by_weight() -> None:
    hosts = {"h1.org": ("192.0.2.1",), "h2.org": ("192.0.2.2",)}
    services = {"_sip._udp.w.org": (Srv(0, 10, 1, "h1.org"), Srv(0, 30, 2, "h2.org"))}
    clock = ManualClock()
    using = Locator(MemoryNetwork(clock, names=hosts, services=services), clock, SeededEntropy(1))
    first = Counter([(await found("sip:w.org", using=using))[0] for _ in range(400)])
    assert 50 < first["udp 192.0.2.1 1"] < 150


async def test_who_failed_comes_last_for_a_while() -> None:
    clock = ManualClock()
    using = locator(clock)
    uri = "sip:example.org;transport=udp"
    using.avoid("udp", ("192.0.2.10", 5060))
    assert await found(uri, using=using) == ["udp 192.0.2.20 5080", "udp 192.0.2.10 5060"]
    clock.advance(PENALTY + 1)
    assert await found(uri, using=using) == ["udp 192.0.2.10 5060", "udp 192.0.2.20 5080"]


class Zone(asyncio.DatagramProtocol):
    """A name server of a few records; counts what it is asked."""

    def __init__(self, records: dict[tuple[str, str], list[str]]) -> None:
        self.records = records
        self.asked: Counter[tuple[str, str]] = Counter()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        key = (question.name.to_text(omit_final_dot=True), question.rdtype.name)
        self.asked[key] += 1
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        if key in self.records:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *self.records[key]))
        elif not any(name == key[0] for name, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self.transport is not None
        self.transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def name_server(records: dict[tuple[str, str], list[str]]) -> AsyncIterator[tuple[Zone, NameService]]:
    loop = asyncio.get_running_loop()
    transport, zone = await loop.create_datagram_endpoint(lambda: Zone(records), local_addr=("127.0.31.53", 0))
    try:
        yield zone, NameService(["127.0.31.53"], transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


async def test_real_questions_are_asked_once() -> None:
    records = {
        ("example.org", "NAPTR"): ['10 0 "s" "SIP+D2U" "" _sip._udp.example.org.', '5 0 "u" "x" "!.*!y!" .'],
        ("_sip._udp.example.org", "SRV"): ["1 0 5080 b.example.org.", "0 0 5060 a.example.org."],
        ("a.example.org", "A"): ["192.0.2.10"],
        ("a.example.org", "AAAA"): ["2001:db8::10"],
        ("b.example.org", "A"): ["192.0.2.20"],
    }
    async with name_server(records) as (zone, service):
        clock = ManualClock()
        using = Locator(SystemNetwork(service), clock, SeededEntropy(1))
        for _ in range(3):
            assert await found("sip:example.org", using=using) == [
                "udp 192.0.2.10 5060", "udp 2001:db8::10 5060", "udp 192.0.2.20 5080",
            ]  # fmt: skip
        assert set(zone.asked.values()) == {1}
        with pytest.raises(Failure):
            await found("sip:nobody.org", using=using)


async def test_a_server_that_is_down_is_passed_over_and_remembered(tmp_path: Path) -> None:
    records = {
        ("_sip._tcp.example.org", "SRV"): ["0 0 9 dead.example.org.", "1 0 9 alive.example.org."],
        ("dead.example.org", "A"): ["127.0.31.66"],
        ("alive.example.org", "A"): ["127.0.31.3"],
    }
    async with name_server(records) as (_, service), open_site(tmp_path, network=SystemNetwork(service)) as site:
        records["_sip._tcp.example.org", "SRV"][1] = f"1 0 {site.ports['tcp'][1]} alive.example.org."
        uri = Uri.parse("sip:example.org;transport=tcp")
        flow = await site.stack.flow_to(uri)
        assert flow.remote == site.ports["tcp"]
        made = parse(options("TCP"))
        assert isinstance(made, Request)
        made.remove("Via")
        asker = Asker()
        site.stack.request(made, flow, asker)
        assert await asyncio.wait_for(asker.outcome, 5) == 200
