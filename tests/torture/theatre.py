"""A whole server in virtual time before which a stranger reads out torture messages: who is answered what, who hears.

The server holds example.com with a few of its people; `user` has a telephone that answers everything; a neighbour proxy
serves all other domains. The one who tortures is a trusted peer or a stranger. Nothing here judges.
"""

from __future__ import annotations

import asyncio
import ipaddress
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from base.config import Config, Listen, SipConfig
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.work import run_at_once
from pbx.sipcore import digest
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import Endpoint, Stream
from server.house import Ground, House
from tests.simulation.clock import VirtualClock
from tests.simulation.studio import VirtualStudio, as_engine
from tests.simulation.virtual import simulate

SERVER = ("192.0.2.1", 5060)
SERVER6 = ("2001:db8::10", 5060)
TORTURER, TORTURER6 = "198.51.100.7", "2001:db8:7::7"
PHONE, NEIGHBOUR = ("203.0.113.5", 5060), ("203.0.113.9", 5060)
NEIGHBOUR6 = ("2001:db8::c000:201", 5060)
"""Of RFC 5118 §4.10: 2001:db8::192.0.2.1."""
DOMAIN, PEOPLE = "example.com", ("user", "j.user", "j_user", "joe", "watson")
QUIET = 60.0
FAULTS = ("pbx.transport.faults", "calls.faults")
_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 2 12\r\na=rtpmap:2 G726-32/8000\r\n"
)
_NAMES = ("services.example.com", "chair-dnrc.example.com", "example.net", "example.org", "company.com")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as octets: what it repeats of a malformed request no parser of ours would read."""

    octets: bytes

    @property
    def status(self) -> int:
        return int(self.octets[8:11])

    @property
    def reason(self) -> str:
        return self.octets.partition(b"\r\n")[0][12:].decode()

    def get(self, name: str) -> str:
        """The first value of a header; empty without one."""
        for line in self.octets.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name.lower():
                return value.strip()
        return ""


@dataclass(slots=True)
class Heard:
    """What came of a message: the answers to whoever sent it, the requests that the telephone and the neighbour got,
    and everything else that left the server."""

    answers: list[Answer] = field(default_factory=list)
    phone: list[Request] = field(default_factory=list)
    neighbour: list[Request] = field(default_factory=list)
    stray: list[tuple[bytes, Endpoint]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    alive: bool = False
    closed: bool = False

    @property
    def finals(self) -> list[int]:
        """The final answers in order, repetitions left out."""
        return list(dict.fromkeys(each.status for each in self.answers if each.status >= 200))


class _Listener:
    """A party that answers every request with 200."""

    def __init__(self, network: MemoryNetwork, local: Endpoint, heard: list[Request]) -> None:
        self.heard = heard
        self.socket = network.open(local, self._receive)
        self.responses: list[Response] = []

    def _receive(self, data: bytes, source: Endpoint) -> None:
        message = parse(data)
        if isinstance(message, Response):
            self.responses.append(message)
            return
        self.heard.append(message)
        if message.method != "ACK":
            response = response_to(message, 200, to_tag="heard")
            response.set("Contact", f"<sip:user@{self.socket.local[0]}>")
            if message.method == "INVITE":
                response.set_body(_SDP, "application/sdp")
            self.socket.send(response.encode(), source)


class Theatre:
    """One server for one message."""

    def __init__(self, folder: Path, *, trusted: bool) -> None:
        self.clock = VirtualClock()
        self.metrics = Metrics()
        self.heard = Heard()
        self.databases = InlineDatabases()
        self.network = MemoryNetwork(self.clock, fate=self._fate, names=dict.fromkeys(_NAMES, (NEIGHBOUR[0],)))
        networks = [ipaddress.ip_network(each) for each in (TORTURER, TORTURER6) if trusted]
        listen = [Listen(kind, *place) for kind in ("udp", "tcp") for place in (SERVER, SERVER6)]
        ground = Ground(
            clock=self.clock,
            entropy=SeededEntropy(1),
            network=self.network,
            databases=self.databases,
            media=as_engine(VirtualStudio(self.clock, self.network)),
            run=run_at_once,
            data=folder,
            key=bytes(32),
            hosts=(SERVER[0], SERVER6[0]),
        )
        config = Config(sip=SipConfig(listen=tuple(listen), trusted=tuple(networks), qualify=0))
        self.house = House(ground, config, self.metrics, "0", domain=DOMAIN)

    def _fate(self, data: bytes, source: Endpoint, destination: Endpoint) -> Sequence[float]:
        if source in (SERVER, SERVER6):
            if destination[0] in (TORTURER, TORTURER6):
                self._take(data)
            elif destination not in (PHONE, NEIGHBOUR, NEIGHBOUR6):
                self.heard.stray.append((data, destination))
        return (0.01,)

    def _take(self, data: bytes) -> None:
        if data.startswith(b"SIP/2.0 "):
            self.heard.answers.append(Answer(data))

    async def open(self) -> None:
        await self.house.open()
        directory = self.house.directory
        for name in PEOPLE:
            account = directory.find_account(DOMAIN, name)
            if account is None:
                await directory.create_account(DOMAIN, name, f"{name}-secret")
        self.neighbour = _Listener(self.network, NEIGHBOUR, self.heard.neighbour)
        self.neighbour6 = _Listener(self.network, NEIGHBOUR6, self.heard.neighbour)
        self.phone = _Listener(self.network, PHONE, self.heard.phone)
        await self._register()

    async def _register(self) -> None:
        register = Request("REGISTER", f"sip:{DOMAIN}")
        for name, value in (
            ("Via", f"SIP/2.0/UDP {PHONE[0]}:{PHONE[1]};branch=z9hG4bKphone"), ("Max-Forwards", "70"),
            ("From", f"<sip:user@{DOMAIN}>;tag=p"), ("To", f"<sip:user@{DOMAIN}>"), ("Call-ID", "phone"),
            ("CSeq", "1 REGISTER"), ("Contact", f"<sip:user@{PHONE[0]}>"),
        ):  # fmt: skip
            register.add(name, value)
        self.phone.socket.send(register.encode(), SERVER)
        await asyncio.sleep(1)
        self.phone.socket.send(
            proved(register.encode(), self.phone.responses[-1].get("WWW-Authenticate") or "", "user"), SERVER
        )
        await asyncio.sleep(1)
        assert self.phone.responses[-1].status == 200, self.phone.responses[-1]
        self.heard.phone.clear()
        self.heard.stray.clear()

    # --- the one who tortures

    async def say(self, data: bytes, *, six: bool = False) -> None:
        """One datagram, and a minute for all that follows."""
        source = (TORTURER6 if six else TORTURER, 5060)
        socket = self.network.open(source, lambda data, source: None)
        socket.send(data, SERVER6 if six else SERVER)
        await asyncio.sleep(QUIET)
        await socket.close()

    async def say_on_stream(self, data: bytes) -> None:
        """One message over TCP. Afterwards `heard.closed` tells whether the server still takes this connection."""
        caller = _Caller(self)
        stream = await self.network.connect(SERVER, lambda stream: caller, local_host=TORTURER)
        stream.write(data)
        await asyncio.sleep(QUIET)
        self.heard.closed = caller.over or not await caller.ping(stream)
        stream.close()
        await asyncio.sleep(1)

    def begin_anew(self) -> None:
        """What follows is another story."""
        self.heard = Heard()
        self.phone.heard, self.neighbour.heard = self.heard.phone, self.heard.neighbour
        self.neighbour6.heard = self.heard.neighbour

    async def close(self) -> None:
        """Look whether the server still answers a plain request and has noted no fault, then end it."""
        await self._ask_whether_alive()
        self.heard.faults += [name for name in FAULTS if self.metrics.value(name)]
        await self.house.close()

    async def _ask_whether_alive(self) -> None:
        before = len(self.heard.answers)
        await self.say(_OPTIONS)
        answers = self.heard.answers[before:]
        del self.heard.answers[before:]
        self.heard.alive = [each.status for each in answers] == [200]


class _Caller:
    """The user of a stream."""

    def __init__(self, theatre: Theatre) -> None:
        self._theatre = theatre
        self.over = False
        self._pongs = 0

    def received(self, data: bytes) -> None:
        if data == b"\r\n":
            self._pongs += 1
        else:
            self._theatre._take(data)

    def ended(self) -> None:
        self.over = True

    async def ping(self, stream: Stream) -> bool:
        stream.write(b"\r\n\r\n")
        await asyncio.sleep(1)
        return self._pongs > 0


_OPTIONS = (
    f"OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {TORTURER};branch=z9hG4bKalive\r\nMax-Forwards: 70\r\n"
    f"From: <sip:x@example.net>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: alive\r\nCSeq: 1 OPTIONS\r\n\r\n"
).encode()


def proved(data: bytes, challenge: str, name: str) -> bytes:
    """The same octets once more, in a transaction of its own and with the credentials that were asked for."""
    first, _, rest = data.partition(b"\r\n")
    method, uri, _ = first.decode().split(" ")
    asked = digest.parse_challenge(challenge)
    value = digest.respond(asked, username=name, password=f"{name}-secret", method=method, uri=uri, cnonce="c")
    again = rest.replace(b"branch=z9hG4bK", b"branch=z9hG4bKagain", 1)
    return first + f"\r\nAuthorization: {value}\r\n".encode() + again


async def _play(folder: Path, data: bytes, *, login: str, stream: bool, six: bool, trusted: bool) -> list[Heard]:
    theatre = Theatre(folder, trusted=trusted)
    try:
        await theatre.open()
        if stream:
            await theatre.say_on_stream(data)
        else:
            await theatre.say(data, six=six)
        if login and theatre.heard.finals == [401]:
            await theatre.say(proved(data, theatre.heard.answers[0].get("WWW-Authenticate"), login), six=six)
        await theatre.close()
    finally:
        theatre.databases.discard()
    return [theatre.heard]


async def _play_all(folder: Path, messages: Sequence[tuple[bytes, bool]]) -> list[Heard]:
    theatre = Theatre(folder, trusted=False)
    stories = []
    try:
        await theatre.open()
        for data, six in messages:
            theatre.begin_anew()
            await theatre.say(data, six=six)
            stories.append(theatre.heard)
        await theatre.close()
    finally:
        theatre.databases.discard()
    return stories


def read_out(data: bytes, *, login: str = "", stream: bool = False, six: bool = False, trusted: bool = True) -> Heard:
    """What a server makes of one message. `login`: answer its challenge as this account."""
    return _staged(lambda folder: _play(folder, data, login=login, stream=stream, six=six, trusted=trusted))[0]


def read_out_to_one(messages: Sequence[tuple[bytes, bool]]) -> list[Heard]:
    """What one server makes of many messages (and whether each comes over IPv6) of a stranger, one after the other."""
    return _staged(lambda folder: _play_all(folder, messages))


def _staged(play: Callable[[Path], Coroutine[Any, Any, list[Heard]]]) -> list[Heard]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        logs: list[Any] = stack.enter_context(capture_logs(processors=(format_exc_info,)))
        stories = simulate(play(folder))
    stories[-1].faults += [
        str(line) for line in logs if line["log_level"] in ("error", "critical") or "exception" in line
    ]
    return stories


__all__ = ["Answer", "Heard", "read_out", "read_out_to_one"]
