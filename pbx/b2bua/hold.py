"""Hold, resume and any other change of the audio: a re-INVITE of one party passes to the other, and its answer back.

RFC 3261 §14, RFC 3264 §8; a re-INVITE without an offer is RFC 3261 §14.1 with the offer in the 2xx.
"""

from __future__ import annotations

from pbx.b2bua.bodies import read_description
from pbx.b2bua.leg import Leg
from pbx.b2bua.reoffer import Reoffer
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Request, Response
from pbx.sipcore.sdp import CONTENT_TYPE, SessionDescription
from pbx.sipcore.session import Session
from pbx.sipcore.transactions import ServerTransaction
from pbx.workarounds.kinds import Workaround


class Renegotiation:
    """One re-INVITE of `leg`, carried to `other`."""

    def __init__(self, leg: Leg, other: Leg, transaction: ServerTransaction) -> None:
        self._leg = leg
        self._other = other
        self._transaction = transaction
        self._offer: SessionDescription | None = None

    def start(self) -> None:
        request = self._transaction.request
        try:
            self._offer = read_description(request)
        except SipSyntaxError:
            self._refuse(400)
            return
        if self._offer is None and request.body:
            self._refuse(415)
        elif (session := self._other.session) is None:
            self._refuse(480)
        elif self._offer is None and Workaround.NO_OFFERLESS_REINVITE in self._other.workarounds:
            self._offer_known()
        elif self._offer is not None and not (
            self._leg.media.prepared(self._offer) and self._other.media.prepared(self._offer)
        ):
            self._leg.exchange.spawn(self._prepare(session, self._offer), f"ports for {self._leg.call_id}")
        else:
            self._send(session)

    def _offer_known(self) -> None:
        """What the other has last said of itself is the offer; it hears the answer as an offer of its own."""
        known = self._other.theirs
        if known is None:
            self._refuse(488)
            return
        self._leg.answer_in_ack = self._answer_to_known
        self._accept(self._leg.relay(known.with_direction("sendrecv")))

    def _answer_to_known(self, request: Request) -> None:
        try:
            self._leg.theirs = read_description(request) or self._leg.theirs
            self._leg.settle()
        except (SipSyntaxError, NotAcceptable):
            self._leg.exchange.metrics.count("calls.bad-answers")
            return
        if self._leg.theirs is not None:
            Reoffer(self._other, lambda _done: self._leg.media.join_more(self._other.media)).send(
                self._other.relay(self._leg.theirs)
            )

    async def _prepare(self, session: Session, offer: SessionDescription) -> None:
        """A section is new (a picture joins, T.38 takes over): ports first."""
        await self._leg.prepare(offer)
        await self._other.prepare(offer)
        if not (self._leg.ended or self._other.ended):
            self._send(session)

    def _send(self, session: Session) -> None:
        body = b"" if self._offer is None else self._other.relay(self._offer).encode()
        session.reinvite(body, CONTENT_TYPE, self)

    def _refuse(self, status: int) -> None:
        session = self._leg.session
        if session is not None and not self._transaction.is_answered:
            session.answer_invite(self._transaction, session.response(self._transaction, status))

    def reinvite_refused(self, session: Session, status: int) -> None:
        self._refuse(status if status in (415, 488, 491, 606) else 488)

    def reinvite_answered(self, session: Session, response: Response) -> None:
        number = response.cseq.number
        try:
            theirs = read_description(response)
        except SipSyntaxError:
            theirs = None
        if theirs is None or self._transaction.is_answered:
            session.acknowledge(number)
            self._refuse(488)
            return
        self._other.theirs = theirs
        if self._offer is None:
            self._leg.answer_in_ack = lambda request: self._answered_in_ack(session, number, request)
            self._accept(self._leg.relay(theirs))
            return
        session.acknowledge(number)
        before, self._leg.theirs = self._leg.theirs, self._offer
        try:
            description = self._leg.relay_answer(theirs)
            _settle(self._leg, self._other)
        except NotAcceptable:
            self._leg.theirs = before  # RFC 3261 §14.1: a refused change leaves the session as it was
            self._refuse(488)
            return
        self._accept(description)

    def _accept(self, description: SessionDescription) -> None:
        if (session := self._leg.session) is not None:
            response = session.response(self._transaction, 200)
            response.set_body(description.encode(), CONTENT_TYPE)
            session.answer_invite(self._transaction, response)

    def _answered_in_ack(self, session: Session, number: int, request: Request) -> None:
        """The one who asked without an offer has answered the other's."""
        try:
            self._leg.theirs = read_description(request) or self._leg.theirs
            if self._leg.theirs is not None:
                session.acknowledge(number, self._other.relay_answer(self._leg.theirs).encode(), CONTENT_TYPE)
            _settle(self._leg, self._other)
        except (SipSyntaxError, NotAcceptable):
            self._leg.exchange.metrics.count("calls.bad-answers")


def answer_alone(leg: Leg, transaction: ServerTransaction) -> None:
    """Answer a re-INVITE of a party that talks to a program: our voice goes on as far as it listens."""
    session, request = leg.session, transaction.request
    if session is None:
        return
    try:
        leg.theirs = read_description(request)
        description = leg.studio_answer()
    except (SipSyntaxError, NotAcceptable):
        session.answer_invite(transaction, session.response(transaction, 488))
        return
    if leg.theirs is None:
        leg.answer_in_ack = lambda ack: _late_answer(leg, ack)
    response = session.response(transaction, 200)
    response.set_body(description.encode(), CONTENT_TYPE)
    session.answer_invite(transaction, response)


def _late_answer(leg: Leg, ack: Request) -> None:
    try:
        leg.theirs = read_description(ack)
        if leg.theirs is not None:
            leg.settle()
    except (SipSyntaxError, NotAcceptable):
        leg.exchange.metrics.count("calls.bad-answers")


def _settle(leg: Leg, other: Leg) -> None:
    leg.settle()
    other.settle()
    leg.media.join_more(other.media)
