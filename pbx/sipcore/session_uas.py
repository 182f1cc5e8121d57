"""The INVITE that came to us, until its final response: provisional answers, CANCEL, 2xx or refusal. Pure.

RFC 3261 §13.3 (UAS), §9.2 (CANCEL), RFC 3262 §3, §5 (reliable provisional responses).
"""

from __future__ import annotations

from typing import Protocol

from base.clock import Clock, Timer
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.offers import describes
from pbx.sipcore.reliable import EXTENSION, ReliableResponses
from pbx.sipcore.sdp import CONTENT_TYPE
from pbx.sipcore.session import Session
from pbx.sipcore.session_ports import ALLOW, SessionPort, SessionState, SessionTimers, SessionUser
from pbx.sipcore.transactions import ServerTransaction

Headers = tuple[tuple[str, str], ...]

_RELIABLY = 2.5
"""RFC 3262 §3: a long ringing that is told reliably is told again every two and a half minutes, not every minute."""


class IncomingUser(SessionUser, Protocol):
    """Who is told of a caller's second thoughts."""

    def invite_cancelled(self, invite: IncomingInvite) -> None:
        """CANCEL (or a BYE on the early dialog): the 487 has gone out."""

    def invite_unheard(self, invite: IncomingInvite) -> None:
        """No PRACK came: the 504 has gone out."""


class IncomingInvite:
    """A pending INVITE. Its session stands from the start, so that requests on the early dialog find it."""

    def __init__(
        self,
        clock: Clock,
        port: SessionPort,
        transaction: ServerTransaction,
        contact: str,
        user: IncomingUser,
        timers: SessionTimers,
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._user = user
        self._transaction = transaction
        self._told: tuple[int, str, Headers] | None = None
        self._repeat: Timer | None = None
        self._describing: Response | None = None
        self._answer: tuple[bytes, Headers] | None = None  # a 2xx that waits for a PRACK
        self.pending = True
        self.refused = 0
        """The final refusal that was sent."""
        request, tag = transaction.request, transaction.local_tag
        self._offered = describes(request)
        self._required = EXTENSION in request.tokens("Require")
        self.reliable = self._required or EXTENSION in request.tokens("Supported")
        """The caller takes reliable provisional responses."""
        dialog = Dialog.uas(request, tag, contact)
        self.session = Session(clock, port, dialog, transaction.flow, contact, _Early(self, user), timers)
        self.session.hold_pending(transaction)
        self._responses = ReliableResponses(clock, timers, tag, self._transmit, self._unheard, self._heard)
        self.session.reliable = self._responses
        self.cancel_reason: str | None = None
        """What the caller's CANCEL says (RFC 3326)."""
        transaction.on_cancel = self._cancel

    @property
    def request(self) -> Request:
        return self._transaction.request

    @property
    def settled(self) -> bool:
        """A reliable provisional response has carried our description: the 2xx will carry none (RFC 3262 §5)."""
        return self._describing is not None

    # --- provisional responses

    def provisional(self, status: int, reason: str = "", body: bytes = b"", headers: Headers = ()) -> None:
        """Send a 1xx with our tag. It is told again each minute (RFC 3261 §13.3.1.1).

        It goes reliably when the caller requires that, and when he can have it and it describes something.
        """
        if self.pending and self._answer is None:
            self._told = (status, reason, headers)
            self._tell(body)

    def _tell(self, body: bytes = b"") -> None:
        if self._repeat is not None:
            self._repeat.cancel()
        if self._told is None or not self.pending:
            return
        status, reason, headers = self._told
        response = self.session.response(self._transaction, status, reason, list(headers))
        if body and not self.settled and (self._offered or self.reliable):  # RFC 3261 §13.2.1: no offer unreliably
            response.set_body(body, CONTENT_TYPE)
        reliably = self._required or (self.reliable and describes(response))
        pause = self._timers.ringing * (_RELIABLY if reliably else 1.0)
        self._repeat = self._clock.call_later(pause, self._tell)
        if not reliably:
            self._transaction.respond(response)
        elif self._offered or self.settled or describes(response):
            # RFC 3261 §13.2.1: without an offer of the caller's the first reliable response must carry ours
            self._responses.send(response)

    def _transmit(self, response: Response) -> None:
        """Told by the reliable ones, for each copy."""
        if self._describing is None and describes(response):
            self._describing = response
            self.session.offers.ours(response)
            self.session.changes.described(response.body, response.content_type)
        elif self._describing is not response:
            response.body = b""  # it had to wait, and another one has said it
            response.remove("Content-Type")
        self._transaction.respond(response.copy())

    def _heard(self) -> None:
        if self._answer is not None:
            self._accept(*self._answer)

    def _unheard(self) -> None:
        """RFC 3262 §3: the INVITE is refused with 5xx when no PRACK comes."""
        if self.pending:
            self.reject(504)
            self._user.invite_unheard(self)

    # --- the final response

    def accept(self, body: bytes, headers: Headers = ()) -> Session:
        """Send the 200; the session is confirmed and its user hears of the ACK. It waits for the PRACK of a response
        that carries our description (RFC 3262 §3)."""
        if self._responses.describing:
            self._answer = (body, headers)
            self._responses.skip()
        else:
            self._accept(body, headers)
        return self.session

    def _accept(self, body: bytes, headers: Headers) -> None:
        self._answer = None
        response = self.session.response(self._transaction, 200, "", list(headers))
        if body and not self.settled:
            response.set_body(body, CONTENT_TYPE)
        self._close()
        self.session.user = self._user
        self.session.dialog.confirm()
        self.session.answer_offer(self._transaction, response)

    def reject(self, status: int, reason: str = "", headers: Headers = ()) -> None:
        """Send a final refusal (300-699)."""
        if self.pending:
            self.refused = status
            self._close()
            tag = self.session.dialog.local_tag
            response = response_to(self.request, status, reason, to_tag=tag, headers=list(headers))
            if status in (405, 501):
                response.set("Allow", ALLOW)
            self._transaction.respond(response)
            self.session.drop()

    def _cancel(self, cancel: Request) -> None:
        if self.pending:
            self.cancel_reason = cancel.get("Reason")
            self.reject(487)
            self._user.invite_cancelled(self)

    def bye_came(self) -> None:
        """The early dialog was ended by BYE; the session has sent the 487 (RFC 3261 §15.1.2)."""
        if self.pending:
            self.refused = 487
            self._close()
            self._user.invite_cancelled(self)

    def _close(self) -> None:
        self.pending = False
        self._responses.finish()
        if self._repeat is not None:
            self._repeat.cancel()


class _Early:
    """The session's user while the INVITE is pending."""

    def __init__(self, invite: IncomingInvite, user: SessionUser) -> None:
        self._invite = invite
        self._user = user

    def session_offer(self, session: Session, transaction: ServerTransaction) -> None:
        self._user.session_offer(session, transaction)

    def session_refreshed(self, session: Session, request: Request) -> None:
        self._user.session_refreshed(session, request)

    def session_request(self, session: Session, transaction: ServerTransaction) -> None:
        self._user.session_request(session, transaction)

    def session_answered(self, session: Session, request: Request) -> None:
        self._user.session_answered(session, request)

    def session_acknowledged(self, session: Session, request: Request) -> None: ...

    def session_ended(self, session: Session, cause: str) -> None:
        assert session.state is SessionState.ENDED
        self._invite.bye_came()
