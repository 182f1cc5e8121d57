"""A whole server in virtual time among peers who write their own octets: what they may do, and what must hold after it.

No peer here has a SIP stack: each remembers just enough (tags, CSeq, the last nonce) to get as deep as it wants.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from pbx.sipcore import digest
from pbx.sipcore.failures import SipSyntaxError
from pbx.transport.network import Endpoint
from tests.simulation.clock import VirtualClock
from tests.simulation.draft import CHANGES, Change, Draft
from tests.simulation.network import SERVER, TownNetwork, Weather
from tests.simulation.phones import DOMAIN
from tests.simulation.server import Server, founded
from tests.simulation.story import MEMORY
from tests.simulation.studio import VirtualStudio
from tests.simulation.virtual import VirtualLoop, simulate

HOMES = {"alice": "10.0.0.2", "bob": "10.0.0.3", "far": "10.0.0.4", "stranger": "203.0.113.66"}
TARGETS = (
    f"sip:202@{DOMAIN}", f"sip:bob@{DOMAIN}", f"sip:201@{DOMAIN}", f"sip:600@{DOMAIN}", f"sip:200@{DOMAIN}",
    f"sip:*98@{DOMAIN}", f"sip:299@{DOMAIN}", f"sip:203@{DOMAIN}", f"sip:{DOMAIN}", "sip:x@far.example", "tel:202",
    f"sip:conference@{DOMAIN}",
)  # fmt: skip
OUTSIDE = (
    "INVITE", "INVITE", "INVITE", "REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "OPTIONS", "REFER", "NOTIFY", "INFO",
    "NONE",
)  # fmt: skip
WITHIN = (
    "ACK", "BYE", "INVITE", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "OPTIONS", "CANCEL",
)  # fmt: skip
STATUSES = (
    100, 180, 183, 199, 200, 200, 200, 202, 204, 300, 302, 305, 380, 400, 401, 407, 408, 415, 420, 422, 480, 486, 487,
    488, 491, 500, 503, 504, 513, 600, 603, 699,
)  # fmt: skip
QUIET = 44_000.0
"""Seconds after which a proxied call of which no BYE came by is over for the server too (12 hours)."""

_REASON = re.compile(rb"SIP/2\.0 (\d{3})")


@dataclass(frozen=True, slots=True)
class Step:
    """Somebody sends a request: outside dialogs (`within` False) to a target, or in the last dialog that he has."""

    who: str
    method: str
    target: str = TARGETS[0]
    within: bool = False
    changes: tuple[Change, ...] = ()
    pause: float = 0.1


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody answers to the next request that he gets: these statuses, each changed, one after the other."""

    statuses: tuple[int, ...] = (200,)
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Siege:
    """A whole play. `proxied`: calls to bob go the proxy way."""

    steps: tuple[Step, ...]
    replies: tuple[Reply, ...] = ()
    proxied: bool = False


def _few(most: int) -> st.SearchStrategy[tuple[Change, ...]]:
    return st.lists(CHANGES, max_size=most).map(tuple)


_WHO = st.sampled_from(("alice", "alice", "bob", "stranger", "far"))
_PAUSES = st.sampled_from((0.0, 0.1, 0.1, 0.6, 3.0, 40.0))
STEPS = st.one_of(
    st.builds(Step, _WHO, st.sampled_from(OUTSIDE), st.sampled_from(TARGETS), st.just(False), _few(4), _PAUSES),
    st.builds(Step, _WHO, st.sampled_from(WITHIN), st.sampled_from(TARGETS), st.just(True), _few(3), _PAUSES),
)
REPLIES = st.builds(Reply, st.lists(st.sampled_from(STATUSES), min_size=1, max_size=3).map(tuple), _few(3))
SIEGES = st.builds(
    Siege,
    st.lists(STEPS, min_size=1, max_size=8).map(tuple),
    st.lists(REPLIES, max_size=6).map(tuple),
    st.booleans(),
)


@dataclass(slots=True)
class Known:
    """A dialog, or what may become one, as one end sees it."""

    call_id: str
    local: str
    remote: str
    target: str
    cseq: int
    branch: str = ""
    routes: tuple[str, ...] = ()
    reliable: str = ""


@dataclass(slots=True)
class Peer:
    """One who writes by hand."""

    name: str
    network: TownNetwork
    replies: deque[Reply]
    dialogs: list[Known] = field(default_factory=list)
    answers: list[Draft] = field(default_factory=list)
    requests: list[Draft] = field(default_factory=list)
    deaf: bool = False
    socket: Any = None
    nonce: str = ""
    count: int = 0
    number: int = 0

    @property
    def home(self) -> str:
        return HOMES[self.name]

    def open(self) -> None:
        self.socket = self.network.open((self.home, 5060), self._arrived)

    @property
    def address(self) -> str:
        return f"sip:{self.name}@{'far.example' if self.name in ('far', 'stranger') else DOMAIN}"

    def send(self, draft: Draft, changes: Sequence[Change] = ()) -> None:
        for change in changes:
            draft = change.applied(draft)
        self.socket.send(draft.encode(), SERVER)

    # --- what he asks

    def act(self, step: Step) -> None:
        if step.within and self.dialogs:
            self.send(self.inside(step.method, self.dialogs[-1]), step.changes)
        else:
            self.send(self.outside(step.method, step.target), step.changes)

    def outside(self, method: str, target: str) -> Draft:
        self.number += 1
        local = f"<{self.address}>;tag={self.name}{self.number}"
        known = Known(f"{self.name}-{self.number}", local, f"<{target}>", target, self.number)
        if method in ("INVITE", "SUBSCRIBE"):
            self.dialogs.append(known)
        to = f"<{self.address}>" if method == "REGISTER" else known.remote
        return self._request(method, f"sip:{DOMAIN}" if method == "REGISTER" else target, known, to)

    def inside(self, method: str, known: Known) -> Draft:
        if method not in ("ACK", "CANCEL"):
            known.cseq += 1
        return self._request(method, known.target, known, known.remote)

    def _request(self, method: str, target: str, known: Known, to: str) -> Draft:
        self.number += 1
        branch = f"z9hG4bK{self.name}{self.number}"
        if method == "INVITE":
            known.branch = branch
        branch = known.branch if method == "CANCEL" and known.branch else branch
        headers = [
            ("Via", f"SIP/2.0/UDP {self.home}:5060;branch={branch};rport"),
            ("Max-Forwards", "70"),
            ("From", known.local),
            ("To", to),
            ("Call-ID", known.call_id),
            ("CSeq", f"{known.cseq} {method}"),
            ("Contact", f"<sip:{self.name}@{self.home}:5060>"),
            *(("Route", route) for route in known.routes),
            *self._extras(method, known),
        ]
        if self.nonce and method not in ("ACK", "CANCEL"):
            headers.append(("Authorization", self._proof(method, target)))
        body, kind = self._content(method)
        if body:
            headers.append(("Content-Type", kind))
        return Draft(f"{method} {target} SIP/2.0", tuple(headers), body)

    def _extras(self, method: str, known: Known) -> list[tuple[str, str]]:
        return {
            "INVITE": [
                ("Supported", "100rel, timer, replaces"),
                ("Session-Expires", "1800"),
                ("Allow", "INVITE, UPDATE, PRACK"),
            ],
            "REGISTER": [("Expires", "600")],
            "SUBSCRIBE": [
                ("Event", ("dialog", "presence", "message-summary", "reg")[self.number % 4]),
                ("Expires", "300"),
            ],
            "PUBLISH": [("Event", "presence"), ("Expires", "300")],
            "NOTIFY": [("Event", "refer"), ("Subscription-State", "active")],
            "REFER": [("Refer-To", f"<sip:600@{DOMAIN}>"), ("Event", "refer")],
            "PRACK": [("RAck", known.reliable or "1 1 INVITE")],
        }.get(method, [])

    def _content(self, method: str) -> tuple[bytes, str]:
        match method:
            case "INVITE" | "UPDATE":
                return self._sdp(), "application/sdp"
            case "MESSAGE":
                return b"hello", "text/plain"
            case "INFO":
                return b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay"
            case "NOTIFY":
                return b"SIP/2.0 200 OK\r\n", "message/sipfrag"
            case "PUBLISH":
                entity = f"<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='{self.address}'>"
                return (
                    f"{entity}<tuple id='a'><status><basic>open</basic></status></tuple></presence>".encode(),
                    "application/pidf+xml",
                )
            case _:
                return b"", ""

    def _sdp(self) -> bytes:
        return (
            f"v=0\r\no=- 1 {self.number} IN IP4 {self.home}\r\ns=-\r\nc=IN IP4 {self.home}\r\nt=0 0\r\n"
            "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
        ).encode()

    def _proof(self, method: str, uri: str) -> str:
        self.count += 1
        asked = digest.Challenge(DOMAIN, self.nonce, qop=("auth",))
        return digest.respond(
            asked,
            username=self.name,
            password=f"{self.name}-secret",
            method=method,
            uri=uri,
            cnonce="c",
            count=self.count,
        )

    # --- what he hears

    def _arrived(self, data: bytes, source: Endpoint) -> None:
        if self.deaf or not data.strip():
            return
        head, _, body = data.partition(b"\r\n\r\n")
        start, *lines = head.decode("utf-8", "replace").split("\r\n")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        heard = Draft(start, headers, body)
        if start.startswith("SIP/2.0 "):
            self.answers.append(heard)
            self._answered(heard)
        else:
            self.requests.append(heard)
            if not start.startswith("ACK "):
                self._asked(heard)

    def _answered(self, heard: Draft) -> None:
        status, method = int(heard.start[8:11]), heard.get("CSeq").partition(" ")[2]
        challenge = heard.get("WWW-Authenticate") or heard.get("Proxy-Authenticate")
        if challenge and self.name in ("alice", "bob"):
            try:
                self.nonce, self.count = digest.parse_challenge(challenge).nonce, 0
            except SipSyntaxError:
                return
        known = next((each for each in self.dialogs if each.call_id == heard.get("Call-ID")), None)
        if known is None or method not in ("INVITE", "SUBSCRIBE"):
            return
        if ";tag=" in heard.get("To") and status < 300:
            known.remote = heard.get("To")
            known.target = heard.get("Contact").strip("<>").partition(">")[0] or known.target
            known.routes = tuple(reversed([value for name, value in heard.headers if name == "Record-Route"]))
            known.reliable = f"{heard.get('RSeq')} {heard.get('CSeq')}" if heard.get("RSeq") else ""
        if method == "INVITE" and status >= 200:
            self._acknowledge(heard, known, status)

    def _acknowledge(self, heard: Draft, known: Known, status: int) -> None:
        ack = self._request("ACK", known.target, known, heard.get("To"))
        if status >= 300:
            ack = ack.sets("Via", f"SIP/2.0/UDP {self.home}:5060;branch={known.branch};rport")
        self.send(ack)

    def _asked(self, heard: Draft) -> None:
        reply = self.replies.popleft() if self.replies else Reply()
        tag = "" if ";tag=" in heard.get("To") else f";tag={self.name}{len(self.dialogs)}"
        method = heard.start.partition(" ")[0]
        if method in ("INVITE", "SUBSCRIBE") and tag:
            routes = tuple(value for name, value in heard.headers if name == "Record-Route")
            contact = heard.get("Contact").strip("<>").partition(">")[0]
            known = Known(heard.get("Call-ID"), heard.get("To") + tag, heard.get("From"), contact, 100, routes=routes)
            self.dialogs.append(known)
        for status in reply.statuses:
            self.send(self._reply(heard, status, tag, method), reply.changes)

    def _reply(self, heard: Draft, status: int, tag: str, method: str) -> Draft:
        kept = ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq")
        headers = [(name, value + (tag if name == "To" else "")) for name, value in heard.headers if name in kept]
        headers.append(("Contact", f"<sip:{self.name}@{self.home}:5060>"))
        if status == 302:
            headers[-1] = ("Contact", f"<sip:600@{DOMAIN}>")
        body = self._sdp() if method in ("INVITE", "UPDATE") and status in (183, 200) else b""
        if body:
            headers.append(("Content-Type", "application/sdp"))
        if status == 183 and "100rel" in heard.get("Supported"):
            headers += [("Require", "100rel"), ("RSeq", "7")]
        return Draft(f"SIP/2.0 {status} Odd", tuple(headers), body)


class Finals:
    """The final answers that leave the server, by request; fed with all that is on the wire."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], set[tuple[int, str]]] = defaultdict(set)

    def see(self, data: bytes, source: Endpoint, destination: Endpoint, copies: int) -> None:
        found = _REASON.match(data)
        if source != SERVER or found is None or found[1] < b"200":
            return
        names = ("Via", "From", "Call-ID", "CSeq", "To")
        lines = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
        *key, to = (next((line for line in lines if line.startswith(f"{name}:")), "") for name in names)
        self._found[tuple(key)].add((int(found[1]), to))

    def faults(self) -> list[str]:
        """RFC 3261 §8.2.6, §13.3.1.4: one final answer, save the 2xx of several telephones."""
        doubles = [(key, told) for key, told in self._found.items() if len(told) > 1 and any(s >= 300 for s, _ in told)]
        return [f"several finals {sorted(told)} to {key}" for key, told in doubles]


class Stage:
    """A server, and the four peers. `wire` is all that was sent: from where, to where, what."""

    def __init__(self, folder: Path, contents: Mapping[str, bytes]) -> None:
        self.clock = VirtualClock()
        self.network = TownNetwork(self.clock, Random(0), Weather(), self._see)
        self.network.add_names({"far.example": (HOMES["far"],)})
        self.studio = VirtualStudio(self.clock, self.network, lambda *heard: None)
        self.server = Server(0, folder, self.clock, self.network, self.studio, contents)
        self.replies: deque[Reply] = deque()
        self.peers = {name: Peer(name, self.network, self.replies) for name in HOMES}
        self.finals = Finals()
        self.wire: list[tuple[Endpoint, Endpoint, bytes]] = []

    def _see(self, data: bytes, source: Endpoint, destination: Endpoint, copies: int) -> None:
        self.wire.append((source, destination, data))
        self.finals.see(data, source, destination, copies)

    def sent_to(self, host: str) -> list[bytes]:
        """What the server has sent there."""
        return [data for source, destination, data in self.wire if destination[0] == host and source[0] == SERVER[0]]

    async def open(self, *, proxied: bool) -> None:
        """Alice and bob register. All may watch each other, and bob takes strangers."""
        await self.server.start()
        directory = self.server.house.directory
        for name in ("alice", "bob"):
            account = directory.find_account(DOMAIN, name)
            assert account is not None
            wanted = {"WatchedBy": "server", "CallFeatures": "NO" if proxied else "YES"}
            if name == "bob":
                wanted["AcceptStrangers"] = "YES"
            await asyncio.gather(*(directory.set_setting(account.id, key, value) for key, value in wanted.items()))
        for peer in self.peers.values():
            peer.open()
        for _ in range(2):
            for name in ("alice", "bob"):
                self.peers[name].act(Step(name, "REGISTER"))
            await asyncio.sleep(0.2)
        assert len(self.server.house.bindings) == 2

    async def ask(self, who: str, draft: Draft, seconds: float = 3.0) -> int:
        """The status of the final answer to a request; 0 when none comes in time."""
        peer = self.peers[who]
        before = len(peer.answers)
        peer.send(draft)
        await asyncio.sleep(seconds)
        wanted = (draft.get("Call-ID"), draft.get("CSeq"))
        answers = [each for each in peer.answers[before:] if (each.get("Call-ID"), each.get("CSeq")) == wanted]
        return next((status for each in answers if (status := int(each.start[8:11])) >= 200), 0)


def play(act: Callable[[Stage], Awaitable[None]], *, proxied: bool = False) -> list[str]:
    """Play something on a stage; what does not hold after it, in words."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, capture_logs(processors=(format_exc_info,)) as logs:
        contents = founded()
        logs.clear()
        return simulate(_play(act, proxied, Path(folder), logs, contents))


async def _play(
    act: Callable[[Stage], Awaitable[None]], proxied: bool, folder: Path, logs: list[Any], contents: Mapping[str, bytes]
) -> list[str]:
    stage = Stage(folder, contents)
    try:
        await stage.open(proxied=proxied)
        await act(stage)
        stage.replies.clear()
        await _leave(stage.peers)
        found = [*_left(stage.server, stage.studio), *stage.finals.faults()]
        await stage.server.stop()
        loop = asyncio.get_running_loop()
        uncaught = loop.faults if isinstance(loop, VirtualLoop) else []
        return [*_logged(logs), *uncaught, *found]
    finally:
        stage.server.discard()


def run(siege: Siege) -> list[str]:
    """What does not hold after a siege."""

    async def act(stage: Stage) -> None:
        stage.replies.extend(siege.replies)
        for step in siege.steps:
            stage.peers[step.who].act(step)
            await asyncio.sleep(step.pause)
        await asyncio.sleep(5.0)

    return play(act, proxied=siege.proxied)


async def _leave(peers: Mapping[str, Peer]) -> None:
    """Everybody hangs up whatever he believes to have, and hears no more."""
    for peer in peers.values():
        for known in list(peer.dialogs):
            peer.send(peer.inside("BYE", known))
    await asyncio.sleep(5.0)
    for peer in peers.values():
        peer.deaf = True
    await asyncio.sleep(QUIET)


def _left(server: Server, studio: VirtualStudio) -> list[str]:
    """What should not be there any more."""
    house = server.house
    layer: Any = house.stack._layer
    exchange = house.switchboard.exchange
    counts = {
        "client transactions": sum(1 for _, method in layer._clients if method != "OPTIONS"),
        "server transactions": layer.server_count,
        "octets of transactions": layer._octets,
        "answers kept": layer.spent_count,
        "calls": len(exchange.calls),
        "proxied calls": len(exchange.proxied),
        "legs": exchange.legs,
        "call tasks": len(exchange._tasks),
        "calls counted of accounts": sum(exchange._calls_of.values()),
        "proxied requests": len(house.proxy._contexts),
        "streams": studio.loaded(),
        "programs": len(house.host.running),
        "tasks": sum(
            1 for task in asyncio.all_tasks() if task not in server.standing and task is not asyncio.current_task()
        ),
        **{
            name: server.counted(name)
            for name in ("calls.faults", "pbx.transport.faults", "pbx.messages.faults", "apps.tasks.broken")
        },
    }
    return [f"{count:.0f} {what}" for what, count in counts.items() if count]


def _logged(logs: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"log: {line.get('exception', '')} {line.get('event')}"
        for line in logs
        if line["log_level"] in ("error", "critical") or "exception" in line
    ]
