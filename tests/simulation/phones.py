"""A simulated telephone: its registration, its calls, and what it answers, over the product's transaction layer.

It is its own transport and core. What it means to do is drawn in `draws`; what both ends of a call share is in `leg`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from base.clock import Clock, Timer
from base.entropy import Entropy
from base.metrics import Metrics
from pbx.sipcore import digest
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.flow import Flow
<<<<<<< HEAD
from pbx.sipcore.message import Message, Request, Response
from pbx.sipcore.transactions import Cause, ClientTransaction, ServerTransaction, TransactionLayer
from tests.simulation.answering import Manner, Taken
from tests.simulation.calling import PROOFS, Placed, Plan
from tests.simulation.leg import Leg, User
from tests.simulation.line import Line, TcpLine, UdpLine
from tests.simulation.network import SERVER, TownNetwork
=======
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.reliable import EXTENSION
from pbx.sipcore.transactions import Cause, ClientTransaction, ServerTransaction, TransactionLayer
from pbx.transport.memory import MemoryNetwork
from tests.simulation.early import KNOWN, EarlyAnswer, EarlyDialogs, wanted
>>>>>>> main

DOMAIN = "tandem.test"


class Town(Protocol):
    """What a telephone asks of the town around it."""

    @property
    def patience(self) -> float:
        """Seconds that somebody who is called talks at most."""

    def voice(self, leg: Leg) -> None:
        """A leg with a voice of its own has begun."""

    def heard(self, leg: Leg, ssrc: int) -> None: ...

    def press(self, leg: Leg, digit: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """How a telephone is made: `expires` seconds it registers for, `lines` calls it takes at a time."""

<<<<<<< HEAD
    transport: str = "udp"
    expires: int = 3600
    lines: int = 4
=======
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
>>>>>>> main


class SimPhone:
    """One telephone at its own address."""

    def __init__(
        self, town: Town, name: str, home: str, kind: Kind, network: TownNetwork, clock: Clock, entropy: Entropy
    ) -> None:
        self.town, self.name, self.home, self.kind = town, name, home, kind
        self.network, self.clock, self.entropy = network, clock, entropy
        self.layer = TransactionLayer(clock, entropy, self, self, Metrics())
        self.line: Line = UdpLine(network, home, self._received) if kind.transport == "udp" else TcpLine(
            network, home, entropy, self._received, self._connected, self._disconnected
        )  # fmt: skip
        self.manner: Callable[[], Manner] = Manner
<<<<<<< HEAD
        self.legs: list[Leg] = []
=======
        self.reliable = False
        """It knows reliable provisional responses, and describes itself in them while it rings."""
        self.placed: list[Placed] = []
        self.taken: list[Taken] = []
>>>>>>> main
        self.faults: list[str] = []
        self.registered = False
        """Its last REGISTER was answered by a 200, and it means to stay."""
        self.leaving = False
        self._silent = False
        self.left_at = float("inf")
        """When the server has said that it is gone."""
        self._open: set[Leg] = set()
        self._cseq = 0
        self._register_id = entropy.token(8)
        self._registering: ClientTransaction | None = None
        self._refresh: Timer | None = None

    @property
    def placed(self) -> list[Placed]:
        return [leg for leg in self.legs if isinstance(leg, Placed)]

    @property
    def taken(self) -> list[Taken]:
        return [leg for leg in self.legs if isinstance(leg, Taken)]

    @property
    def flow(self) -> Flow:
        return self.line.flow

    @property
    def contact(self) -> str:
        via = ";transport=tcp" if self.kind.transport == "tcp" else ""
        return f"<sip:{self.name}@{self.home}:5060{via}>"

    def uri(self, user: str) -> str:
        return f"sip:{user}@{DOMAIN}"

    # --- TransportPort

    def send(self, flow: Flow, data: bytes) -> None:
        """Answers to a connection that is gone go by the new one."""
        if not self.line.send(data, SERVER):
            self.clock.call_later(0.0, lambda: self.layer.transport_error(flow))

    def sent_by(self, flow: Flow) -> str:
        return f"{self.home}:5060"

    def _received(self, message: Message, flow: Flow) -> None:
        self.layer.receive(message, flow)

    def _connected(self) -> None:
        self.register()

    def _disconnected(self, flow: Flow) -> None:
        self.layer.transport_error(flow)

    # --- registration

    def start(self) -> None:
        self.line.open()
        if self.kind.transport == "udp":
            self.register()

    def register(self) -> None:
        """Register, or again; one at a time."""
        if self._registering is None and not self._silent:
            expires = 0 if self.leaving else self.kind.expires
            self._ask_register(expires, self._register(expires), PROOFS)

    def leave(self) -> None:
        """Take the registration back. A telephone that nobody answers gives up, as it is switched off."""
        self.leaving, self.registered = True, False
        self.register()

    def return_(self) -> None:
        """It is switched on again."""
        self.leaving, self.left_at = False, float("inf")
        self.register()

    def fall_silent(self) -> None:
        """No more REGISTERs: the plug is pulled, though what comes is answered still."""
        if self._refresh is not None:
            self._refresh.cancel()
        self.registered, self._silent = False, True

    def _register(self, expires: int) -> Request:
        request = self.make("REGISTER", f"sip:{DOMAIN}", f"<sip:{self.name}@{DOMAIN}>", self._register_id)
        request.add("Expires", str(expires))
        return request

    def _ask_register(self, expires: int, request: Request, proofs: int) -> None:
        def answered(response: Response) -> None:
            if response.is_final:
                self._registering = None
                if response.status == 401 and proofs:
                    self._ask_register(expires, self.proved(request, response), proofs - 1)
                else:
                    self._told(expires, response.status)

        def failed(cause: Cause) -> None:
            self._registering = None
            self._told(expires, 408)

        self._registering = self.ask(request, answered, failed)

    def _told(self, expires: int, status: int) -> None:
        if status == 200:
            self.registered = expires > 0 and not self.leaving
            if not expires:
                self.left_at = self.clock.now()
            elif self.leaving:
                self.register()
            else:
                self._again(expires * 0.7)
        elif status in (408, 503, 500):
            if not self.leaving:
                self._again(float(self.entropy.number(2, 20)))
        else:
            self.faults.append(f"REGISTER got {status}")

    def _again(self, delay: float) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
        self._refresh = self.clock.call_later(delay, self.register)

    def notice_rebinding(self) -> None:
        """Its keepalive has told it of another public address: it registers from there (RFC 5626 §4.4.2)."""
        if not self.leaving:
            self.register()

    # --- requests

    def make(self, method: str, uri: str, to: str, call_id: str) -> Request:
        self._cseq += 1
        request = Request(method, uri)
        request.add("Max-Forwards", "70")
        request.add("From", f"<sip:{self.name}@{DOMAIN}>;tag={self.entropy.token(4)}")
        request.add("To", to)
        request.add("Call-ID", call_id)
        request.add("CSeq", f"{self._cseq} {method}")
        request.add("Contact", self.contact)
        return request

    def proved(self, request: Request, response: Response) -> Request:
        """The same request with the answer to its challenge."""
        proxy = response.status == 407
        asked = digest.parse_challenge(response.get("Proxy-Authenticate" if proxy else "WWW-Authenticate") or "")
        again = request.copy()
        self._cseq += 1
        again.set("CSeq", f"{self._cseq} {request.method}")
        value = digest.respond(
            asked, username=self.name, password=f"{self.name}-secret", method=request.method, uri=request.uri,
            cnonce="c",
        )  # fmt: skip
        again.set("Proxy-Authorization" if proxy else "Authorization", value)
        return again

    def ask(
        self, request: Request, answered: Callable[[Response], None], failed: Callable[[Cause], None]
    ) -> ClientTransaction:
        return self.layer.request(request, self.flow, User(answered, failed))

<<<<<<< HEAD
    def send_ack(self, dialog: Dialog, number: int, body: bytes = b"") -> bytes:
        ack = dialog.ack(number)
        if body:
            ack.set_body(body, "application/sdp")
=======
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
>>>>>>> main
        ack.insert_first("Via", self.layer.via(self.flow))
        data = ack.encode()
        self.line.send(data, SERVER)
        return data

    def bye(self, dialog: Dialog) -> None:
        def answered(response: Response) -> None:
<<<<<<< HEAD
            if response.is_final and response.status not in (200, 408, 480, 481, 487, 500, 503):
=======
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
>>>>>>> main
                self.faults.append(f"BYE got {response.status}")

        self.ask(dialog.new_request("BYE"), answered, lambda cause: None)

    # --- calls

    def call(self, plan: Plan) -> Placed:
        placed = Placed(self, plan)
        self._open.add(placed)
        placed.start(self.uri(plan.dialled))
        return placed

    def ended(self, leg: Leg) -> None:
        self._open.discard(leg)

    @property
    def open_legs(self) -> list[Leg]:
        return [leg for leg in self.legs if leg in self._open]

    # --- CorePort

    def on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.to_tag:
            self._inside(transaction)
        elif request.method == "INVITE":
            self._called(transaction)
        elif request.method in ("NOTIFY", "OPTIONS"):
            transaction.reply(200)
        else:
            transaction.reply(405)

    def _inside(self, transaction: ServerTransaction) -> None:
<<<<<<< HEAD
        leg = self._leg(transaction.request)
        if leg is None or (leg.ended and transaction.request.method != "BYE"):
            transaction.reply(481)
=======
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
>>>>>>> main
        else:
            leg.receive(transaction)

    def _leg(self, request: Request) -> Leg | None:
        for leg in self.legs:
            if leg.call_id == request.call_id and leg.dialog is not None and leg.dialog.matches(request):
                return leg
        return None

<<<<<<< HEAD
    def _called(self, transaction: ServerTransaction) -> None:
        if len(self._open) >= self.kind.lines:
            transaction.reply(486)
            return
        taken = Taken(self, self.manner(), transaction)
        self._open.add(taken)
        taken.ring()
=======
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
>>>>>>> main

    def on_ack(self, request: Request, flow: Flow) -> None:
        leg = self._leg(request)
        if leg is not None:
            leg.acknowledged(request)

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        """(A 2xx to a re-INVITE is acknowledged by its transaction, which outlives what repeats it.)"""
        if response.is_success and response.method == "INVITE":
            for placed in self.placed:
                if placed.call_id == response.call_id:
                    placed.stray(response)
