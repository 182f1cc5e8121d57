"""What the peer asks within a dialog: BYE, other media, PRACK; and which of it waits for our answer. Pure.

What we ask is in `changes`. RFC 3261 §14.2, §15.1.2; RFC 3262 §3, §5 (PRACK); RFC 3311 §5.2 (UPDATE).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.headers import RAck
from pbx.sipcore.offers import Turn, describes
from pbx.sipcore.session_ports import SessionState
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.sipcore.session import Session


class PeerRequests:
    """Those of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._inviting: ServerTransaction | None = None  # an INVITE, unanswered
        self._updating: ServerTransaction | None = None  # an UPDATE or PRACK with an offer, unanswered

    @property
    def pending(self) -> bool:
        """Something that negotiates is not answered."""
        return self._inviting is not None or self._updating is not None

    def hold(self, invite: ServerTransaction) -> None:
        """The INVITE that begins the dialog is not answered yet."""
        self._inviting = invite

    def answered(self, transaction: ServerTransaction) -> None:
        """Its final answer goes out."""
        if self._inviting is transaction:
            self._inviting = None
        if self._updating is transaction:
            self._updating = None

    def receive(self, transaction: ServerTransaction) -> None:
        """One that the session has found in order."""
        match transaction.request.method:
            case "BYE":
                self._bye(transaction)
            case "INVITE":
                self._invite(transaction)
            case "UPDATE":
                self._update(transaction)
            case "PRACK":
                self._prack(transaction)
            case _:
                self._session.user.session_request(self._session, transaction)

    def _bye(self, transaction: ServerTransaction) -> None:
        self._session.answer(transaction, 200)
        for pending in (self._inviting, self._updating):
            if pending is not None:  # RFC 3261 §15.1.2: pending requests of the dialog are answered with 487
                pending.respond(self._session.response(pending, 487))
        self._inviting = self._updating = None
        self._session.end("BYE")

    def _invite(self, transaction: ServerTransaction) -> None:
        session = self._session
        session.implies_ack(transaction.request)
        if session.changes.open or (session.state is SessionState.EARLY and session.dialog.is_caller):
            session.answer(transaction, 491)  # RFC 3261 §14.2: glare
        elif self.pending or session.unacknowledged:
            self._later(transaction)  # RFC 3261 §14.2: the one before is not finished
        else:
            self._inviting = transaction
            transaction.on_cancel = lambda _request: self._cancelled(transaction)
            session.offers.theirs(transaction.request)
            session.user.session_offer(session, transaction)

    def _update(self, transaction: ServerTransaction) -> None:
        """RFC 3311 §5.2."""
        if self._updating is not None:
            self._later(transaction)
        elif not transaction.request.body:
            self._session.answer(transaction, 200)
            self._session.user.session_refreshed(self._session, transaction.request)
        elif not describes(transaction.request):
            self._session.answer(transaction, 415, Accept="application/sdp")
        else:
            self._offer(transaction)

    def _offer(self, transaction: ServerTransaction) -> None:
        """An UPDATE or a PRACK offers other media."""
        session, offers = self._session, self._session.offers
        reinviting = session.state is SessionState.CONFIRMED and self._inviting is not None
        if offers.turn is Turn.OURS or session.changes.open:
            session.answer(transaction, 491)
        elif offers.turn is Turn.THEIRS or not offers.settled or reinviting:
            self._later(transaction)
        else:
            self._updating = transaction
            offers.theirs(transaction.request)
            session.user.session_offer(session, transaction)

    def _prack(self, transaction: ServerTransaction) -> None:
        """RFC 3262 §3, §5."""
        session, request = self._session, transaction.request
        try:
            rack = RAck.parse(request.get("RAck") or "")
        except SipSyntaxError:
            session.answer(transaction, 400)
            return
        reliable = session.reliable
        if reliable is None or not reliable.acknowledged(rack):
            session.answer(transaction, 481)
            return
        if describes(request) and session.offers.turn is not Turn.OURS:
            self._offer(transaction)
        else:
            session.answer(transaction, 200)
            if describes(request):
                session.offers.theirs(request)
                session.user.session_answered(session, request)
        reliable.go_on()

    def _later(self, transaction: ServerTransaction) -> None:
        """RFC 3261 §14.2, RFC 3311 §5.2: to be tried again after 0 to 10 seconds; the random tags are the dice."""
        request = transaction.request
        dice = zlib.crc32(f"{request.to_tag}{request.from_tag}{request.cseq}".encode())
        self._session.answer(transaction, 500, Retry_After=str(dice % 11))

    def _cancelled(self, transaction: ServerTransaction) -> None:
        if self._inviting is transaction:
            self._session.answer_offer(transaction, self._session.response(transaction, 487))
