"""A call's dialog from its first response to BYE: requests in both directions, 2xx kept alive until ACK. Pure.

It knows offers only as bodies, and no media; who calls whom is the business of its user. The INVITE that begins it is
in `session_uas` and `session_uac`. RFC 3261 §12.2, §13.3.1.4, §14, §15.

    EARLY ──2xx──> CONFIRMED ──BYE, no ACK, 408/481──> ENDED
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from base.clock import Clock, Timer
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.session_timer import SMALLEST, SessionTimer, too_small
from pbx.sipcore.transactions import ClientTransaction, ClientUser, ServerTransaction

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REFER, NOTIFY, MESSAGE"
_GONE = (408, 481)
_WITH_CONTACT = frozenset({"INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY"})


@dataclass(frozen=True, slots=True)
class SessionTimers:
    """Seconds; T1 and T2 of RFC 3261 §17.1.1.1, and how often a long ringing is told again (§13.3.1.1).
    `expires`: the session interval that we ask for (RFC 4028 §4); 0: no session timer of ours."""

    t1: float = 0.5
    t2: float = 4.0
    ringing: float = 60.0
    expires: int = 1800

    @property
    def patience(self) -> float:
        """64*T1: how long an ACK may take (RFC 3261 §13.3.1.4)."""
        return 64 * self.t1


class SessionPort(Protocol):
    """The way out (`pbx.transport.stack.SipStack`)."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> ClientTransaction: ...

    def send_message(self, message: Request | Response, flow: Flow) -> None:
        """Send an ACK of a 2xx, outside any transaction."""


class SessionUser(Protocol):
    """Who is told what the peer does."""

    def session_invite(self, session: Session, transaction: ServerTransaction) -> None:
        """A re-INVITE; answer it with `Session.answer_invite`."""

    def session_request(self, session: Session, transaction: ServerTransaction) -> None:
        """INFO, UPDATE, REFER, NOTIFY, MESSAGE, OPTIONS; answer it with `Session.answer`."""

    def session_acknowledged(self, session: Session, request: Request) -> None:
        """The ACK of the last 2xx; it carries the answer when the 2xx carried an offer."""

    def session_ended(self, session: Session, cause: str) -> None:
        """The peer has hung up or is lost; told once, never after `bye`."""


class ReinviteUser(Protocol):
    """Who waits for the outcome of our re-INVITE."""

    def reinvite_answered(self, session: Session, response: Response) -> None:
        """A 2xx: call `Session.acknowledge`."""

    def reinvite_refused(self, session: Session, status: int) -> None: ...


class SessionState(enum.Enum):
    """See the head of the module."""

    EARLY = "early"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class Accepted:
    """A 2xx of ours, repeated until its ACK (RFC 3261 §13.3.1.4): T1, 2*T1 … T2, for 64*T1 in all."""

    def __init__(self, clock: Clock, timers: SessionTimers, transaction: ServerTransaction, response: Response) -> None:
        self._clock = clock
        self._timers = timers
        self._transaction = transaction
        self._response = response
        self._interval = timers.t1
        self._repeat: Timer | None = None
        self.number = response.cseq.number

    def start(self) -> None:
        self._transaction.respond(self._response)
        self._repeat = self._clock.call_later(self._interval, self._again)

    def stop(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()

    def _again(self) -> None:
        self._interval = min(2 * self._interval, self._timers.t2)
        self.start()


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
        self.state = SessionState.EARLY
        self._accepted: Accepted | None = None
        self._deadline: Timer | None = None
        self._incoming: ServerTransaction | None = None
        self._outgoing: _Reinvite | None = None
        self._last_ack: Request | None = None
        self._bye_reason: str | None = None
        self._bye_waits = False
        self._described: tuple[bytes, str] = (b"", "")
        self.timer = SessionTimer(clock, timers.expires, self._refresh, self._expired)

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
            if request.method == "INVITE":
                response.set("Allow", ALLOW)
            self.timer.answer(request, response)
        return response

    def answer_invite(self, transaction: ServerTransaction, response: Response) -> None:
        """Send a response to an INVITE; a 2xx is repeated until its ACK."""
        if response.is_provisional:
            transaction.respond(response)
            return
        if self._incoming is transaction:
            self._incoming = None
        if not response.is_success:
            transaction.respond(response)
            return
        self.described(response.body, response.content_type)
        if self.state is SessionState.EARLY:
            self.state = SessionState.CONFIRMED
        self._accepted = Accepted(self._clock, self._timers, transaction, response)
        self._accepted.start()
        self._deadline = self._clock.call_later(self._timers.patience, self._no_ack)

    def _no_ack(self) -> None:
        self._settle_accepted()
        if self._bye_waits:
            self._send_bye()
        elif self.state is SessionState.CONFIRMED:
            # RFC 3261 §13.3.1.4: the dialog is confirmed, the session is to be ended.
            self._send_bye()
            self._end("no ACK")

    def _settle_accepted(self) -> None:
        if self._accepted is not None:
            self._accepted.stop()
            self._accepted = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # --- requests of the peer

    def receive(self, transaction: ServerTransaction) -> None:
        """A request of this dialog other than ACK and CANCEL."""
        request = transaction.request
        if not self.dialog.accepts(request):
            self.answer(transaction, 500)  # RFC 3261 §12.2.2: CSeq lower than the one before
            return
        self.flow = transaction.flow
        if self.state is SessionState.ENDED:
            self.answer(transaction, 481)
        elif request.method in ("INVITE", "UPDATE") and too_small(request):
            self.answer(transaction, 422, Min_SE=str(SMALLEST))  # RFC 4028 §9
        elif request.method == "BYE":
            self._receive_bye(transaction)
        elif request.method == "INVITE":
            self._receive_invite(transaction)
        else:
            self.user.session_request(self, transaction)

    def _receive_bye(self, transaction: ServerTransaction) -> None:
        self.answer(transaction, 200)
        if self._incoming is not None:
            # RFC 3261 §15.1.2: pending requests of the dialog are answered with 487.
            pending, self._incoming = self._incoming, None
            pending.respond(self.response(pending, 487))
        self._end("BYE")

    def _receive_invite(self, transaction: ServerTransaction) -> None:
        if self._outgoing is not None:
            self.answer(transaction, 491)  # RFC 3261 §14.2: glare
        elif self._incoming is not None or self._accepted is not None:
            self.answer(transaction, 500, Retry_After="2")  # RFC 3261 §14.2: the one before is not finished
        else:
            self._incoming = transaction
            transaction.on_cancel = lambda _request: self._cancelled(transaction)
            self.user.session_invite(self, transaction)

    def _cancelled(self, transaction: ServerTransaction) -> None:
        if self._incoming is transaction:
            self.answer_invite(transaction, self.response(transaction, 487))

    def hold_pending(self, transaction: ServerTransaction) -> None:
        """Told by the UAS machine: this INVITE is not answered yet."""
        self._incoming = transaction

    def receive_ack(self, request: Request) -> None:
        """An ACK of this dialog."""
        accepted = self._accepted
        if accepted is None or request.cseq.number != accepted.number:
            return
        self._settle_accepted()
        if self._bye_waits:
            self._send_bye()
        elif self.state is SessionState.CONFIRMED:
            self.user.session_acknowledged(self, request)

    # --- requests of ours

    def new_request(self, method: str, body: bytes = b"", content_type: str = "") -> Request:
        request = self.dialog.new_request(method)
        if body:
            request.set_body(body, content_type)
        return request

    def request(self, request: Request, user: ClientUser) -> ClientTransaction:
        """Send a request made by `new_request`, other than INVITE, ACK and BYE."""
        return self._port.request(request, self.flow, user)

    @property
    def negotiating(self) -> bool:
        """An INVITE of either side is under way."""
        return self._incoming is not None or self._outgoing is not None or self._accepted is not None

    def reinvite(self, body: bytes, content_type: str, user: ReinviteUser) -> None:
        """Send a re-INVITE, without an offer when `body` is empty. Refused at once with 491 while another is open."""
        if self.state is not SessionState.CONFIRMED:
            user.reinvite_refused(self, 481)
        elif self.negotiating:
            user.reinvite_refused(self, 491)
        else:
            request = self.new_request("INVITE", body, content_type)
            request.set("Allow", ALLOW)
            self.timer.ask(request)
            self.described(body, content_type)
            self._outgoing = _Reinvite(self, request.cseq.number, user)
            self._port.request(request, self.flow, self._outgoing)

    def reinvite_done(self, reinvite: _Reinvite) -> None:
        if self._outgoing is reinvite:
            self._outgoing = None

    def acknowledge(self, number: int, body: bytes = b"", content_type: str = "") -> None:
        """ACK the 2xx of our INVITE with that CSeq number (RFC 3261 §13.2.2.4)."""
        ack = self.dialog.ack(number)
        if body:
            ack.set_body(body, content_type)
            self.described(body, content_type)
        self._last_ack = ack
        self._port.send_message(ack.copy(), self.flow)

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

    def _send_bye(self) -> None:
        self._bye_waits = False
        request = self.new_request("BYE")
        if self._bye_reason:
            request.set("Reason", self._bye_reason)
        self._port.request(request, self.flow, _Unheard())

    def lost(self, cause: str) -> None:
        """A request of ours was answered with 408 or 481: the dialog is no more (RFC 3261 §12.2.1.2)."""
        if self.state is not SessionState.ENDED:
            self._send_bye()
            self._end(cause)

    def drop(self) -> None:
        """Forget an early dialog that lost; nothing is sent."""
        self._settle_accepted()
        self.timer.stop()
        self.state = SessionState.ENDED

    def _end(self, cause: str) -> None:
        self._settle_accepted()
        self.timer.stop()
        if self.state is not SessionState.ENDED:
            self.state = SessionState.ENDED
            self.user.session_ended(self, cause)

    # --- the session timer

    def described(self, body: bytes, content_type: str) -> None:
        """The description that we sent last: what a refresh by re-INVITE repeats (RFC 4028 §7.4)."""
        if body:
            self._described = (body, content_type)

    def _refresh(self) -> None:
        if self.state is not SessionState.CONFIRMED:
            return
        if self.timer.update:
            request = self.new_request("UPDATE")
            self.timer.ask(request)
            self.request(request, _Refresh(self))
        else:
            self.reinvite(*self._described, _Refresh(self))

    def refresh_failed(self, status: int) -> None:
        """RFC 4028 §10: only 408 and 481 end it at once; anything else is tried again until the interval ends."""
        if status in _GONE:
            self.lost("no answer")
        elif self.state is SessionState.CONFIRMED:
            self.timer.again()

    def _expired(self) -> None:
        if self.state is SessionState.CONFIRMED:
            self.lost("session expired")


class _Unheard:
    """Nobody waits for the answer to a BYE."""

    def on_response(self, response: Response) -> None: ...

    def on_failure(self, cause: str) -> None: ...


class _Refresh:
    """Waits for the answer to a refresh, by UPDATE or by re-INVITE."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def on_response(self, response: Response) -> None:
        if response.is_provisional:
            return
        timer = self._session.timer
        if response.is_success:
            self._session.dialog.take(response)
            timer.answered(response)
        else:
            timer.update = timer.update and response.status not in (405, 501)
            self.reinvite_refused(self._session, response.status)

    def on_failure(self, cause: str) -> None:
        self.reinvite_refused(self._session, 408)

    def reinvite_answered(self, session: Session, response: Response) -> None:
        session.acknowledge(response.cseq.number)

    def reinvite_refused(self, session: Session, status: int) -> None:
        session.refresh_failed(status)


class _Reinvite:
    """The client side of one re-INVITE."""

    def __init__(self, session: Session, number: int, user: ReinviteUser) -> None:
        self._session = session
        self._number = number
        self._user = user
        self._final = False

    def on_response(self, response: Response) -> None:
        if response.is_provisional:
            return
        if self._final:
            if response.is_success:
                self._session.repeat_ack(self._number)
            return
        self._final = True
        self._session.reinvite_done(self)
        if response.is_success:
            self._session.dialog.take(response)
            self._session.timer.answered(response)
            self._user.reinvite_answered(self._session, response)
        else:
            self._refused(response.status)

    def on_failure(self, cause: str) -> None:
        if not self._final:
            self._final = True
            self._session.reinvite_done(self)
            self._refused(408)

    def _refused(self, status: int) -> None:
        self._user.reinvite_refused(self._session, status)
        if status in _GONE:
            self._session.lost("no answer")
