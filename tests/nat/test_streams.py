"""Scenes: messages over TCP (MSRP) and a facsimile (T.38) between two homes behind routers, both ways of calls.

The telephones are hand-played, as no soft phone here speaks either; the routers, the server and the octets are real.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from pbx.sipcore.message import Request
from pbx.sipcore.sdp import SessionDescription
from pbx.transport.stack import LARGE
from tests.nat.hand import HandPhone, socket_at
from tests.nat.site import NatSite
from tests.nat.world import World

pytestmark = pytest.mark.scene
WORDS = b"MSRP a786hjs2 SEND\r\n" + bytes(range(256)) * 400 + b"-------a786hjs2$\r\n"
PAGE = b"\x00\x01\x06" + bytes(range(128))


def says(phone: HandPhone, *sections: str) -> bytes:
    """A description by who knows nothing of its router."""
    where = f"IN IP{6 if ':' in phone.host.address else 4} {phone.host.address}"
    head = f"v=0\r\no=- 1 1 {where}\r\ns=-\r\nc={where}\r\nt=0 0\r\n"
    return (head + "".join(f"{each}\r\n" for each in sections)).encode()


def message(phone: HandPhone, setup: str, port: int = 9) -> str:
    path = f"msrp://{phone.host.address}:{port}/{phone.account.name};tcp"
    return f"m=message {port} TCP/MSRP *\r\na=path:{path}\r\na=msrp-cema\r\na=setup:{setup}\r\na=accept-types:*"


async def change(asks: HandPhone, other: HandPhone, offer: bytes, answer: bytes) -> tuple[bytes, bytes]:
    """A re-INVITE and its answer, as each gets to read them."""
    routes = asks.routes, other.routes
    asks.send("INVITE", offer)
    again = await other.request("INVITE")
    other.answer(again, 200, answer)
    ok = await asks.response(200)
    asks.routes, other.routes = routes
    asks.send("ACK")
    await other.request("ACK")
    return again.body, ok.body


async def answered(alice: HandPhone, bob: HandPhone, offer: bytes, answer: bytes) -> tuple[Request, bytes]:
    """Alice has called bob; what both are told, and the dialog is the telephones'."""
    await alice.ring("202", offer)
    invite = await bob.request("INVITE")
    bob.answer(invite, 200, answer)
    ok = await alice.response(200)
    alice.send("ACK")
    await bob.request("ACK")
    bob.takes(invite)
    return invite, ok.body


def place(body: bytes, kind: str) -> tuple[str, int]:
    description = SessionDescription.parse(body)
    (section,) = [each for each in description.media if each.kind == kind]
    return description.address(section) or "", section.port


def setup(body: bytes) -> str:
    (section,) = [each for each in SessionDescription.parse(body).media if each.kind == "message"]
    return section.attributes("setup")[0]


async def reach(phone: HandPhone, to: tuple[str, int]) -> socket.socket:
    sock = socket_at(phone.host, socket.SOCK_STREAM)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, to)
    return sock


async def octets_cross(one: socket.socket, other: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    for speaks, hears in ((one, other), (other, one)):
        saying = asyncio.create_task(loop.sock_sendall(speaks, WORDS))
        got = b""
        async with asyncio.timeout(10):
            while len(got) < len(WORDS):
                data = await loop.sock_recv(hears, 1 << 16)
                assert data, "the connection has ended"
                got += data
            await saying
        assert got == WORDS


async def pages_cross(one: tuple[socket.socket, tuple[str, int]], other: tuple[socket.socket, tuple[str, int]]) -> None:
    """Datagrams, sent again until they come: a side that nobody has heard from yet cannot be sent to."""
    loop = asyncio.get_running_loop()
    sides = [(sock, to, PAGE + bytes([at])) for at, (sock, to) in enumerate((one, other))]
    hearing = [asyncio.create_task(loop.sock_recv(sock, 2000)) for sock, _, _ in sides]
    async with asyncio.timeout(10):
        while not all(each.done() for each in hearing):
            for sock, to, page in sides:
                sock.sendto(page, to)
            await asyncio.sleep(0.02)
    assert [each.result() for each in hearing] == [PAGE + b"\1", PAGE + b"\0"]


@pytest.mark.parametrize("features", ["YES", "NO"])
async def test_messages_and_a_facsimile_cross_two_routers(world: World, site: NatSite, features: str) -> None:
    """Neither home can be reached: over TCP both connect to us, whatever they have said to each other (RFC 4145)."""
    await site.tandem("setting", "set", "bob", "CallFeatures", features)
    home = world.router("r1", world.public, 21, kind="symmetric")
    other = world.router("r2", world.public, 22, kind="symmetric")
    async with (
        HandPhone("alice", world.host("alice", home, 2), site) as alice,
        HandPhone("bob", world.host("bob", other, 2), site) as bob,
    ):
        much = f"{message(alice, 'actpass', 2855)}\r\na=x-much:{'x' * LARGE}"
        invite, ok = await answered(alice, bob, says(alice, much), says(bob, message(bob, "active")))
        assert len(invite.encode()) > LARGE  # a datagram all the same: he has no connection (RFC 3261 §18.1.1)
        assert setup(invite.body) == "actpass"
        assert setup(ok) == "passive"
        with await reach(bob, place(invite.body, "message")) as his, await reach(alice, place(ok, "message")) as hers:
            await octets_cross(hers, his)
            fax = "m=message 0 TCP/MSRP *", "m=image 5000 udptl t38"
            again, ok = await change(bob, alice, says(bob, *fax), says(alice, *fax))
            with socket_at(alice.host, port=5000) as here, socket_at(bob.host, port=5000) as there:
                for sock in (here, there):
                    sock.setblocking(False)
                await pages_cross((here, place(again, "image")), (there, place(ok, "image")))
        bob.send("BYE")
        alice.answer(await alice.request("BYE"), 200)
        await bob.response(200, "BYE")
    assert f"way={'proxy' if features == 'NO' else 'b2bua'}" in site.log()


@pytest.mark.parametrize("features", [pytest.param("YES", marks=pytest.mark.proof), "NO"])
async def test_who_only_waits_in_the_office_is_reached_from_a_home(world: World, tmp_path: Path, features: str) -> None:
    """As a message server does, bob waits to be connected to: we do that, and the home connects to us."""
    office = world.lan("office", "10.9.0.")
    home = world.router("r1", world.public, 21, kind="symmetric")
    machine = world.host("server", world.public, 10)
    inside = world.also(machine, "eth1", office, 1)
    async with NatSite(tmp_path / "site", machine) as site:
        await site.tandem("setting", "set", "bob", "CallFeatures", features)
        async with (
            HandPhone("alice", world.host("alice", home, 2), site) as alice,
            HandPhone("bob", world.host("bob", office, 7), site, inside) as bob,
        ):
            with socket_at(bob.host, socket.SOCK_STREAM, 2855) as ear:
                ear.listen()
                ear.setblocking(False)
                offer = says(alice, message(alice, "actpass", 2855))
                invite, ok = await answered(alice, bob, offer, says(bob, message(bob, "passive", 2855)))
                assert (place(invite.body, "message")[0], place(ok, "message")[0]) == (inside, "11.22.33.10")
                with await reach(alice, place(ok, "message")) as hers:
                    his, source = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(ear), 10)
                    with his:
                        assert source[0] == inside
                        await octets_cross(hers, his)
