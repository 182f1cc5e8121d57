"""SIPp rings reliably and changes its audio while it rings, through the B2BUA and through the proxy.

RFC 3262, RFC 3311.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.sipp import free_port
from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow
from pbx.transport.sockets import SystemNetwork
from tests.pbx.b2bua import acts
from tests.pbx.b2bua.house import BOB, House

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")

HERE, THERE = "127.0.73.4", "127.0.73.5"
KNOWN = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE\n"


def find(expression: str, header: str, name: str, occurrence: int = 1) -> str:
    """Keep what a header says."""
    return (
        f'<ereg regexp="{expression}" search_in="hdr" header="{header}:" occurrence="{occurrence}" assign_to="{name}"/>'
    )


def keeping(what: str, *found: str) -> str:
    """Receive it, and keep what was found in it."""
    return what.replace("/>", f"><action>{''.join(found)}</action></recv>")


CALLER = [
    acts.invite("alice", "bob", "Require: 100rel", KNOWN.strip()),
    acts.receive(100, optional=True),
    keeping(acts.receive(183, routes=True), find("[0-9]+", "RSeq", "rseq")),
    acts.within("alice", "PRACK", 2, "RAck: [$rseq] 1 INVITE"),
    acts.receive(200),
    acts.within("alice", "UPDATE", 3, body=acts.SDP),
    acts.receive(200),
    acts.receive(200),
    acts.within("alice", "ACK", 1),
    acts.within("alice", "BYE", 4),
    acts.receive(200),
]


def callee(vias: int) -> list[str]:
    """The answer to the INVITE comes long after other requests: its Vias are kept."""
    kept = [find("SIP/2.0.*", "Via", f"via{at}", at) for at in range(1, vias + 1)]
    lines = "\n".join(f"Via: [$via{at}]" for at in range(1, vias + 1))
    return [
        keeping(acts.receive("INVITE", routes=True), *kept, find("[0-9]+ INVITE", "CSeq", "cseq")),
        acts.reply("183 Session Progress", f"Require: 100rel\nRSeq: 77\n{KNOWN}{acts.SDP}"),
        acts.receive("PRACK"),
        acts.reply("200 OK", tag=False),
        acts.receive("UPDATE"),
        acts.reply("200 OK", acts.SDP, tag=False),
        acts.send(
            f"SIP/2.0 200 OK\n{lines}\n[last_From:]\n[last_To:]\n[last_Call-ID:]\nCSeq: [$cseq]\n"
            f"Contact: <sip:bob@[local_ip]:[local_port]>\n{KNOWN}{acts.EMPTY}",
            retransmit=False,
        ),
        acts.receive("ACK"),
        acts.receive("BYE"),
        acts.reply("200 OK", tag=False),
    ]


@pytest.mark.parametrize("way", ["b2bua", "proxy"])
async def test_reliable_ringing_with_an_update(tmp_path: Path, way: str) -> None:
    async with House(network=SystemNetwork(), address=(HERE, 0)) as house:
        if way == "proxy":
            house.town.settings[BOB.id, "CallFeatures"] = "NO"
        port = free_port(THERE)
        contact = f"sip:bob@{THERE}:{port}"
        flow = Flow("udp", house.address, (THERE, port))
        house.town.bindings[BOB.id] = [Binding(BOB.id, contact, contact, f"<{contact}>", flow, 1e12, "c", 1)]
        place = ("-i", THERE, "-p")
        called = await acts.perform(tmp_path, "callee", callee(1 if way == "b2bua" else 2), *place, str(port))
        await acts.taken(THERE, port)
        server = f"{house.address[0]}:{house.address[1]}"
        calls = await acts.perform(tmp_path, "caller", CALLER, server, *place, str(free_port(THERE)))
        await acts.ended(tmp_path, caller=calls, callee=called)
        assert (await house.record()).outcome == "answered"
