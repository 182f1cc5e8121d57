"""One dialog between telephones of unlike transports and address families, through the proxy way (RFC 5658).

SIPp plays both telephones: requests inside the dialog go both ways by the Record-Route that each side got.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from base.failures import Failure
from bench.sipp import free_port
from pbx.proxy.seal import Ends
from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.uri import Uri
from pbx.transport.sockets import SystemNetwork
from tests.pbx.b2bua import acts
from tests.pbx.b2bua.house import BOB, SERVER, House

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")

HERE, THERE = "127.0.74.1", "127.0.74.9"

CALLER = [
    acts.invite("alice", "bob"),
    acts.receive(100, optional=True),
    acts.receive(180, optional=True),
    acts.receive(200, routes=True),
    acts.within("alice", "ACK", 1),
    acts.within("alice", "INFO", 2),
    acts.receive(200),
    acts.receive("MESSAGE"),
    acts.reply("200 OK", tag=False),
    acts.receive("BYE"),
    acts.reply("200 OK", tag=False),
]
CALLEE = [
    acts.receive("INVITE", routes=True),
    acts.reply("180 Ringing"),
    acts.reply("200 OK", acts.SDP),
    acts.receive("ACK"),
    acts.receive("INFO"),
    acts.reply("200 OK", tag=False),
    acts.within("bob", "MESSAGE", 1, callee="alice"),
    acts.receive(200),
    acts.within("bob", "BYE", 2, callee="alice"),
    acts.receive(200),
]


@pytest.mark.parametrize(
    ("near", "far", "routes"),
    [("tcp4", "udp4", 2), ("udp4", "udp6", 2), ("udp6", "tcp4", 2), ("tcp4", "tcp6", 2), ("udp4", "udp4", 1)],
)
async def test_each_side_finds_the_other(tmp_path: Path, near: str, far: str, routes: int) -> None:
    house = House(network=SystemNetwork(), address=(HERE, 0), tcp=((HERE, 0), ("::1", 0)), also=(("::1", 0),))
    async with house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        bound = {
            f"{transport}{6 if ':' in host else 4}": (host, port) for transport, (host, port) in house.stack.addresses
        }
        port = free_port(THERE)
        callee = await acts.perform(tmp_path, "callee", CALLEE, *_place(far, port))
        host = "[::1]" if far.endswith("6") else THERE
        kind = socket.SOCK_DGRAM if far.startswith("udp") else socket.SOCK_STREAM
        await acts.taken(host.strip("[]"), port, kind)
        contact = f"sip:bob@{host}:{port};transport={far[:3]}"
        flow = await _flow(house, contact)
        house.town.bindings[BOB.id] = [Binding(BOB.id, contact, contact, f"<{contact}>", flow, 1e12, "c", 1)]
        server = "[{}]:{}" if near.endswith("6") else "{}:{}"
        caller = await acts.perform(tmp_path, "caller", CALLER, server.format(*bound[near]), *_place(near, 0))
        await acts.ended(tmp_path, caller=caller, callee=callee)
        assert (await house.record()).cause == "BYE"
    invite, _, later = (tmp_path / "callee.log").read_text().partition("SIP/2.0 180")
    assert invite.count(";lr>") == routes, invite
    for request in ("ACK", "INFO"):  # both Route values were ours, and have been taken off
        assert "\nRoute:" not in later.partition(f"{request} sip:")[2].partition("\n\n")[0], later


async def test_a_secure_call_is_recorded_as_secure_towards_secure_sides() -> None:
    """RFC 3261 §16.6 step 4, §8.1.1.8."""
    async with House() as house:
        request = Request("INVITE", "sips:bob@tandem.test")
        for name, value in (("From", "<sip:a@b>;tag=a"), ("Call-ID", "c"), ("To", "<sips:bob@tandem.test>")):
            request.add(name, value)
        near, far = Flow("tls", SERVER, ("10.0.0.9", 1), 1), Flow("udp", SERVER, ("10.0.0.8", 2))
        house.proxy._record(request, Ends(near, far))
        callee, caller = request.get_all("Record-Route")
        assert (caller[:6], callee[:5]) == ("<sips:", "<sip:")
        assert "transport" not in caller
        assert house.exchange.contact(near, secure=True)[:6] == "<sips:"
        assert house.exchange.contact(near, secure=False)[:5] == "<sip:"


def _place(kind: str, port: int) -> tuple[str, ...]:
    mode = "t1" if kind.startswith("tcp") else "u1"
    return ("-t", mode, "-i", "[::1]" if kind.endswith("6") else THERE, *(("-p", str(port)) if port else ()))


async def _flow(house: House, contact: str) -> Flow:
    """The way to the telephone, once SIPp listens there."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await house.stack.flow_to(Uri.parse(contact))
            except Failure:
                await asyncio.sleep(0.05)
