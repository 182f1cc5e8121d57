"""Scenes: SIPp, a stranger's implementation, against a whole running server: registration, load, and hard timing."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pbx.sipcore.message import Request, response_to
from pbx.sipcore.parser import parse
from tests.scenes.site import DOMAIN, Site

pytestmark = [pytest.mark.scene, pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")]

CALLS = 100
FRAME = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{name}">\n{steps}\n</scenario>\n'
HEADERS = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <sip:{user}@DOMAIN>;tag=t[call_number]
{to}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:{user}@[local_ip]:[local_port];transport=[transport]>""".replace("DOMAIN", DOMAIN)
SDP = """Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:101 telephone-event/8000
"""


def send(first: str, headers: str, rest: str, options: str = 'retrans="500"') -> str:
    return f"<send {options}><![CDATA[\n{first}\n{headers}\n{rest}\n]]></send>"


def request(
    user: str, method: str, uri: str, to: str, number: int, rest: str = "Content-Length: 0\n", **kind: str
) -> str:
    headers = HEADERS.format(user=user, to=f"To: {to}", number=number, method=method)
    return send(f"{method} {uri} SIP/2.0", headers, rest, **kind)


def proof(user: str, password: str) -> str:
    return f"[authentication username={user} password={password}]\n"


def register(user: str, password: str) -> str:
    uri, to = f"sip:{DOMAIN}", f"<sip:{user}@{DOMAIN}>"
    return "\n".join(
        (
            request(user, "REGISTER", uri, to, 1, "Expires: 3600\nContent-Length: 0\n"),
            '<recv response="401" auth="true"/>',
            request(user, "REGISTER", uri, to, 2, f"{proof(user, password)}Expires: 3600\nContent-Length: 0\n"),
            '<recv response="200"/>',
        )
    )


def invite(user: str, password: str, number: str) -> str:
    """An INVITE, its challenge, and the INVITE that answers it."""
    uri = f"sip:{number}@{DOMAIN}"
    ack = send(
        f"ACK {uri} SIP/2.0",
        HEADERS.format(user=user, to="[last_To:]", number=1, method="ACK").replace("[branch]", "[branch-3]"),
        "Content-Length: 0\n",
        "",
    )
    return "\n".join(
        (
            request(user, "INVITE", uri, f"<{uri}>", 1, SDP),
            '<recv response="100" optional="true"/>',
            '<recv response="401" auth="true" rtd="true"/>',
            ack,
            request(user, "INVITE", uri, f"<{uri}>", 2, proof(user, password) + SDP),
        )
    )


IN_DIALOG = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
[routes]
From: <sip:{user}@DOMAIN>;tag=t[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:{user}@[local_ip]:[local_port]>""".replace("DOMAIN", DOMAIN)

OPTIONAL = "\n".join(f'<recv response="{status}" optional="true"/>' for status in (100, 180, 183))


def within(user: str, method: str, cseq: int, options: str) -> str:
    headers = IN_DIALOG.format(user=user, method=method, cseq=cseq)
    return send(f"{method} [next_url] SIP/2.0", headers, "Content-Length: 0\n", options)


def caller(user: str, password: str, number: str, hold: int) -> str:
    """Call, be answered, talk for `hold` milliseconds, hang up."""
    return "\n".join(
        (
            invite(user, password, number),
            OPTIONAL,
            '<recv response="200" rrs="true"/>',
            within(user, "ACK", 2, ""),
            f'<pause milliseconds="{hold}"/>',
            within(user, "BYE", 3, 'retrans="500"'),
            '<recv response="200"/>',
        )
    )


def canceller(user: str, password: str, number: str) -> str:
    """Call, hear it ring, give up."""
    uri = f"sip:{number}@{DOMAIN}"
    again = HEADERS.format(user=user, to=f"To: <{uri}>", number=2, method="CANCEL")
    refused = HEADERS.format(user=user, to="[last_To:]", number=2, method="ACK")
    # SIPp numbers branches by the step: the INVITE is three steps above its CANCEL, and six above its ACK
    cancel = send(
        f"CANCEL {uri} SIP/2.0", again.replace("[branch]", "[branch-3]"), "Content-Length: 0\n", 'retrans="500"'
    )
    ack = send(f"ACK {uri} SIP/2.0", refused.replace("[branch]", "[branch-6]"), "Content-Length: 0\n", "")
    return "\n".join(
        (
            invite(user, password, number),
            '<recv response="100" optional="true"/>',
            '<recv response="180"/>',
            cancel,
            '<recv response="200"/>',
            '<recv response="487"/>',
            ack,
        )
    )


def reply(status: str, body: str = "Content-Length: 0\n", options: str = "") -> str:
    return send(
        f"SIP/2.0 {status}",
        "[last_Via:]\n[last_From:]\n[last_To:];tag=callee[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n"
        "[last_Record-Route:]\nContact: <sip:bob@[local_ip]:[local_port]>",
        body,
        options,
    )


BYE = """<recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>"""


def callee(pause: int) -> str:
    """Ring and answer: with no pause between them 180 and 200 leave back to back."""
    wait = f'<pause milliseconds="{pause}"/>' if pause else ""
    return "\n".join(
        (
            '<recv request="INVITE" rrs="true"/>',
            reply("180 Ringing"),
            wait,
            reply("200 OK", SDP, 'retrans="500"'),
            '<recv request="ACK"/>',
            BYE,
        )
    )


def ringing_callee() -> str:
    """Ring until cancelled."""
    return "\n".join(
        (
            '<recv request="INVITE" rrs="true"/>',
            reply("180 Ringing"),
            '<recv request="CANCEL"/>',
            send(
                "SIP/2.0 200 OK",
                "[last_Via:]\n[last_From:]\n[last_To:];tag=callee[call_number]\n[last_Call-ID:]\n[last_CSeq:]",
                "Content-Length: 0\n",
                "",
            ),
            send(
                "SIP/2.0 487 Request Terminated",
                "[last_Via:]\n[last_From:]\n[last_To:];tag=callee[call_number]\n[last_Call-ID:]\n"
                "CSeq: [$number] INVITE",
                "Content-Length: 0\n",
                'retrans="500"',
            ),
            '<recv request="ACK"/>',
        )
    ).replace(
        '<recv request="INVITE" rrs="true"/>',
        '<recv request="INVITE" rrs="true"><action><ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" '
        'assign_to="number"/></action></recv>',
    )


class Sipp:
    """Runs scenarios from one address against one site."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._number = 0

    async def start(
        self, steps: str, *options: str, port: int = 0, transport: str = "u1", calls: int = 1
    ) -> asyncio.subprocess.Process:
        self._number += 1
        scenario = self._folder / f"scenario-{self._number}.xml"
        scenario.write_text(FRAME.format(name=f"scenario {self._number}", steps=steps))
        where = ("-p", str(port)) if port else ()
        return await asyncio.create_subprocess_exec(
            *("sipp", f"{self._site.host}:{self._site.sip_port}", "-sf", str(scenario), "-i", self._site.host, *where),
            *("-t", transport, "-m", str(calls), "-nostdin", "-nd", "-deadcall_wait", "0", "-max_socket", "500"),
            *("-timeout", "60s", "-timeout_error", "-trace_err", "-error_file", f"{scenario}.err", *options),
            cwd=self._folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def finish(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(80):
            _, errors = await process.communicate()
        told = "\n".join(path.read_text()[:3000] for path in self._folder.glob("*.err"))
        assert process.returncode == 0, f"{process.returncode} {errors.decode()[-2000:]}\n{told}"

    async def run(self, steps: str, *options: str, port: int = 0, transport: str = "u1", calls: int = 1) -> None:
        await self.finish(await self.start(steps, *options, port=port, transport=transport, calls=calls))

    @contextlib.asynccontextmanager
    async def serving(self, steps: str, port: int, calls: int) -> AsyncIterator[None]:
        """A callee that takes so many calls, and has taken them at the end."""
        process = await self.start(steps, port=port, calls=calls)
        try:
            yield
            await self.finish(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.fixture
def sipp(site: Site, tmp_path: Path) -> Sipp:
    return Sipp(site, tmp_path)


BOB_PORT = 25_062


async def let_register(site: Site, sipp: Sipp, user: str, password: str) -> None:
    """SIPp registers somebody; the NOTIFY of the lamp is answered here: no scenario of a callee expects it."""
    await sipp.run(register(user, password), port=BOB_PORT)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lamp:
        lamp.bind((site.host, BOB_PORT))
        lamp.setblocking(False)
        async with asyncio.timeout(10):
            data, source = await loop.sock_recvfrom(lamp, 8192)
        notify = parse(data)
        assert isinstance(notify, Request)
        assert notify.method == "NOTIFY"
        lamp.sendto(response_to(notify, 200, to_tag="lamp").encode(), source)


async def outcomes(site: Site, count: int) -> Counter[tuple[str, str]]:
    """What the records say: outcome and program."""
    async with asyncio.timeout(15):
        while len(records := await site.listing("calls", "--limit", "1000")) < count or any(
            record["state"] != "ended" for record in records
        ):
            await asyncio.sleep(0.2)
    assert len(records) == count
    return Counter((record["outcome"], record["program"]) for record in records)


async def settled(site: Site, seconds: float = 15) -> None:
    """Nothing of the calls is left in the server, and nothing failed in it."""
    async with asyncio.timeout(seconds):
        while (status := await site.listing("status"))["media.streams"] or status["calls.live"]:
            await asyncio.sleep(0.2)
    assert not status.get("calls.faults")
    assert not status.get("pbx.transport.faults")


@pytest.mark.parametrize("transport", ["u1", *(pytest.param(each, marks=pytest.mark.proof) for each in ("t1", "tn"))])
async def test_a_hundred_calls_to_a_registered_callee(site: Site, sipp: Sipp, transport: str) -> None:
    """Callers over one UDP socket, one TCP connection, and a TCP connection for each call."""
    alice, bob = await site.password("alice"), await site.password("bob")
    await let_register(site, sipp, "bob", bob)
    async with sipp.serving(callee(50), BOB_PORT, CALLS):
        await sipp.run(caller("alice", alice, "202", 400), "-r", "20", "-l", "30", calls=CALLS, transport=transport)
    assert await outcomes(site, CALLS) == {("answered", ""): CALLS}
    await settled(site)


async def test_180_and_200_back_to_back_lose_nothing(site: Site, sipp: Sipp) -> None:
    alice, bob = await site.password("alice"), await site.password("bob")
    await let_register(site, sipp, "bob", bob)
    async with sipp.serving(callee(0), BOB_PORT, CALLS):
        await sipp.run(caller("alice", alice, "202", 0), "-r", "50", "-l", "20", calls=CALLS)
    assert await outcomes(site, CALLS) == {("answered", ""): CALLS}
    await settled(site)


async def test_callers_who_give_up(site: Site, sipp: Sipp) -> None:
    alice, bob = await site.password("alice"), await site.password("bob")
    await let_register(site, sipp, "bob", bob)
    async with sipp.serving(ringing_callee(), BOB_PORT, 30):
        await sipp.run(canceller("alice", alice, "202"), "-r", "10", calls=30)
    assert await outcomes(site, 30) == {("cancelled", ""): 30}
    await settled(site)


async def test_callers_of_the_echo_and_the_attendant(site: Site, sipp: Sipp) -> None:
    alice = await site.password("alice")
    for number, program in (("600", "echo"), ("200", "pbx")):
        await sipp.run(caller("alice", alice, number, 700), "-r", "20", "-l", "20", calls=50)
        assert (await outcomes(site, 50 if program == "echo" else 100))[("answered", program)] == 50
    await settled(site)


async def test_a_hundred_registrations_of_one_phone(site: Site, sipp: Sipp) -> None:
    bob = await site.password("bob")
    await sipp.run(register("bob", bob), "-r", "50", port=BOB_PORT, calls=100)
    assert len(await site.listing("registrations")) == 1
