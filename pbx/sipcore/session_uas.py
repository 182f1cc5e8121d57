"""The INVITE that came to us, until its final response: provisional answers, CANCEL, 2xx or refusal. Pure.

RFC 3261 §13.3 (UAS), §9.2 (CANCEL).
"""

from __future__ import annotations

from typing import Protocol

from base.clock import Clock, Timer
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.session import ALLOW, Session, SessionPort, SessionState, SessionTimers, SessionUser
from pbx.sipcore.transactions import ServerTransaction


class IncomingUser(SessionUser, Protocol):
    """Who is told of a caller's second thoughts."""

    def invite_cancelled(self, invite: IncomingInvite) -> None:
        """CANCEL (or a BYE on the early dialog): the 487 has gone out."""


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
        self._last: Response | None = None
        self._repeat: Timer | None = None
        self.pending = True
        dialog = Dialog.uas(transaction.request, transaction.local_tag, contact)
        self.session = Session(clock, port, dialog, transaction.flow, contact, _Early(self, user), timers)
        self.session.hold_pending(transaction)
        transaction.on_cancel = lambda _request: self._cancel()

    @property
    def request(self) -> Request:
        return self._transaction.request

    def provisional(
        self, status: int, reason: str = "", body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Send a 1xx with our tag; it is told again each minute (RFC 3261 §13.3.1.1)."""
        if not self.pending:
            return
        response = self.session.response(self._transaction, status, reason, list(headers))
        if body:
            response.set_body(body, "application/sdp")
        self._last = response
        self._tell()

    def _tell(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()
        if self._last is not None and self.pending:
            self._transaction.respond(self._last.copy())
            self._repeat = self._clock.call_later(self._timers.ringing, self._tell)

    def accept(self, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Session:
        """Send the 200; the session is confirmed and its user hears of the ACK."""
        response = self.session.response(self._transaction, 200, "", list(headers))
        if body:
            response.set_body(body, "application/sdp")
        self._close()
        self.session.user = self._user
        self.session.dialog.confirm()
        self.session.answer_invite(self._transaction, response)
        return self.session

    def reject(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Send a final refusal (300-699)."""
        if self.pending:
            self._close()
            tag = self.session.dialog.local_tag
            response = response_to(self.request, status, reason, to_tag=tag, headers=list(headers))
            if status in (405, 501):
                response.set("Allow", ALLOW)
            self._transaction.respond(response)
            self.session.drop()

    def _cancel(self) -> None:
        if self.pending:
            self.reject(487)
            self._user.invite_cancelled(self)

    def bye_came(self) -> None:
        """The early dialog was ended by BYE; the session has sent the 487 (RFC 3261 §15.1.2)."""
        if self.pending:
            self._close()
            self._user.invite_cancelled(self)

    def _close(self) -> None:
        self.pending = False
        if self._repeat is not None:
            self._repeat.cancel()


class _Early:
    """The session's user while the INVITE is pending."""

    def __init__(self, invite: IncomingInvite, user: SessionUser) -> None:
        self._invite = invite
        self._user = user

    def session_invite(self, session: Session, transaction: ServerTransaction) -> None:
        session.answer(transaction, 491)

    def session_request(self, session: Session, transaction: ServerTransaction) -> None:
        self._user.session_request(session, transaction)

    def session_acknowledged(self, session: Session, request: Request) -> None: ...

    def session_ended(self, session: Session, cause: str) -> None:
        assert session.state is SessionState.ENDED
        self._invite.bye_came()
