"""Simulated telephones: a small user agent over the transaction layer, moved by plans drawn from the seed.

They follow the standards closely (2xx repeated until the ACK, ACK again for each repeated 2xx, CANCEL after a
provisional), so that what is lost on the way is made good as real telephones do. RFC 3261 §13, §15, §17; RFC 6026.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from base.clock import Clock, Timer
from base.entropy import Entropy
from base.metrics import Metrics
from pbx.sipcore import digest
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.reliable import EXTENSION
from pbx.sipcore.transactions import Cause, ClientTransaction, ServerTransaction, TransactionLayer
from pbx.transport.memory import MemoryNetwork
from tests.simulation.early import KNOWN, EarlyAnswer, EarlyDialogs, wanted

SERVER = ("10.0.0.1", 5060)
DOMAIN = "tandem.test"
T1 = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a caller means to do: `cancel` seconds after the INVITE, or `talk` seconds after the answer; None: never.
    `keys` are pressed at those seconds after the answer."""

    dialled: str
    cancel: float | None = None
    talk: float | None = 5.0
    keys: tuple[tuple[float, str], ...] = ()
    late_offer: bool = False
    holds: tuple[float, ...] = ()
    """When, after the answer, the caller sends a re-INVITE: hold, resume, hold and so on."""
    video: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """What a called phone does: after `ring` seconds it answers with `status` (0: it rings for ever), and after an
    answer it hangs up after `talk` seconds (None: never). `trying`: how long until the 180; None: none at all."""

    status: int = 200
    ring: float = 2.0
    trying: float | None = 0.05
    talk: float | None = None
    contact: str = ""


@dataclass(eq=False)
class Placed:
    """A call from the caller's side."""

    phone: SimPhone
    plan: Plan
    call_id: str
    port: int
    status: int = 0
    """The final answer; 0 until there is one, -1 when none came (408 of our own)."""
    cancelled: bool = False
    answered_at: float | None = None
    ended_at: float | None = None
    hung_up: bool = False
    """We sent the BYE before any came."""
    bye_received: bool = False
    dialog: Dialog | None = None
    invite: ClientTransaction | None = None
    ack: bytes = b""
    early: EarlyDialogs | None = None
    finals: set[tuple[int, str]] = field(default_factory=set)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answered(self) -> bool:
        return 200 <= self.status < 300


@dataclass(eq=False)
class Taken:
    """A call from the called side."""

    phone: SimPhone
    manner: Manner
    transaction: ServerTransaction
    port: int
    dialog: Dialog | None = None
    early: EarlyAnswer | None = None
    final: int = 0
    acknowledged: bool = False
    ended: bool = False
    answered_at: float | None = None
    hung_up: bool = False
    timers: list[Timer] = field(default_factory=list)

    @property
    def request(self) -> Request:
        return self.transaction.request


class _User:
    """Answers to one request, as callbacks."""

    def __init__(self, response: Callable[[Response], None], failure: Callable[[Cause], None]) -> None:
        self.on_response = response
        self.on_failure = failure


class SimPhone:
    """One telephone at its own address. It is its own transport and core."""

    def __init__(
        self, name: str, password: str, network: MemoryNetwork, clock: Clock, entropy: Entropy, host: str
    ) -> None:
        self.name, self.password, self.clock, self.entropy = name, password, clock, entropy
        self.local = (host, 5060)
        self.flow = Flow("udp", self.local, SERVER)
        self.socket = network.open(self.local, self._receive)
        self.layer = TransactionLayer(clock, entropy, self, self, Metrics())
        self.manner: Callable[[], Manner] = Manner
        self.reliable = False
        """It knows reliable provisional responses, and describes itself in them while it rings."""
        self.placed: list[Placed] = []
        self.taken: list[Taken] = []
        self.faults: list[str] = []
        self.registered = asyncio.Event()
        self.press: Callable[[int, str], None] = lambda port, digit: None
        self.notified = 0
        self._ports = 4000
        self._versions = 0
        self._refused: set[str] = set()
        self._cseq = 0
        self._register_id = entropy.token(8)

    # --- TransportPort

    def send(self, flow: Flow, data: bytes) -> None:
        self.socket.send(data, flow.remote)

    def sent_by(self, flow: Flow) -> str:
        return f"{self.local[0]}:{self.local[1]}"

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        self.layer.receive(parse(data), Flow("udp", self.local, source))

    # --- registration

    def register(self) -> None:
        self._ask(self._make("REGISTER", f"sip:{DOMAIN}", f"<sip:{self.name}@{DOMAIN}>", self._register_id), True)

    def _ask(self, request: Request, first: bool) -> None:
        def answered(response: Response) -> None:
            if response.status == 401 and first:
                self._ask(self._proved(request, response), False)
            elif response.status == 200:
                self.registered.set()
            elif response.is_final:
                self.faults.append(f"REGISTER got {response.status}")

        # What is lost for half a minute is tried again, as a phone does.
        self.layer.request(request, self.flow, _User(answered, lambda cause: self.register()))

    def _make(self, method: str, uri: str, to: str, call_id: str) -> Request:
        self._cseq += 1
        request = Request(method, uri)
        request.add("Max-Forwards", "70")
        request.add("From", f"<sip:{self.name}@{DOMAIN}>;tag={self.entropy.token(4)}")
        request.add("To", to)
        request.add("Call-ID", call_id)
        request.add("CSeq", f"{self._cseq} {method}")
        request.add("Contact", self._contact)
        return request

    @property
    def _contact(self) -> str:
        return f"<sip:{self.name}@{self.local[0]}:{self.local[1]}>"

    def _proved(self, request: Request, response: Response) -> Request:
        proxy = response.status == 407
        asked = digest.parse_challenge(response.get("Proxy-Authenticate" if proxy else "WWW-Authenticate") or "")
        again = request.copy()
        self._cseq += 1
        again.set("CSeq", f"{self._cseq} {request.method}")
        value = digest.respond(
            asked, username=self.name, password=self.password, method=request.method, uri=request.uri, cnonce="c"
        )
        again.set("Proxy-Authorization" if proxy else "Authorization", value)
        return again

    def _sdp(self, port: int, direction: str = "sendrecv", video: bool = False) -> bytes:
        self._versions += 1
        seen = f"m=video {port + 200} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" if video else ""
        return (
            f"v=0\r\no=- 1 {self._versions} IN IP4 {self.local[0]}\r\ns=-\r\nc=IN IP4 {self.local[0]}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n{seen}"
        ).encode()

    def _port(self) -> int:
        self._ports += 2
        return 10_000 + (int(self.local[0].rpartition(".")[2]) * 500) + self._ports - 4000

    # --- placing a call

    def call(self, plan: Plan) -> Placed:
        uri = f"sip:{plan.dialled}@{DOMAIN}"
        placed = Placed(self, plan, self.entropy.token(8), self._port())
        self.placed.append(placed)
        request = self._make("INVITE", uri, f"<{uri}>", placed.call_id)
        if not plan.late_offer:
            request.set_body(self._sdp(placed.port, video=plan.video), "application/sdp")
        if self.reliable:
            request.add("Supported", EXTENSION)
            request.add("Allow", KNOWN)
        self._invite(placed, request, True)
        if plan.cancel is not None:
            self.clock.call_later(plan.cancel, lambda: self._cancel(placed))
        return placed

    def _invite(self, placed: Placed, request: Request, first: bool) -> None:
        def failed(cause: Cause) -> None:
            if placed.status == 0:
                placed.status = -1
                self._over(placed)

        placed.early = EarlyDialogs(request)
        placed.invite = self.layer.request(
            request, self.flow, _User(lambda response: self._answered(placed, request, response, first), failed)
        )
        if placed.cancelled:
            placed.invite.cancel(None)

    def _cancel(self, placed: Placed) -> None:
        if placed.status == 0 and placed.invite is not None:
            placed.cancelled = True
            placed.invite.cancel(None)

    def _answered(self, placed: Placed, request: Request, response: Response, first: bool) -> None:
        if response.status in (401, 407) and first:
            if placed.cancelled:
                placed.status = response.status
                self._over(placed)
            else:
                self._invite(placed, self._proved(request, response), False)
            return
        if not response.is_final:
            self._acknowledge(placed, response)
            return
        placed.finals.add((response.status, response.to_tag))
        if response.is_success:
            self._established(placed, request, response)
        elif placed.status == 0:
            placed.status = response.status
            self._over(placed)

    def _acknowledge(self, placed: Placed, response: Response) -> None:
        early = placed.early
        prack = None if early is None else early.acknowledgement(response, lambda: self._sdp(placed.port))

        def answered(response: Response) -> None:
            if response.is_final and response.status not in (200, 481, 487):
                self.faults.append(f"PRACK got {response.status}")

        if prack is not None:
            self.layer.request(prack, self.flow, _User(answered, lambda cause: None))

    def _established(self, placed: Placed, request: Request, response: Response) -> None:
        if placed.dialog is not None and placed.dialog.remote_tag != response.to_tag:
            self._second(placed, request, response)
            return
        if placed.ack:
            self.socket.send(placed.ack, SERVER)
            return
        assert placed.early is not None
        dialog = placed.dialog = placed.early.confirmed(response)
        ack = dialog.ack(request.cseq.number)
        if placed.plan.late_offer and response.to_tag not in placed.early.answered:
            ack.set_body(self._sdp(placed.port), "application/sdp")
        ack.insert_first("Via", self.layer.via(self.flow))
        placed.ack = ack.encode()
        self.socket.send(placed.ack, SERVER)
        if placed.status == -1:  # we had given up, and hang up what was answered late
            self._hang_up(placed)
            return
        placed.status, placed.answered_at = response.status, self.clock.now()
        if placed.cancelled:
            self._hang_up(placed)
            return
        for at, key in placed.plan.keys:
            self.clock.call_later(at, lambda key=key: self._key(placed, key))  # type: ignore[misc]
        for number, at in enumerate(placed.plan.holds):
            direction = "sendrecv" if number % 2 else "sendonly"
            self.clock.call_later(at, lambda direction=direction: self._reinvite(placed, direction))  # type: ignore[misc]
        if placed.plan.talk is not None:
            self.clock.call_later(placed.plan.talk, lambda: self._hang_up(placed))

    def _reinvite(self, placed: Placed, direction: str) -> None:
        """Offer again inside the call; what is refused (491, 488) is left as it was."""
        dialog = placed.dialog
        if placed.ended_at is not None or dialog is None:
            return
        request = dialog.new_request("INVITE")
        request.set_body(self._sdp(placed.port, direction, placed.plan.video), "application/sdp")
        number = request.cseq.number

        def answered(response: Response) -> None:
            if response.is_success:
                ack = dialog.ack(number)
                ack.insert_first("Via", self.layer.via(self.flow))
                self.socket.send(ack.encode(), SERVER)
            elif response.is_final and response.status not in (408, 481, 487, 488, 491, 500, 503):
                self.faults.append(f"re-INVITE got {response.status}")
            if response.status in (408, 481):
                self._hang_up(placed)

        self.layer.request(request, self.flow, _User(answered, lambda cause: self._hang_up(placed)))

    def _second(self, placed: Placed, request: Request, response: Response) -> None:
        """A further phone answered a call that a proxy forked: accept and hang up (RFC 3261 §13.2.2.4)."""
        assert placed.early is not None
        dialog = placed.early.confirmed(response)
        ack = dialog.ack(request.cseq.number)
        ack.insert_first("Via", self.layer.via(self.flow))
        self.socket.send(ack.encode(), SERVER)
        if response.to_tag not in self._refused:
            self._refused.add(response.to_tag)
            self._bye(dialog)

    def _key(self, placed: Placed, key: str) -> None:
        if placed.ended_at is None:
            self.press(placed.port, key)

    def _hang_up(self, placed: Placed) -> None:
        if placed.ended_at is None and placed.dialog is not None:
            placed.hung_up = not placed.bye_received
            self._over(placed)
            self._bye(placed.dialog)

    def _bye(self, dialog: Dialog) -> None:
        def answered(response: Response) -> None:
            if response.is_final and response.status not in (200, 481, 487):
                self.faults.append(f"BYE got {response.status}")

        self.layer.request(dialog.new_request("BYE"), self.flow, _User(answered, lambda cause: None))

    def _over(self, placed: Placed) -> None:
        placed.ended_at = self.clock.now()
        placed.done.set()

    # --- CorePort: being called, and requests inside calls

    def on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.to_tag:
            self._inside(transaction)
        elif request.method == "INVITE":
            self._ring(transaction)
        elif request.method == "NOTIFY":
            self.notified += 1
            transaction.reply(200)
        else:
            transaction.reply(405)

    def _inside(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        placed = next((p for p in self.placed if p.dialog is not None and p.dialog.matches(request)), None)
        taken = next((t for t in self.taken if t.dialog is not None and t.dialog.matches(request)), None)
        ringing = next((t for t in self.taken if t.early is not None and t.early.dialog.matches(request)), None)
        if request.method == "PRACK" and ringing is not None and ringing.early is not None:
            ringing.early.prack(transaction)
            return
        dialog = placed.dialog if placed is not None else taken.dialog if taken is not None else None
        if dialog is None or not dialog.accepts(request):
            transaction.reply(481 if dialog is None else 500)
        elif request.method == "BYE":
            transaction.reply(200)
            self._peer_left(placed, taken)
        elif request.method == "INVITE":
            port = placed.port if placed is not None else taken.port if taken is not None else 0
            response = self._success(transaction, port)
            transaction.respond(response)
        else:
            transaction.reply(200)

    def _peer_left(self, placed: Placed | None, taken: Taken | None) -> None:
        if placed is not None:
            placed.bye_received = True
            if placed.ended_at is None:
                self._over(placed)
        elif taken is not None:
            self._leave(taken)

    def _ring(self, transaction: ServerTransaction) -> None:
        taken = Taken(self, self.manner(), transaction, self._port())
        self.taken.append(taken)
        transaction.on_cancel = lambda cancel: self._cancelled(taken)
        manner = taken.manner
        if manner.trying is not None:
            self._later(taken, manner.trying, lambda: self._tell_ringing(taken))
        if manner.status:
            self._later(taken, manner.ring, lambda: self._decide(taken))

    def _tell_ringing(self, taken: Taken) -> None:
        transaction = taken.transaction
        if taken.final:
            return
        if self.reliable and wanted(taken.request):
            body = self._sdp(taken.port)
            taken.early = EarlyAnswer(self.clock, transaction, self._contact, body, lambda: self._refuse(taken, 504))
        else:
            transaction.reply(180)

    def _later(self, taken: Taken, delay: float, action: Callable[[], None]) -> None:
        taken.timers.append(self.clock.call_later(delay, action))

    def _cancelled(self, taken: Taken) -> None:
        self._refuse(taken, 487)

    def _refuse(self, taken: Taken, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        if not taken.final:
            taken.final = status
            if taken.early is not None:
                taken.early.finish()
            taken.transaction.reply(status, headers=headers)
            self._leave(taken)

    def _decide(self, taken: Taken) -> None:
        status = taken.manner.status
        if status != 200:
            self._refuse(taken, status, (("Contact", taken.manner.contact),) if status // 100 == 3 else ())
        elif taken.early is not None:
            taken.early.when_heard(lambda: self._accept(taken))
        else:
            self._accept(taken)

    def _accept(self, taken: Taken) -> None:
        if taken.final:
            return
        taken.final = 200
        taken.answered_at = self.clock.now()
        response = self._success(taken.transaction, taken.port)
        if taken.early is None:
            dialog = taken.dialog = Dialog.uas(taken.request, taken.transaction.local_tag, self._contact)
        else:  # RFC 3262 §5: all is said already
            dialog = taken.dialog = taken.early.dialog
            taken.early.finish()
            response.body = b""
            response.remove("Content-Type")
        dialog.confirm()
        self._repeat(taken, response, T1, 0.0)
        if taken.manner.talk is not None:
            self._later(taken, taken.manner.talk, lambda: self._end(taken))

    def _success(self, transaction: ServerTransaction, port: int) -> Response:
        response = response_to(transaction.request, 200, to_tag=transaction.local_tag)
        response.set("Contact", self._contact)
        response.set_body(self._sdp(port), "application/sdp")
        return response

    def _repeat(self, taken: Taken, response: Response, interval: float, spent: float) -> None:
        """RFC 3261 §13.3.1.4: the 2xx again until its ACK comes."""
        if taken.acknowledged:
            return
        if spent >= 64 * T1:
            taken.acknowledged = True
            self._end(taken)
            return
        taken.transaction.respond(response)
        self.clock.call_later(interval, lambda: self._repeat(taken, response, min(2 * interval, 4.0), spent + interval))

    def _end(self, taken: Taken) -> None:
        """Hang up; not before the ACK or the end of the wait for it (RFC 3261 §15)."""
        if not taken.ended and taken.dialog is not None:
            taken.hung_up = True
            if taken.acknowledged:
                self._leave(taken)
                self._bye(taken.dialog)

    def _leave(self, taken: Taken) -> None:
        taken.ended = True
        taken.acknowledged = taken.acknowledged or taken.dialog is not None
        for timer in taken.timers:
            timer.cancel()

    def on_ack(self, request: Request, flow: Flow) -> None:
        for taken in self.taken:
            if taken.dialog is not None and taken.dialog.matches(request):
                taken.acknowledged = True
                if taken.hung_up:
                    self._end(taken)

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        """A 2xx that comes again after the transaction has gone."""
        for placed in self.placed:
            ours = response.is_success and response.method == "INVITE" and response.call_id == placed.call_id
            # (that of a re-INVITE is acknowledged by its transaction, which outlives what repeats)
            if ours and placed.ack:
                self.socket.send(placed.ack, SERVER)
