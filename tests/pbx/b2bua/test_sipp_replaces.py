"""SIPp takes the place of another SIPp by an INVITE with Replaces (RFC 3891 §3)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow
from pbx.transport.sockets import SystemNetwork
from tests.pbx.b2bua import acts
from tests.pbx.b2bua.house import BOB, House

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")

HERE, THERE, CALLEE = "127.0.76.1", "127.0.76.2", 15_761

CALLER = [
    acts.invite("alice", "bob"),
    acts.receive(100, optional=True),
    acts.receive(200, routes=True),
    acts.within("alice", "ACK", 1),
    acts.receive("INVITE"),
    acts.reply("200 OK", acts.SDP, tag=False),
    acts.receive("ACK"),
    acts.receive("BYE"),
    acts.reply("200 OK", tag=False),
]
CALLED = [
    acts.receive("INVITE"),
    acts.reply("200 OK", acts.SDP),
    acts.receive("ACK"),
    acts.receive("BYE"),
    acts.reply("200 OK", tag=False),
]


def newcomer(replaces: str) -> list[str]:
    return [
        acts.invite("bob", "alice", f"Replaces: {replaces}", "Require: replaces"),
        acts.receive(100, optional=True),
        acts.receive(200, routes=True),
        acts.within("bob", "ACK", 1),
        acts.wait(300),
        acts.within("bob", "BYE", 2),
        acts.receive(200),
    ]


async def test_a_telephone_of_the_same_account_takes_the_call(tmp_path: Path) -> None:
    async with House(network=SystemNetwork(), address=(HERE, 0)) as house:
        contact = f"sip:bob@{THERE}:{CALLEE}"
        flow = Flow("udp", house.address, (THERE, CALLEE))
        house.town.bindings[BOB.id] = [Binding(BOB.id, contact, contact, f"<{contact}>", flow, 1e12, "c", 1)]
        server, place = f"{house.address[0]}:{house.address[1]}", ("-i", THERE, "-p")
        called = await acts.perform(tmp_path, "called", CALLED, *place, str(CALLEE))
        caller = await acts.perform(tmp_path, "caller", CALLER, server, *place, str(CALLEE + 1))
        async with asyncio.timeout(10):
            while not (found := house.exchange.lines.of(BOB.id)) or found[0].state != "confirmed" or not found[0].tags:
                await asyncio.sleep(0.02)
        his, ours = found[0].tags
        wanted = f"{found[0].call_id};to-tag={ours};from-tag={his}"
        taking = await acts.perform(tmp_path, "taking", newcomer(wanted), server, *place, str(CALLEE + 2))
        await acts.ended(tmp_path, called=called, taking=taking, caller=caller)
        record = await house.record()
        assert (record.outcome, record.ended_by) == ("answered", "callee")
        assert house.metrics.value("calls.faults") == 0
