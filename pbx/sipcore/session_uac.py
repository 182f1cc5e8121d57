"""The INVITE that we send, until its final response: early dialogs by To-tag, PRACK, 2xx, CANCEL. Pure.

RFC 3261 §13.2 (UAC), §9.1 (CANCEL), §12.1.2 (dialogs), §13.2.2.4 (more than one 2xx), RFC 3262 §4 (PRACK).
"""

from __future__ import annotations

from typing import Protocol

from base.clock import Clock
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.offers import Turn
from pbx.sipcore.proving import Prover, challenges
from pbx.sipcore.reliable import is_reliable
from pbx.sipcore.session import Session
from pbx.sipcore.session_ports import SessionPort, SessionTimers, SessionUser
from pbx.sipcore.session_timer import SMALLEST, ask, longer
from pbx.sipcore.transactions import ClientTransaction

MOST_ASKED = 3
"""Limit: how often one INVITE is sent again for a longer interval; a peer that wants more each time is refused."""
_EARLY_DIALOGS = 10
"""Limit: To-tags of one INVITE that are kept; a peer that makes up more is not listened to."""


class OutgoingUser(SessionUser, Protocol):
    """Who waits for the answer."""

    def invite_progress(self, invite: OutgoingInvite, response: Response) -> None:
        """A provisional above 100."""

    def invite_offered(self, invite: OutgoingInvite, session: Session, response: Response) -> None:
        """A reliable provisional with an offer: call `session.acknowledge_provisional` with the answer."""

    def invite_answered(self, invite: OutgoingInvite, session: Session, response: Response) -> None:
        """The first 2xx. Call `session.acknowledge(invite.number, …)`, and `session.bye()` when it is too late."""

    def invite_failed(self, invite: OutgoingInvite, status: int, response: Response | None) -> None:
        """A final refusal; 408 when nobody answered, 503 when the way was broken (RFC 3261 §8.1.3.1)."""


class OutgoingInvite:
    """Told its responses by the transaction layer (it is a ClientUser)."""

    def __init__(
        self,
        clock: Clock,
        port: SessionPort,
        request: Request,
        flow: Flow,
        contact: str,
        user: OutgoingUser,
        timers: SessionTimers,
        prover: Prover | None = None,
    ) -> None:
        self._clock = clock
        self._port = port
        self._flow = flow
        self._prover = prover
        self._proof = None if prover is None else prover.prove(request)
        self._contact = contact
        self._user = user
        self._timers = timers
        self._transaction: ClientTransaction | None = None
        self._sessions: dict[str, Session] = {}
        self._answered: Session | None = None
        self._smallest = SMALLEST
        self._asked = 0
        self.request = request
        self.number = request.cseq.number
        self.final = False
        self._cancelled = False

    def start(self) -> None:
        ask(self.request, self._timers.expires, self._smallest)
        self._transaction = self._port.request(self.request, self._flow, self)

    @property
    def sessions(self) -> list[Session]:
        """Early and confirmed dialogs."""
        return list(self._sessions.values())

    @property
    def unheard(self) -> bool:
        """Nothing has come back, not even a 100."""
        return self._transaction is not None and self._transaction.unheard

    def cancel(self, reason: str | None = None) -> None:
        """Send CANCEL as soon as it may be sent; the final response still comes to the user."""
        if not self.final and self._transaction is not None:
            self._cancelled = True
            self._transaction.cancel(reason)

    def on_response(self, response: Response) -> None:
        if response.is_provisional:
            if response.status > 100 and not self.final:
                self._progress(response)
        elif response.is_success:
            self._accept(response)
        elif not self.final and not self._asks_for_longer(response) and not self._asks_for_proof(response):
            self._finish(None)
            self._user.invite_failed(self, response.status, response)

    def _progress(self, response: Response) -> None:
        session = self._session(response)
        if session is False:
            return
        if not (isinstance(session, Session) and is_reliable(response)):
            self._user.invite_progress(self, response)
        elif session.order.accepts(response):
            session.learn(response)
            if not session.offers.settled:  # RFC 3262 §5: later descriptions say nothing new
                session.offers.theirs(response)
            if session.offers.turn is Turn.THEIRS:
                self._user.invite_offered(self, session, response)
            else:
                session.acknowledge_provisional(response)
                self._user.invite_progress(self, response)

    def _asks_for_longer(self, response: Response) -> bool:
        """RFC 4028 §7.3: a 422 is asked again, with its Min-SE and a higher CSeq."""
        least = longer(response, self._smallest)
        if least is None or response.cseq.number != self.number or self._cancelled or self._asked >= MOST_ASKED:
            return False
        self._asked += 1
        self._smallest = least
        self._again()
        return True

    def _asks_for_proof(self, response: Response) -> bool:
        """RFC 3261 §22.2, §22.3: a challenge is answered with a higher CSeq, where we have a login there."""
        if self._proof is None or not challenges(response) or self._cancelled:
            return False
        if response.cseq.number != self.number or not self._proof.answer(self.request, response):
            return False
        self._again()
        return True

    def _again(self) -> None:
        self.number += 1
        self.request.set("CSeq", f"{self.number} INVITE")
        self.start()

    def on_failure(self, cause: str) -> None:
        if not self.final:
            self._finish(None)
            self._user.invite_failed(self, 408 if cause == "timeout" else 503, None)

    def _accept(self, response: Response) -> None:
        session = self._session(response, confirm=True)
        if not isinstance(session, Session):
            if not self.final:
                self._finish(None)
                self._user.invite_failed(self, 502, response)  # a 2xx without tag or Contact makes no dialog
        elif self._answered is None:
            self._answered = session
            self._finish(session)
            session.confirm()
            session.dialog.take(response)
            session.learn(response)
            if not session.offers.settled:
                session.offers.theirs(response)
            session.timer.smallest = self._smallest
            session.timer.answered(response)
            self._user.invite_answered(self, session, response)
        elif session is self._answered:
            session.repeat_ack(self.number)
        else:  # a further 2xx with another tag: accept it and end it (RFC 3261 §13.2.2.4)
            session.dialog.take(response)
            session.dismiss(self.number)

    def _session(self, response: Response, *, confirm: bool = False) -> Session | bool:
        """The dialog of a response; True when it makes none yet, False when it never can."""
        tag = response.to_tag
        if tag in self._sessions:
            return self._sessions[tag]
        if not tag or not (confirm or response.has("Contact") or is_reliable(response)):
            return not confirm
        if len(self._sessions) >= _EARLY_DIALOGS:
            return False
        dialog = Dialog.uac(self.request, response)
        session = Session(self._clock, self._port, dialog, self._flow, self._contact, self._user, self._timers)
        session.prover, session.invite = self._prover, self.request
        session.offers.ours(self.request)
        session.changes.described(self.request.body, self.request.content_type)
        self._sessions[tag] = session
        return session

    def _finish(self, winner: Session | None) -> None:
        self.final = True
        for session in self._sessions.values():
            if session is not winner:
                session.drop()
