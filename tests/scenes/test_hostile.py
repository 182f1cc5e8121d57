"""Scenes: what comes from outside is hostile. A whole server under garbage, guesses and strangers; each is counted,
refused or ignored as it should be, and the calls of others go on.

The peers here write their own octets: no SIP stack of a telephone would send what they send.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import random
import re
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pbx.sipcore.message import Response
from pbx.sipcore.parser import parse
from tests.scenes.peer import Peer, alive, counter, peer, rtp, scribbled, torture, truncated
from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_broken import leave_after_beep
from tests.scenes.test_voicemail import messages, wait_messages
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]


# --- octets that are no SIP


async def test_garbage_over_udp_is_counted_and_said_once(site: Site) -> None:
    async with peer(site) as vandal:
        whole = vandal.text("INVITE", f"sip:202@{DOMAIN}").encode()
        noise = random.Random(1)
        garbage = [noise.randbytes(noise.randint(1, 1400)) for _ in range(200)]
        oversized = [b"A" * 65_000, whole.replace(b"Max-Forwards: 70", b"X: " + b"y" * 60_000)]
        batch = [*garbage, *truncated(whole), *oversized, *torture(), *scribbled(whole, 2, 300)]
        before = await counter(site, "pbx.transport.malformed")
        for number, data in enumerate(batch):
            vandal.send(data)
            if number % 20 == 0:
                await alive(site)  # or else a busy machine drops the rest unread
        await alive(site)
        assert await counter(site, "pbx.transport.malformed") >= before + len(garbage)
        assert await counter(site, "pbx.transport.faults") == 0
    assert site.log().count("malformed message") == 1
    assert site.log().count(vandal.server[0]) < 60  # guesses of passwords and the like are said; not each datagram


SPOILT: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("a bad CSeq", lambda text: re.sub(r"CSeq: \d+ OPTIONS", "CSeq: 1 REGISTER", text)),
    ("no To", lambda text: re.sub(r"To: .*\r\n", "", text)),
    ("an open bracket", lambda text: text.replace("To: <", "To: ")),
    ("a body cut off", lambda text: text.replace("Content-Length: 0", "Content-Length: 400")),
)


async def test_what_can_be_answered_gets_a_400(site: Site) -> None:
    async with peer(site) as vandal:
        for what, spoil in SPOILT:
            vandal.send(spoil(vandal.text("OPTIONS", f"sip:bob;x@{DOMAIN}")).encode())
            answer = await asyncio.wait_for(vandal.inbox.get(), 5)
            assert answer.startswith(b"SIP/2.0 400 "), what  # it copies the bad header: no parser of ours would take it


async def test_garbage_over_tcp_ends_the_connection_and_nothing_else(site: Site) -> None:
    async with peer(site) as helper:
        whole = helper.text("OPTIONS", f"sip:{DOMAIN}").encode()
    noise = random.Random(3)
    for data in [noise.randbytes(3000), b"\x16\x03\x01\x02\x00" * 20, *torture(), *scribbled(whole, 4, 60)]:
        reader, writer = await asyncio.open_connection(site.host, site.sip_port)
        writer.write(data)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(reader.read(4096), 0.02)
        writer.close()
    endless = b"OPTIONS sip:x SIP/2.0\r\n" + b"X-Filler: " + b"z" * 1000 + b"\r\n"
    reader, writer = await asyncio.open_connection(site.host, site.sip_port)
    with contextlib.suppress(ConnectionError):
        for _ in range(2000):  # two megabytes of headers that never end
            writer.write(endless)
            await writer.drain()
        await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert reader.at_eof() or reader.exception() is not None
    await alive(site)
    assert await counter(site, "pbx.transport.malformed") > 10
    assert await counter(site, "pbx.transport.faults") == 0
    assert site.log().count("malformed message") == 1


# --- who are you


def faceless(answer: Response) -> str:
    """An answer without what differs from one request to the next."""
    text = answer.encode().decode()
    text = re.sub(r'nonce="[^"]*"', 'nonce="-"', text)
    text = re.sub(r"tag=[^\r\n;]*", "tag=-", text)
    text = re.sub(r"(?m)^(Via|Call-ID|CSeq|From|To):.*$", r"\1", text)
    return text


def work(site: Site) -> float:
    """Seconds that the server has computed so far, whatever else this machine did meanwhile (Linux: schedstat)."""
    tasks = Path(f"/proc/{site.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def attempt(asking: Peer, user: str, password: str) -> tuple[str, float]:
    """One registration; the second answer, faceless, and the seconds that it took."""
    uri = f"sip:{DOMAIN}"
    challenge = await asking.ask(
        asking.text("REGISTER", uri, user=user).replace(f"To: <{uri}>", f"To: <sip:{user}@{DOMAIN}>")
    )
    assert challenge.status == 401
    line = asking.proof("REGISTER", uri, challenge, user, password)
    text = asking.text("REGISTER", uri, line, user=user).replace(f"To: <{uri}>", f"To: <sip:{user}@{DOMAIN}>")
    began = time.perf_counter()
    answer = await asking.ask(text)
    return faceless(answer), time.perf_counter() - began


async def test_a_wrong_password_and_an_unknown_user_look_the_same(site: Site) -> None:
    """By octets, by work and by waiting: the middle of the differences in what the server computes for an answer is far
    below what a network lets anybody see, and neither is held back. Work, for the time that passes depends on what else
    this machine does."""
    known: list[float] = []
    unknown: list[float] = []
    right = await site.password("alice")
    async with peer(site) as asking:
        for turn in range(24):
            # A fresh source each time would be needed to escape the slowdown; a right password takes it off again
            before = work(site)
            wrong, _ = await attempt(asking, "alice", "not-it")
            between = work(site)
            nobody, _ = await attempt(asking, "nobody", "not-it")
            after = work(site)
            assert wrong == nobody
            assert wrong.startswith("SIP/2.0 403")
            known.append(between - before)
            unknown.append(after - between)
            if turn % 2:
                await attempt(asking, "alice", right)
        assert min(known) > 0
        assert abs(statistics.median(known) - statistics.median(unknown)) < 0.002, (known, unknown)
        assert await counter(site, "sip.auth.delayed") == 0


async def test_every_local_address_gets_the_same_challenge(site: Site) -> None:
    async with peer(site) as stranger:
        answers = set()
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE"):
            for number in ("202", "bob", "299", "nobody", "600", "200", "*98", "conference"):
                text = stranger.text(
                    method, f"sip:{number}@{DOMAIN}", "Event: message-summary", user="x", host="far.example"
                )
                answers.add(faceless(await stranger.ask(text)))
    assert len(answers) == 1
    assert next(iter(answers)).startswith("SIP/2.0 401")


async def test_many_guesses_are_slowed_down_and_logged_for_fail2ban(site: Site) -> None:
    async with peer(site) as guesser:
        for number in range(7):
            _, took = await attempt(guesser, "alice", f"guess{number}")
        assert took > 0.5
    lines = [line for line in site.log().splitlines() if "auth-failure proto=sip" in line]
    assert len(lines) == 7
    assert all(f"src={site.host}:" in line and "user=alice" in line for line in lines)
    alice = await site.phone("alice", await site.password("alice"))  # from the same address, not held up
    async with alice:
        pass


async def test_the_server_relays_nothing_for_strangers(site: Site) -> None:
    async with peer(site) as stranger:
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS"):
            for user, host in (("x", "far.example"), ("alice", DOMAIN)):
                text = stranger.text(method, "sip:victim@elsewhere.example", user=user, host=host)
                answer = await stranger.ask(text)
                assert answer.status in (403, 407), (method, host, answer.status)
        register = stranger.text("REGISTER", "sip:elsewhere.example", user="x", host="elsewhere.example")
        assert (await stranger.ask(register)).status == 403


async def test_a_forged_tag_is_481(site: Site) -> None:
    async with peer(site) as forger:
        for method in ("INVITE", "BYE", "INFO", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE"):
            for number in ("202", "299"):
                answer = await forger.ask(forger.text(method, f"sip:{number}@{DOMAIN}", tag="forged"))
                assert answer.status == 481, method
        forger.send(forger.text("ACK", f"sip:202@{DOMAIN}", tag="forged").encode())
        forger.send(forger.text("CANCEL", f"sip:202@{DOMAIN}").encode())
        reply = parse(await asyncio.wait_for(forger.inbox.get(), 5))  # of the CANCEL: an ACK is never answered
        assert isinstance(reply, Response)
        assert (reply.status, reply.method) == (481, "CANCEL")
        assert forger.inbox.empty()
    assert await counter(site, "sip.acks.stray") == 1


async def test_a_call_is_not_ended_from_outside(site: Site, tone: Tone, tmp_path: Path) -> None:
    """Call-ID and tags seen on the wire do not help without both tags; and a BYE with one is not taken."""
    alice = await site.phone("alice", await site.password("alice"))
    async with alice, peer(site) as forger:
        await alice.play(tone(440))
        await alice.record(tmp_path / "heard.wav")
        call = await alice.call(f"sip:600@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        call_ids = re.findall(r"call_id=(\S+)", site.log())
        for call_id in set(call_ids):
            text = re.sub(r"Call-ID: \S+", f"Call-ID: {call_id}", forger.text("BYE", f"sip:600@{DOMAIN}", tag="x"))
            assert (await forger.ask(text)).status == 481
        assert call_ids
        await alice.listen(1.5, call)
        await alice.hangup(call)
        await alice.stop_record()
    assert seconds_heard(tmp_path / "heard.wav", 440) > 1.0


# --- audio


async def call_echo(site: Site, caller: Peer, rtp_port: int, password: str) -> tuple[str, int]:
    """Call 600 by hand; the address and port of the server's audio."""
    uri = f"sip:600@{DOMAIN}"
    body = (
        f"v=0\r\no=- 1 1 IN IP4 {site.host}\r\ns=-\r\nc=IN IP4 {site.host}\r\nt=0 0\r\nm=audio {rtp_port} RTP/AVP 0\r\n"
    )
    challenge = await caller.ask(caller.text("INVITE", uri))
    line = caller.proof("INVITE", uri, challenge, "alice", password)
    text = caller.text("INVITE", uri, line, "Content-Type: application/sdp")
    answer = await caller.ask(text.replace("Content-Length: 0", f"Content-Length: {len(body)}") + body)
    assert answer.status == 200
    found = re.search(rb"c=IN IP4 (\S+).*m=audio (\d+)", answer.body, re.S)
    assert found is not None
    return found[1].decode(), int(found[2])


async def test_audio_of_a_stranger_is_dropped_and_counted(site: Site) -> None:
    password = await site.password("alice")
    loop = asyncio.get_running_loop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        for each in (ours, other):
            each.bind((site.host, 0))
            each.setblocking(False)
        async with peer(site) as caller:
            address = await call_echo(site, caller, ours.getsockname()[1], password)
            back: list[bytes] = []
            sequence = 0
            while sequence < 60 or sum(packet[12:] == b"\xd5" * 160 for packet in back) <= 45:
                sequence += 1  # however busy this machine is, his own voice goes on
                assert sequence < 1000, f"{len(back)} packets of {sequence} came back"
                ours.sendto(rtp(sequence, 1, b"\xd5" * 160), address)
                if sequence > 10:
                    for shot in range(2):
                        other.sendto(rtp(5000 + 2 * sequence + shot, 666, b"\x11" * 160), address)
                        other.sendto(rtp(sequence, 1, b"\x11" * 160), address)  # he even knows our SSRC
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        while True:
                            back.append(await loop.sock_recv(ours, 2048))
        assert not any(b"\x11" in packet[12:] for packet in back)
        with pytest.raises(BlockingIOError):
            other.recv(100)
    async with asyncio.timeout(5):
        while await counter(site, "media.strangers") < 150:
            await asyncio.sleep(0.2)


# --- those who only hold the line


async def test_slow_connections_hinder_nobody(site: Site) -> None:
    """Two hundred that say a few octets and wait, on the SIP port and on the IMAP port."""
    password = await site.password("bob")
    held = []
    for port, start in (
        (site.sip_port, b"INVITE sip:202@tandem.test SIP/2.0\r\nVia: "),
        (site.imap_port, b"a LOGIN {10"),
    ):
        for _ in range(200):
            _, writer = await asyncio.open_connection(site.host, port)
            writer.write(start)
            held.append(writer)
    bob = await site.phone("bob", password, transport="udp")
    async with bob:
        await alive(site)
    for writer in held:
        writer.close()
    async with asyncio.timeout(10):
        while await counter(site, "imap.sessions") or await counter(site, "pbx.transport.connections"):
            await asyncio.sleep(0.1)
    assert await messages(site, "bob", password) == []


@pytest.mark.proof
@pytest.mark.timeout(200)
async def test_slow_connections_are_cut_off(site: Site) -> None:
    """SIP: half a minute for a whole message, however the octets drip; IMAP: a minute to log in."""
    for port, drip in ((site.sip_port, b"X"), (site.imap_port, b"x")):
        reader, writer = await asyncio.open_connection(site.host, port)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 90:
                writer.write(drip)
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    if not await asyncio.wait_for(reader.read(100), 1.0):
                        break
        writer.close()
        assert time.monotonic() - began < 75


async def test_guesses_at_the_mail_door_are_refused_alike_and_logged(site: Site) -> None:
    password = await site.password("bob")

    def guess(name: str) -> tuple[str, float]:
        began = time.monotonic()
        client = imaplib.IMAP4(site.host, site.imap_port, timeout=20)
        try:
            client.login(name, "guess")
        except imaplib.IMAP4.error as error:
            return str(error), time.monotonic() - began
        finally:
            client.shutdown()
        raise AssertionError("let in")

    answers = await asyncio.gather(*(asyncio.to_thread(guess, name) for name in ("bob", "nobody") * 6))
    assert len({text for text, _ in answers}) == 1
    assert min(took for _, took in answers) > 0.4
    told = re.findall(r"auth-failure proto=imap src=127\.[0-9.]+ user=(\w+) reason=wrong-password", site.log())
    assert sorted(told) == ["bob"] * 6 + ["nobody"] * 6
    assert await messages(site, "bob", password) == []


async def test_rubbish_at_the_mail_door(site: Site) -> None:
    password = await site.password("bob")
    noise = random.Random(5)
    for data in [noise.randbytes(2000), b"a LOGIN {99999999999}\r\n", b"(" * 100_000 + b"\r\n", b"a" * 300_000,
                 b"a AUTHENTICATE PLAIN\r\n=====\r\n", b"a FETCH 1:* (BODY[\r\n", b"\x00\r\n" * 500]:  # fmt: skip
        reader, writer = await asyncio.open_connection(site.host, site.imap_port)
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(8192), 0.3)
        writer.close()
    assert await messages(site, "bob", password) == []
    assert await counter(site, "imap.crashed") == 0
    assert await counter(site, "imap.broken") > 0


async def test_leaving_a_message_still_works_after_all_that(site: Site, tone: Tone) -> None:
    password = await site.password("bob")
    async with peer(site) as vandal:
        for data in torture():
            vandal.send(data)
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.play(tone(440))
        await leave_after_beep(alice)
    await wait_messages(site, "bob", password, 1)
