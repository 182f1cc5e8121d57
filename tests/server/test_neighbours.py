"""Whole servers that lead calls to each other: circles end, and what only comes by again is let through.

RFC 3261 §16.3 step 4 and §16.5, RFC 5393. Everything is in one process and in virtual time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from apps.host import program_cache
from base.config import Config, Listen, NatConfig, SipConfig
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.work import run_at_once
from pbx.sipcore.message import Message, Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.transport.memory import MemoryNetwork
from server.house import Ground, House
from tests.simulation.clock import VirtualClock
from tests.simulation.studio import VirtualStudio, as_engine
from tests.simulation.virtual import simulate

HOSTS = {"one.test": "10.0.0.1", "two.test": "10.0.0.2"}
CALLER = ("10.0.9.9", 5060)
PHONE = ("10.0.9.8", 5060)
_PROGRAMS = program_cache()
SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.9.9\r\ns=-\r\nc=IN IP4 10.0.9.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


class World:
    """Two servers that trust each other and the caller, and a telephone elsewhere that is busy. INVITEs are counted."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.sent: list[tuple[str, Message]] = []
        names = {domain: (host,) for domain, host in (*HOSTS.items(), ("phone.test", PHONE[0]))}
        self.network = MemoryNetwork(self.clock, fate=self._fate, names=names)
        self.studio = VirtualStudio(self.clock, self.network)
        self.houses: dict[str, House] = {}
        self.heard: list[Response] = []
        self.caller = self.network.open(CALLER, self._hear)
        self.phone = self.network.open(PHONE, self._refuse)

    def _hear(self, data: bytes, source: tuple[str, int]) -> None:
        message = parse(data)
        assert isinstance(message, Response)
        self.heard.append(message)

    def _refuse(self, data: bytes, source: tuple[str, int]) -> None:
        request = parse(data)
        if isinstance(request, Request) and request.method == "INVITE":
            self.phone.send(response_to(request, 486, to_tag="p").encode(), source)

    def _fate(self, data: bytes, source: tuple[str, int], destination: tuple[str, int]) -> tuple[float, ...]:
        if source[0] != destination[0] and data.strip():
            self.sent.append((destination[0], parse(data)))
        return (0.005,)

    @asynccontextmanager
    async def server(self, domain: str, folder: Path) -> AsyncIterator[House]:
        host = HOSTS[domain]
        databases = InlineDatabases()
        peers = tuple(ipaddress.ip_network(each) for each in (*HOSTS.values(), CALLER[0]))
        listen = (Listen("udp", host, 5060),)
        config = Config(sip=SipConfig(listen=listen, trusted=peers, qualify=0), nat=NatConfig(keepalive="off"))
        ground = Ground(
            clock=self.clock, entropy=SeededEntropy(len(self.houses)), network=self.network, databases=databases,
            media=as_engine(self.studio), run=run_at_once, data=folder / domain,
            key=host.encode().ljust(32), hosts=(host,), programs=_PROGRAMS,
        )  # fmt: skip
        house = self.houses[domain] = House(ground, config, Metrics(), "0", domain=domain)
        try:
            await house.open()
            yield house
        finally:
            await house.close()
            databases.discard()

    def invite(self, uri: str) -> None:
        request = Request("INVITE", uri)
        for name, value in (
            ("Via", f"SIP/2.0/UDP {CALLER[0]}:5060;branch=z9hG4bKcircle;rport"), ("Max-Forwards", "70"),
            ("From", "<sip:alice@peer.test>;tag=a"), ("To", f"<{uri}>"), ("Call-ID", "circle"), ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:alice@{CALLER[0]}>"),
        ):  # fmt: skip
            request.add(name, value)
        request.set_body(SDP, "application/sdp")
        self.caller.send(request.encode(), (HOSTS["one.test"], 5060))

    async def final(self) -> int:
        """What the caller hears in the end."""
        for _ in range(2000):
            found = next((each for each in self.heard if each.is_final), None)
            if found is not None:
                return found.status
            await asyncio.sleep(0.1)
        raise AssertionError(f"no final answer: {self.heard}")

    def invites(self) -> Counter[str]:
        """How many went to each host, repetitions left out."""
        asked = (one for one in self.sent if isinstance(one[1], Request) and one[1].method == "INVITE")
        return Counter(host for host, _ in {(host, each.top_via.params.get("branch")) for host, each in asked})


def play(scene: Callable[[World], Coroutine[None, None, None]]) -> None:
    async def played() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World()
            async with AsyncExitStack() as stack:
                for domain in HOSTS:
                    await stack.enter_async_context(world.server(domain, Path(folder)))
                await scene(world)
                await asyncio.sleep(300)
                assert not any(house.switchboard.live() for house in world.houses.values())
                assert not world.studio.open_streams

    simulate(played())


async def diverting(house: House, name: str, targets: str, way: str) -> None:
    """Somebody there who is never there, or a mere forwarder."""
    domain, directory = house.directory.main_domain, house.directory
    if way == "forwarder":
        await directory.create_forwarder(domain, name, targets)
        return
    account = await directory.create_account(domain, name, f"{name}-secret")
    await directory.set_setting(account.id, "CallFeatures", "YES" if way == "b2bua" else "NO")
    await directory.set_setting(account.id, "DivertAlways", targets)


@pytest.mark.parametrize(("way", "most"), [("forwarder", 5), ("proxy", 5), ("b2bua", 12)])
def test_two_servers_that_point_at_each_other(way: str, most: int) -> None:
    """A proxy knows its own Vias again; a user agent counts how often the call has been diverted (RFC 5806)."""

    async def scene(world: World) -> None:
        await diverting(world.houses["one.test"], "eve", "eve@two.test", way)
        await diverting(world.houses["two.test"], "eve", "eve@one.test", way)
        world.invite("sip:eve@one.test")
        assert await world.final() == 482
        assert 4 <= world.invites().total() <= most

    play(scene)


@pytest.mark.parametrize("way", ["proxy", "b2bua"])
def test_a_circle_that_forks_does_not_grow_without_end(way: str) -> None:
    """RFC 5393 §3: two at each server, who ring both at the other; 70 hops would make 2^70 of it."""

    async def scene(world: World) -> None:
        for here, there in (("one.test", "two.test"), ("two.test", "one.test")):
            for name in ("adam", "eve"):
                await diverting(world.houses[here], name, f"adam@{there},eve@{there}", way)
        world.invite("sip:eve@one.test")
        assert await world.final() in (403, 440, 482)  # RFC 5393 §5: too broad
        assert world.invites().total() <= 100  # calls out at once of an account (`pbx.toll`)

    play(scene)


@pytest.mark.parametrize("way", ["forwarder", "proxy", "b2bua"])
def test_a_call_that_comes_back_for_somebody_else_is_no_circle(way: str) -> None:
    """RFC 3261 §16.3 step 4: a spiral; Eve's calls go to the other server, which knows where Adam is: here."""

    async def scene(world: World) -> None:
        await diverting(world.houses["one.test"], "eve", "eve@two.test", way)
        await diverting(world.houses["two.test"], "eve", "adam@one.test", way)
        await diverting(world.houses["one.test"], "adam", "adam@phone.test", way)
        world.invite("sip:eve@one.test")
        assert await world.final() == 486
        assert world.invites() == {HOSTS["one.test"]: 2, HOSTS["two.test"]: 1, PHONE[0]: 1}

    play(scene)
