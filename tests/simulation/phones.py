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
from pbx.sipcore.message import Message, Request, Response
from pbx.sipcore.transactions import Cause, ClientTransaction, ServerTransaction, TransactionLayer
from tests.simulation.answering import Manner, Taken
from tests.simulation.calling import PROOFS, Placed, Plan
from tests.simulation.leg import Leg, User
from tests.simulation.line import Line, TcpLine, UdpLine
from tests.simulation.network import SERVER, TownNetwork
from tests.simulation.subscribing import Subscriber

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

    transport: str = "udp"
    expires: int = 3600
    lines: int = 4
    reliable: bool = False
    """It knows reliable provisional responses, and describes itself in them while it rings (RFC 3262)."""


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
        self.manner: Callable[[Request], Manner] = lambda request: Manner()
        self.legs: list[Leg] = []
        self.subscribers: list[Subscriber] = []
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
        return f"<sip:{self.name}@{self.home}:{self.network.port}{via}>"

    def uri(self, user: str) -> str:
        return f"sip:{user}@{DOMAIN}"

    # --- TransportPort

    def send(self, flow: Flow, data: bytes) -> None:
        """Answers to a connection that is gone go by the new one."""
        if not self.line.send(data, SERVER):
            self.clock.call_later(0.0, lambda: self.layer.transport_error(flow))

    def sent_by(self, flow: Flow) -> str:
        return f"{self.home}:{self.network.port}"

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
        self._stop_refreshing()
        self.register()
        for subscriber in self.subscribers:
            subscriber.leave()

    def return_(self) -> None:
        """It is switched on again."""
        self.leaving, self.left_at = False, float("inf")
        self.register()
        for subscriber in self.subscribers:
            subscriber.start()

    def fall_silent(self) -> None:
        """No more REGISTERs: the plug is pulled, though what comes is answered still."""
        self._stop_refreshing()
        self.registered, self._silent = False, True
        for subscriber in self.subscribers:
            subscriber.stop()

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
            if not expires and self.leaving:
                self.left_at = self.clock.now()
            elif self.leaving or not expires:  # it has changed its mind meanwhile
                self.register()
            else:
                self._again(expires * 0.7)
        elif status in (408, 503, 500):
            if not self.leaving:
                self._again(float(self.entropy.number(2, 20)))
        else:
            self.faults.append(f"REGISTER got {status}")

    def _stop_refreshing(self) -> None:
        if self._refresh is not None:
            self._refresh.cancel()

    def _again(self, delay: float) -> None:
        self._stop_refreshing()
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

    def send_ack(self, dialog: Dialog, number: int, body: bytes = b"") -> bytes:
        ack = dialog.ack(number)
        if body:
            ack.set_body(body, "application/sdp")
        ack.insert_first("Via", self.layer.via(self.flow))
        data = ack.encode()
        self.line.send(data, SERVER)
        return data

    def bye(self, dialog: Dialog) -> None:
        def answered(response: Response) -> None:
            if response.is_final and response.status not in (200, 408, 480, 481, 487, 500, 503):
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
        if transaction.request.method == "PRACK":
            self._acknowledged_early(transaction)
            return
        for subscriber in self.subscribers:
            if subscriber.takes(transaction.request):
                subscriber.notified(transaction)
                return
        leg = self._leg(transaction.request)
        if leg is None or (leg.ended and transaction.request.method != "BYE"):
            transaction.reply(481)
        else:
            leg.receive(transaction)

    def _acknowledged_early(self, transaction: ServerTransaction) -> None:
        for taken in self.taken:
            if taken.early is not None and taken.early.dialog.matches(transaction.request):
                taken.early.prack(transaction)
                return
        transaction.reply(481)

    def _leg(self, request: Request) -> Leg | None:
        for leg in self.legs:
            if leg.call_id == request.call_id and leg.dialog is not None and leg.dialog.matches(request):
                return leg
        return None

    def _called(self, transaction: ServerTransaction) -> None:
        if len(self._open) >= self.kind.lines:
            transaction.reply(486)
            return
        taken = Taken(self, self.manner(transaction.request), transaction)
        self._open.add(taken)
        taken.ring()

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
