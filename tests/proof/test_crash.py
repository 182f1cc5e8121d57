"""kill -9 of the whole server at random moments of recording and delivery. What was acknowledged is there after the
next start, once; the store opens clean; no half message is ever seen.

Callers are raw SIP and RTP of our own, so that many can speak at once and a killed server does not end them.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import imaplib
import io
import math
import os
import random
import re
import sqlite3
import time
import wave
from collections import Counter
from pathlib import Path

import pytest

from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import parse
from tests.scenes.peer import Peer, peer, rtp
from tests.scenes.site import DOMAIN, Site

pytestmark = [pytest.mark.proof, pytest.mark.timeout(3600)]

KILLS = int(os.environ.get("TANDEM_KILLS", "100"))
CALLERS = 3


class Caller:
    """Leaves one message: calls 202, cuts the greeting, speaks, hangs up. `accepted`: the BYE was answered."""

    def __init__(self, site: Site, sip: Peer, audio: asyncio.DatagramTransport) -> None:
        self._site, self._sip, self._audio = site, sip, audio
        self.spoken = 0.0
        self.accepted = False

    async def leave(self, password: str, seconds: float) -> None:
        uri = f"sip:202@{DOMAIN}"
        host, port = self._audio.get_extra_info("sockname")[:2]
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
            "a=rtpmap:101 telephone-event/8000\r\n"
        )
        sip = self._sip
        challenge = await sip.ask(sip.text("INVITE", uri))
        line = sip.proof("INVITE", uri, challenge, "alice", password)
        text = sip.text("INVITE", uri, line, "Content-Type: application/sdp")
        invite = text.replace("Content-Length: 0", f"Content-Length: {len(body)}") + body
        answer = await sip.ask(invite, 20)
        assert answer.status == 200
        found = re.search(rb"c=IN IP4 (\S+).*m=audio (\d+)", answer.body, re.S)
        assert found is not None
        await self._speak((found[1].decode(), int(found[2])), seconds)
        await self._hang_up(invite, answer)

    async def _speak(self, where: tuple[str, int], seconds: float) -> None:
        loud = bytes(0x80 | (n % 8) for n in range(160))
        began, sequence = time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < seconds:
            sequence += 1
            packet = rtp(sequence, 7, loud)
            if 0.4 < elapsed < 0.5:  # '#' cuts the greeting
                event = b"\x0b" + (b"\x8a" if elapsed > 0.46 else b"\x0a") + (160 * (sequence % 8)).to_bytes(2)
                packet = b"\x80\x65" + sequence.to_bytes(2) + (3200).to_bytes(4) + (7).to_bytes(4) + event
            self._audio.sendto(packet, where)
            self.spoken = elapsed
            await asyncio.sleep(max(0.0, began + 0.02 * sequence - time.monotonic()))

    async def _hang_up(self, invite: str, answer: Response) -> None:
        request = parse(invite.encode())
        assert isinstance(request, Request)
        bye = Request("BYE", answer.contacts[0].text)
        bye.add("Via", f"SIP/2.0/UDP {self._sip.local[0]}:{self._sip.local[1]};branch=z9hG4bKbye{id(self)};rport")
        bye.copy_from(request, "Max-Forwards", "From")
        bye.copy_from(answer, "To", "Call-ID")
        bye.add("CSeq", f"{request.cseq.number + 1} BYE")
        bye.add("Content-Length", "0")
        reply = await self._sip.ask(bye.encode().decode(), 10)
        self.accepted = reply.status == 200


async def one_caller(site: Site, password: str, seconds: float, known: list[Caller] | None = None) -> Caller:
    """Leave a message; `known` learns of the caller at once, so that he can be asked although he is cut off."""
    loop = asyncio.get_running_loop()
    audio, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(site.host, 0))
    try:
        async with peer(site) as sip:
            caller = Caller(site, sip, audio)
            if known is not None:
                known.append(caller)
            with contextlib.suppress(TimeoutError, OSError):
                await caller.leave(password, seconds)
            return caller
    finally:
        audio.close()


def inbox(site: Site, password: str, name: str = "bob") -> list[bytes]:
    client = imaplib.IMAP4(site.host, site.imap_port, timeout=20)
    try:
        client.login(name, password)
        client.select("INBOX", readonly=True)
        _, (found,) = client.search(None, "ALL")
        return [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1] for number in found.split()]  # type: ignore[index,misc]
    finally:
        client.shutdown()


def check_whole(data: bytes) -> str:
    """A message that can be played from beginning to end; its Message-ID."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    (sound,) = [part for part in message.walk() if part.get_content_type() == "audio/wav"]
    content = sound.get_payload(decode=True)
    assert isinstance(content, bytes)
    with wave.open(io.BytesIO(content)) as file:
        frames = file.getnframes()
        assert len(file.readframes(frames)) == 2 * frames
        assert frames > 0
        assert math.isclose(frames / 8000, int(message["Content-Duration"]), abs_tol=1.01)
    return str(message["Message-ID"])


def check_clean(data: Path) -> None:
    for path in [*data.glob("*.db"), *(data / "mail").glob("*.db")]:
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path


async def test_killed_at_any_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(20)
    site = Site(tmp_path / "site")
    told: Counter[str] = Counter()
    seen: set[str] = set()
    await site.start()
    alice, bob = await site.password("alice"), await site.password("bob")
    for turn in range(1, KILLS + 1):
        # The caller hangs up after `talk` seconds; half of the kills come in the moments round it, half before
        talk = chance.uniform(2.9, 4.0)
        moment = talk + chance.uniform(-0.02, 0.25) if turn % 2 else chance.uniform(0.8, talk)
        callers: list[Caller] = []
        calls = [asyncio.create_task(one_caller(site, alice, talk, callers)) for _ in range(CALLERS)]
        await asyncio.sleep(moment)
        before = {check_whole(data) for data in await asyncio.to_thread(inbox, site, bob)} if turn % 10 == 0 else set()
        await site.kill()
        await asyncio.sleep(0.05)  # an answer that was under way still arrives
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        check_clean(site.data)
        await site.start()
        messages = [check_whole(data) for data in await asyncio.to_thread(inbox, site, bob)]
        assert len(messages) == len(set(messages)), f"turn {turn}: a message is there twice"
        assert seen | before <= set(messages), f"turn {turn}: a message has gone"
        new = len(set(messages) - seen)
        # A BYE that was answered had a recording of two seconds and more behind it: it must be there
        due = sum(1 for caller in callers if caller.accepted)
        assert new >= due, f"turn {turn}: {due} callers were let go, {new} messages came"
        assert new <= CALLERS
        assert list((site.data / "spool").glob("*.wav")) == [], f"turn {turn}"
        seen = set(messages)
        told["messages"] += new
        told["acknowledged"] += due
        told["kills"] += 1
        if turn % 10 == 0:
            with capsys.disabled():
                print(f"\n  {dict(told)}", end="", flush=True)
    assert await site.stop() == 0
    assert "Traceback" not in site.log(), site.log()[-4000:]
