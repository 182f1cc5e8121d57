"""Scenes: what comes from outside is hostile. A whole server under garbage, guesses, strangers, broken programs, full
disks; each is counted, refused or ignored as it should be, and the calls of others go on.

The peers here write their own octets: no SIP stack of a telephone would send what they send.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import random
import re
import resource
import secrets
import socket
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from pbx.sipcore import digest
from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import parse
from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_voicemail import messages, skip_greeting, wait_messages
from tests.tones import make_tone, seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]
TORTURE = Path(__file__).resolve().parents[1] / "torture"


class Peer(asyncio.DatagramProtocol):
    """A UDP peer in the hands of the test: it sends octets, and keeps what comes back."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport
        self._number = 0
        self._own = secrets.token_hex(4)
        """A port is given again soon, and then its requests must not look like those of the one before."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, source: tuple[str | object, int]) -> None:
        self.inbox.put_nowait(data)

    @property
    def local(self) -> tuple[str, int]:
        host, port = self.transport.get_extra_info("sockname")[:2]
        return host, port

    def send(self, data: bytes) -> None:
        self.transport.sendto(data, self.server)

    def text(self, method: str, uri: str, *headers: str, user: str = "alice", tag: str = "", host: str = DOMAIN) -> str:
        """A whole request as text, less its body."""
        self._number += 1
        to = f"<{uri}>" + (f";tag={tag}" if tag else "")
        local = f"{self.local[0]}:{self.local[1]}"
        lines = (
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {local};branch=z9hG4bK-{self._own}-{self._number};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{host}>;tag=from{self._number}",
            f"To: {to}",
            f"Call-ID: call-{self._own}-{self._number}",
            f"CSeq: {self._number} {method}",
            f"Contact: <sip:{user}@{local}>",
            *headers,
            "Content-Length: 0",
        )
        return "\r\n".join(lines) + "\r\n\r\n"

    async def ask(self, text: str, seconds: float = 10.0) -> Response:
        """Send a request; its final answer."""
        self.send(text.encode())
        wanted = parse(text.encode())
        async with asyncio.timeout(seconds):
            while True:
                answer = parse(await self.inbox.get())
                if isinstance(answer, Response) and answer.is_final and answer.call_id == wanted.call_id:
                    if wanted.method == "INVITE":
                        self._acknowledge(wanted, answer)
                    return answer

    def _acknowledge(self, invite: Request | Response, answer: Response) -> None:
        assert isinstance(invite, Request)
        ack = Request("ACK", invite.uri)
        ack.copy_from(invite, "Via", "Max-Forwards", "From")
        ack.copy_from(answer, "To", "Call-ID")
        ack.add("CSeq", f"{invite.cseq.number} ACK")
        self.send(ack.encode())

    def proof(self, method: str, uri: str, answer: Response, user: str, password: str) -> str:
        """The Authorization line that answers a challenge."""
        asked = digest.parse_challenge(answer.get("WWW-Authenticate") or "")
        value = digest.respond(asked, username=user, password=password, method=method, uri=uri, cnonce="c")
        return f"Authorization: {value}"


@contextlib.asynccontextmanager
async def peer(site: Site) -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Peer((site.host, site.sip_port)), local_addr=(site.host, 0)
    )
    try:
        yield protocol
    finally:
        transport.close()


async def counter(site: Site, name: str) -> float:
    found = (await site.listing("status")).get(name, 0)
    assert isinstance(found, int | float)
    return found


async def alive(site: Site) -> float:
    """The server answers; how long that took."""
    async with peer(site) as asking:
        began = time.monotonic()
        answer = await asking.ask(asking.text("OPTIONS", f"sip:{DOMAIN}"))
        assert answer.status == 200
        return time.monotonic() - began


def torture() -> list[bytes]:
    return [path.read_bytes() for path in sorted(TORTURE.glob("*/*.dat"))]


def truncated(whole: bytes) -> list[bytes]:
    return [whole[:end] for end in range(1, len(whole), 7)]


def scribbled(whole: bytes, seed: int, count: int) -> list[bytes]:
    """The same request with a few octets changed each time."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        found.append(bytes(data))
    return found


# --- octets that are no SIP


async def test_garbage_over_udp_is_counted_and_said_once(site: Site) -> None:
    async with peer(site) as vandal:
        whole = vandal.text("INVITE", f"sip:202@{DOMAIN}").encode()
        noise = random.Random(1)
        garbage = [noise.randbytes(noise.randint(1, 1400)) for _ in range(200)]
        oversized = [b"A" * 65_000, whole.replace(b"Max-Forwards: 70", b"X: " + b"y" * 60_000)]
        batch = [*garbage, *truncated(whole), *oversized, *torture(), *scribbled(whole, 2, 300)]
        before = await counter(site, "pbx.transport.malformed")
        for data in batch:
            vandal.send(data)
            await asyncio.sleep(0)
        assert await alive(site) < 2.0
        assert await counter(site, "pbx.transport.malformed") >= before + len(garbage)
        assert await counter(site, "pbx.transport.faults") == 0
    assert site.log().count("malformed message") == 1
    assert site.log().count(vandal.server[0]) < 60  # guesses of passwords and the like are said; not each datagram


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("a bad CSeq", lambda text: re.sub(r"CSeq: \d+ OPTIONS", "CSeq: 1 REGISTER", text)),
        ("no To", lambda text: re.sub(r"To: .*\r\n", "", text)),
        ("an open bracket", lambda text: text.replace("To: <", "To: ")),
        ("a body cut off", lambda text: text.replace("Content-Length: 0", "Content-Length: 400")),
    ],
)
async def test_what_can_be_answered_gets_a_400(site: Site, what: str, spoil: Callable[[str], str]) -> None:
    async with peer(site) as vandal:
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
    assert await alive(site) < 1.0
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


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE"])
async def test_a_forged_tag_is_481(site: Site, method: str) -> None:
    async with peer(site) as forger:
        for number in ("202", "299"):
            answer = await forger.ask(forger.text(method, f"sip:{number}@{DOMAIN}", tag="forged"))
            assert answer.status == 481
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


def rtp(sequence: int, ssrc: int, payload: bytes) -> bytes:
    return b"\x80\x00" + sequence.to_bytes(2) + (160 * sequence).to_bytes(4) + ssrc.to_bytes(4) + payload


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


# --- programs

BROKEN = """entry Main is
  if AcceptCall() != null then return; end if;
  x = NewArray();
  x[7] = Length(x) / 0;
end entry;
"""
ENDLESS = """entry Main is
  if AcceptCall() != null then return; end if;
  n = 0;
  loop
    n = n + 1;
  end loop;
end entry;
"""


def install(site: Site, name: str, text: str) -> None:
    folder = site.data / "environment" / "server"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


async def hear_failure(site: Site, tone: Tone, tmp_path: Path, program: str, seconds: float) -> tuple[float, float]:
    """bob is in the echo, alice calls the program: seconds of the failure prompt that she hears, and of her call."""
    await site.tandem("prompts", "put", "failure.wav", str(make_tone(tmp_path / "sorry.wav", 700, seconds=2.0)))
    install(site, "pbx.sppr", program)
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"))
    async with alice, bob:
        await bob.play(tone(440))
        other = await bob.call(f"sip:600@{DOMAIN}")
        await bob.wait_state("confirmed", other)
        await bob.listen(0.3, other)
        await bob.record(tmp_path / "bob.wav")
        await alice.record(tmp_path / "alice.wav")
        call = await alice.call(f"sip:200@{DOMAIN}")
        began = time.monotonic()
        slowest = 0.0
        ended = asyncio.create_task(alice.wait_state("disconnected", call, timeout=seconds + 30))
        while not ended.done():
            slowest = max(slowest, await alive(site))
            await asyncio.wait([ended], timeout=0.1)
        await ended
        lasted = time.monotonic() - began
        assert slowest < 1.0
        await bob.stop_record()
        assert seconds_heard(tmp_path / "bob.wav", 440) > 0.8 * lasted - 0.5
        await bob.hangup(other)
        await alice.stop_record()
    return seconds_heard(tmp_path / "alice.wav", 700), lasted


async def test_a_broken_program_fails_alone(site: Site, tone: Tone, tmp_path: Path) -> None:
    heard, _ = await hear_failure(site, tone, tmp_path, BROKEN, 5)
    assert heard > 1.5
    (line,) = [line for line in site.log().splitlines() if "program_failed" in line]
    assert "pbx.sppr" in line
    assert "line=4" in line


async def test_a_program_that_never_ends_is_stopped(site: Site, tone: Tone, tmp_path: Path) -> None:
    heard, lasted = await hear_failure(site, tone, tmp_path, ENDLESS, 60)
    assert heard > 1.5
    assert lasted < 45
    (line,) = [line for line in site.log().splitlines() if "program_failed" in line]
    assert "pbx.sppr" in line


async def test_a_program_that_does_not_compile_is_named(site: Site, tone: Tone, tmp_path: Path) -> None:
    heard, _ = await hear_failure(site, tone, tmp_path, "entry Main is\n  x = = 1;\nend entry;\n", 5)
    assert heard > 1.5
    (line,) = [line for line in site.log().splitlines() if "program_invalid" in line]
    assert "line=2" in line


# --- full disks


@contextlib.contextmanager
def full_disk(site: Site, left: int) -> Iterator[None]:
    """No file of the server grows beyond the largest one and `left` octets more: its writes then fail as on a full disk
    (RLIMIT_FSIZE: no privilege is needed for it)."""
    most = max(path.stat().st_size for path in site.data.rglob("*") if path.is_file())
    resource.prlimit(site.pid, resource.RLIMIT_FSIZE, (most + left, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(site.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def test_a_full_disk_while_recording_is_told_and_leaves_nothing(site: Site, tone: Tone, tmp_path: Path) -> None:
    password = await site.password("bob")
    await site.tandem("prompts", "put", "failure.wav", str(make_tone(tmp_path / "sorry.wav", 700, seconds=2.0)))
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.play(tone(440))
        await alice.record(tmp_path / "alice.wav")
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        with full_disk(site, 65_536):
            await alice.wait_state("disconnected", call, timeout=60)
        await alice.stop_record()
        assert seconds_heard(tmp_path / "alice.wav", 700) > 1.5
        assert await messages(site, "bob", password) == []
        assert list((site.data / "spool").glob("*")) == []
        await leave_after_beep(alice)
        await wait_messages(site, "bob", password, 1)


async def leave_after_beep(alice: TestPhone) -> None:
    call = await alice.call(f"sip:202@{DOMAIN}")
    await alice.wait_state("confirmed", call)
    await skip_greeting(alice, call)
    await alice.listen(5.0, call)
    await alice.hangup(call)
    await alice.wait_state("disconnected", call)


async def test_a_mail_store_that_takes_nothing_keeps_the_recording(site: Site, tone: Tone) -> None:
    """Somebody else holds bob's mailbox locked: delivery fails whole; after the next start the message is there."""
    password = await site.password("bob")
    assert await messages(site, "bob", password) == []
    (mailbox,) = (site.data / "mail").glob("*.db")
    alice = await site.phone("alice", await site.password("alice"))
    with contextlib.closing(sqlite3.connect(mailbox, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        async with alice:
            await alice.play(tone(440))
            await leave_after_beep(alice)
            async with asyncio.timeout(30):
                while "recording" not in site.log():
                    await asyncio.sleep(0.2)
        assert await site.stop() == 0
        holder.execute("ROLLBACK")
    assert len(list((site.data / "spool").glob("*.wav"))) == 1
    await site.start()
    (message,) = await wait_messages(site, "bob", password, 1)
    assert int(message["Content-Duration"]) >= 2
    assert list((site.data / "spool").glob("*.wav")) == []


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
        assert await alive(site) < 1.0
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
