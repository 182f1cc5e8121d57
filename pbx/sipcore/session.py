"""A call's dialog from its first response to BYE: requests in both directions, whose turn it is to offer. Pure.

It knows offers only as bodies, and no media; who calls whom is the business of its user. The INVITE that begins it is
in `session_uas` and `session_uac`. RFC 3261 §12.2, §13.3.1.4, §14, §15; RFC 3262 (PRACK), RFC 3311 (UPDATE).

    EARLY ──2xx──> CONFIRMED ──BYE, no ACK, 408/481──> ENDED
"""

from __future__ import annotations

from base.clock import Clock
from pbx.sipcore.accepted import Accepted
from pbx.sipcore.changes import GONE, Changes, Refresh
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.flow import Flow
from pbx.sipcore.headers import RAck
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.offers import Offers, Turn
from pbx.sipcore.peer_requests import PeerRequests
from pbx.sipcore.proving import PROOFS, Proved, Prover
from pbx.sipcore.questions import Unheard
from pbx.sipcore.reliable import ReliableOrder, ReliableResponses
from pbx.sipcore.session_ports import (
    ALLOW,
    SessionPort,
    SessionState,
    SessionTimers,
    SessionUser,
    unknown_extensions,
)
from pbx.sipcore.session_timer import SMALLEST, SessionTimer, too_small
from pbx.sipcore.standing import Standing
from pbx.sipcore.transactions import ClientUser, ServerTransaction

_WITH_CONTACT = frozenset({"INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY"})


class Session:
    """One side of a dialog. `contact` is our Contact value (`<sip:…>`)."""

    def __init__(
        self,
        clock: Clock,
        port: SessionPort,
        dialog: Dialog,
        flow: Flow,
        contact: str,
        user: SessionUser,
        timers: SessionTimers,
    ) -> None:
        self._clock = clock
        self._port = port
        self._timers = timers
        self.dialog = dialog
        self.flow = flow
        self.contact = contact
        self.user = user
        self.prover: Prover | None = None
        """Answers the challenges of the peer, where we have a login."""
        self.invite: Request | None = None
        """The last INVITE of ours: its ACK proves the same (RFC 3261 §22.1)."""
        self.renamed = False
        """The peer's last request has another From than before (RFC 4916)."""
        self.state = SessionState.EARLY
        self.offers = Offers()
        self.reliable: ReliableResponses | None = None
        """Of a called side: its provisional responses that want a PRACK."""
        self.order = ReliableOrder()
        self.changes = Changes(self)
        self.standing = Standing(self)
        self._accepted: Accepted | None = None
        self.asked = PeerRequests(self)
        self._last_ack: Request | None = None
        self._bye_reason: str | None = None
        self._bye_waits = False
        self.timer = SessionTimer(clock, timers.expires, self._keep_alive, self._expired)

    # --- responses of ours

    def answer(self, transaction: ServerTransaction, status: int, reason: str = "", **headers: str) -> None:
        """Answer a request of this dialog."""
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        transaction.respond(self.response(transaction, status, reason, fields))

    def response(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        headers: list[tuple[str, str]] | None = None,
    ) -> Response:
        """A response with our tag, and our Contact where it belongs."""
        request = transaction.request
        response = response_to(request, status, reason, to_tag=self.dialog.local_tag, headers=headers or [])
        if request.method in _WITH_CONTACT and 100 < status < 300:
            response.set("Contact", self.contact)
            if request.method in ("INVITE", "UPDATE"):
                response.set("Allow", ALLOW)
            self.timer.answer(request, response)
        return response

    def answer_offer(self, transaction: ServerTransaction, response: Response) -> None:
        """Send a response to an INVITE, or to an UPDATE or PRACK with an offer. The 2xx of an INVITE is repeated until
        its ACK."""
        if response.is_provisional:
            transaction.respond(response)
            return
        self.asked.answered(transaction)
        if not response.is_success:
            self.offers.withdraw()
            transaction.respond(response)
            return
        self.offers.ours(response)
        self.changes.described(response.body, response.content_type)
        if transaction.is_invite:
            self._accept(transaction, response)
        else:
            transaction.respond(response)

    def _accept(self, transaction: ServerTransaction, response: Response) -> None:
        if self.state is SessionState.EARLY:
            self.state = SessionState.CONFIRMED
        self._accepted = Accepted(self._clock, self._timers, transaction, response, self._no_ack)

    def _no_ack(self) -> None:
        self._settle_accepted()
        if self._bye_waits:
            self._send_bye()
        elif self.state is SessionState.CONFIRMED:
            # RFC 3261 §13.3.1.4: the dialog is confirmed, the session is to be ended.
            self._send_bye()
            self.end("no ACK")

    def _settle_accepted(self) -> None:
        if self._accepted is not None:
            self._accepted.stop()
            self._accepted = None

    # --- requests of the peer

    def receive(self, transaction: ServerTransaction) -> None:
        """A request of this dialog other than ACK and CANCEL."""
        request, before = transaction.request, self.dialog.remote
        if not self.dialog.accepts(request):
            self.answer(transaction, 500)  # RFC 3261 §12.2.2: CSeq lower than the one before
            return
        self.renamed = self.dialog.remote != before
        self.flow = transaction.flow
        self.learn(request)
        if self.state is SessionState.ENDED and request.method != "PRACK":
            self.answer(transaction, 481)
        elif request.method in ("INVITE", "UPDATE") and too_small(request):
            self.answer(transaction, 422, Min_SE=str(SMALLEST))  # RFC 4028 §9
        elif unknown := unknown_extensions(request):
            self.answer(transaction, 420, Unsupported=unknown)
        else:
            self.asked.receive(transaction)

    def hold_pending(self, transaction: ServerTransaction) -> None:
        """Told by the UAS machine: this INVITE is not answered yet."""
        self.asked.hold(transaction)
        self.offers.theirs(transaction.request)
        self.learn(transaction.request)

    def receive_ack(self, request: Request) -> None:
        """An ACK of this dialog."""
        accepted = self._accepted
        if accepted is None or request.cseq.number != accepted.number:
            return
        self._settle_accepted()
        if self._bye_waits:
            self._send_bye()
        elif self.state is SessionState.CONFIRMED:
            if self.offers.turn is Turn.OURS:
                self.offers.theirs(request)
            self.offers.withdraw()
            self.user.session_acknowledged(self, request)

    def implies_ack(self, request: Request) -> None:
        """Who sends another INVITE has had our 2xx (RFC 3261 §14.1): an ACK that has nothing to say may be lost."""
        if self.unacknowledged and self.state is SessionState.CONFIRMED and self.offers.turn is not Turn.OURS:
            self._settle_accepted()
            self.offers.withdraw()
            self.user.session_acknowledged(self, request)

    def learn(self, message: Request | Response) -> None:
        """What the peer allows."""
        if message.has("Allow"):
            self.changes.updates = "update" in message.tokens("Allow")

    # --- requests of ours

    def new_request(self, method: str, body: bytes = b"", content_type: str = "") -> Request:
        request = self.dialog.new_request(method)
        if body:
            request.set_body(body, content_type)
        return request

    def request(self, request: Request, user: ClientUser) -> None:
        """Send a request made by `new_request`, other than ACK; a challenge to it is answered where we can."""
        if self.prover is not None:
            user = Proved(request, user, self.prover.prove(request), self._again)
        self._transmit(request, user)

    def _transmit(self, request: Request, user: ClientUser) -> None:
        if request.method == "INVITE":
            self.invite = request
        self._port.request(request, self.flow, user)

    def _again(self, proved: Proved) -> bool:
        """RFC 3261 §22.1. Of a dialog that is over nothing but its BYE is sent again."""
        if self.state is SessionState.ENDED and proved.request.method != "BYE":
            return False
        self.dialog.renumber(proved.request)
        self._transmit(proved.request, proved)
        return True

    @property
    def unacknowledged(self) -> bool:
        """A 2xx of ours waits for its ACK."""
        return self._accepted is not None

    @property
    def negotiating(self) -> bool:
        """An INVITE of either side, or an offer by other means, is under way."""
        return self.changes.open or self.offers.turn is not Turn.NOBODY or self.asked.pending or self.unacknowledged

    def acknowledge_change(self, response: Response, body: bytes = b"", content_type: str = "") -> None:
        """ACK the 2xx of our re-INVITE; an UPDATE needs none."""
        if response.method == "INVITE":
            self.acknowledge(response.cseq.number, body, content_type)

    def acknowledge(self, number: int, body: bytes = b"", content_type: str = "") -> None:
        """ACK the 2xx of our INVITE with that CSeq number (RFC 3261 §13.2.2.4)."""
        ack = self.dialog.ack(number)
        if self.invite is not None:
            ack.copy_from(self.invite, *PROOFS)
        if body:
            ack.set_body(body, content_type)
            self.offers.ours(ack)
            self.changes.described(body, content_type)
        else:
            self.offers.withdraw()
        self._last_ack = ack
        self._port.send_message(ack.copy(), self.flow)

    def acknowledge_provisional(self, response: Response, body: bytes = b"", content_type: str = "") -> None:
        """Send the PRACK of a reliable provisional response; `body` answers an offer in it (RFC 3262 §4, §5)."""
        prack = self.new_request("PRACK", body, content_type)
        prack.set("RAck", str(RAck(response.number("RSeq") or 0, response.cseq)))
        self.offers.ours(prack)
        self.changes.described(body, content_type)
        self.request(prack, Unheard())

    def repeat_ack(self, number: int) -> None:
        """The 2xx came again: so goes the ACK."""
        if self._last_ack is not None and self._last_ack.cseq.number == number:
            self._port.send_message(self._last_ack.copy(), self.flow)

    def confirm(self) -> None:
        """Told by the UAC machine: the 2xx has come."""
        if self.state is SessionState.EARLY:
            self.state = SessionState.CONFIRMED

    def bye(self, reason: str | None = None) -> None:
        """Hang up. The user is told nothing more. `reason` is a Reason header's value."""
        if self.state is SessionState.ENDED:
            return
        self.timer.stop()
        self.state = SessionState.ENDED
        self._bye_reason = reason
        if self._accepted is not None:
            self._bye_waits = True  # RFC 3261 §15: not before the ACK has come or is given up
        else:
            self._send_bye()

    def dismiss(self, number: int) -> None:
        """A phone has answered our INVITE after another one: ACK its 2xx, and hang up once."""
        self.state = SessionState.ENDED
        if self._last_ack is None:
            self.acknowledge(number)
            self._send_bye()
        else:
            self.repeat_ack(number)

    def _send_bye(self) -> None:
        self._bye_waits = False
        request = self.new_request("BYE")
        if self._bye_reason:
            request.set("Reason", self._bye_reason)
        self.request(request, Unheard())

    def lost(self, cause: str) -> None:
        """A request of ours was answered with 408 or 481: the dialog is no more (RFC 3261 §12.2.1.2)."""
        if self.state is not SessionState.ENDED:
            self._send_bye()
            self.end(cause)

    def drop(self) -> None:
        """Forget an early dialog that lost; nothing is sent."""
        self._settle_accepted()
        self.timer.stop()
        self.state = SessionState.ENDED

    def end(self, cause: str) -> None:
        """It is over, and the user is told. Sends nothing."""
        self._settle_accepted()
        self.timer.stop()
        if self.state is not SessionState.ENDED:
            self.state = SessionState.ENDED
            self.user.session_ended(self, cause)

    # --- the session timer

    def _keep_alive(self) -> None:
        if self.state is SessionState.CONFIRMED:
            self.changes.refresh(user=Refresh(self._refresh_refused))

    def _refresh_refused(self, status: int) -> None:
        """RFC 4028 §10: only 408 and 481 end it at once; anything else is tried again until the interval ends."""
        if status not in GONE and self.state is SessionState.CONFIRMED:
            self.timer.again()

    def _expired(self) -> None:
        if self.state is SessionState.CONFIRMED:
            self.lost("session expired")
