"""Plays for SIPp: scenarios told in a few words, and the programs that run them on loopback."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from tests.pbx.b2bua.house import DOMAIN

_FRAME = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{name}">\n{acts}\n</scenario>\n'
_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport\nMax-Forwards: 70"
_CONTACT = "Contact: <sip:{user}@[local_ip]:[local_port];transport=[transport]>"
SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
"""
EMPTY = "Content-Length: 0\n"
CALL_ID = "Call-ID: [call_id]"


def send(text: str, retransmit: bool = True) -> str:
    retrans = ' retrans="500"' if retransmit else ""
    return f"<send{retrans}><![CDATA[\n{text}\n]]></send>"


def wait(milliseconds: int) -> str:
    return f'<pause milliseconds="{milliseconds}"/>'


def receive(what: str | int, *, optional: bool = False, routes: bool = False) -> str:
    kind = "response" if isinstance(what, int) else "request"
    extra = (' optional="true"' if optional else "") + (' rrs="true"' if routes else "")
    return f'<recv {kind}="{what}"{extra}/>'


def reply(status: str, body: str = EMPTY, *, tag: bool = True, user: str = "") -> str:
    """Answer what came last."""
    # the called side's tag is `far`, the caller's `near`
    to = "[last_To:]" + (";tag=far" if tag else "")
    return send(
        f"SIP/2.0 {status}\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n{to}\n[last_Call-ID:]\n[last_CSeq:]\n"
        f"{_CONTACT.format(user=user or 'callee')}\n{body}",
        retransmit=False,
    )


def invite(user: str, number: str, *headers: str, body: str = SDP) -> str:
    lines = [
        f"INVITE sip:{number}@{DOMAIN} SIP/2.0",
        _VIA,
        f"From: <sip:{user}@{DOMAIN}>;tag=near",
        f"To: <sip:{number}@{DOMAIN}>",
        CALL_ID,
        "CSeq: 1 INVITE",
        _CONTACT.format(user=user),
        *headers,
        body,
    ]
    return send("\n".join(lines))


def within(user: str, method: str, number: int, *headers: str, body: str = EMPTY, callee: str = "") -> str:
    """A request of the caller inside the dialog; with `callee`, of the called one, to that address."""
    own, peer = (";tag=far", ";tag=near") if callee else (";tag=near", "[peer_tag_param]")
    lines = [
        f"{method} [next_url] SIP/2.0",
        _VIA,
        "[routes]",
        f"From: <sip:{user}@{DOMAIN}>{own}",
        f"To: <sip:{callee or 'peer'}@{DOMAIN}>{peer}",
        CALL_ID,
        f"CSeq: {number} {method}",
        _CONTACT.format(user=user),
        *headers,
        body,
    ]
    return send("\n".join(lines), retransmit=method != "ACK")


async def perform(folder: Path, name: str, acts: list[str], *arguments: str) -> asyncio.subprocess.Process:
    """Start SIPp with a play of one call."""
    scenario = folder / f"{name}.xml"
    scenario.write_text(_FRAME.format(name=name, acts="\n".join(acts)))
    return await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(scenario), "-m", "1", "-nostdin", "-nd", "-deadcall_wait", "0"),
        *("-timeout", "60s", "-timeout_error", "-trace_msg", "-message_file", f"{name}.log", *arguments),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(folder: Path, **plays: asyncio.subprocess.Process) -> None:
    """All have been played to their end."""
    for name, process in plays.items():
        async with asyncio.timeout(70):
            _, errors = await process.communicate()
        log = folder / f"{name}.log"
        said = log.read_text(errors="replace")[-6000:] if log.exists() else ""
        assert process.returncode == 0, f"{name}: {errors.decode()[-2000:]}\n{said}"


async def taken(host: str, port: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> None:
    """Wait until somebody listens there, so that nothing is sent to a program that has not begun."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    async with asyncio.timeout(20):
        while True:
            with socket.socket(family, kind) as probe:
                try:
                    probe.bind((host, port))
                except OSError:
                    return
            await asyncio.sleep(0.02)
