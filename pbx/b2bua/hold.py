"""Hold, resume and any other change of the audio: an offer of one party passes to the other, and its answer back.

It comes by re-INVITE, UPDATE or PRACK, and goes on by what the other party takes. RFC 3261 §14, RFC 3264 §8, RFC 3311;
a re-INVITE without an offer is RFC 3261 §14.1 with the offer in the 2xx.
"""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Timer
from pbx.b2bua.bodies import read_description
from pbx.b2bua.connected import Headers
from pbx.b2bua.hold_music import wants_music
from pbx.b2bua.leg import Leg
from pbx.b2bua.reoffer import Reoffer
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Request, Response
from pbx.sipcore.offer_answer import answered_direction
from pbx.sipcore.sdp import CONTENT_TYPE, SessionDescription
from pbx.sipcore.session import Session
from pbx.sipcore.session_ports import SessionState
from pbx.sipcore.transactions import ServerTransaction
from pbx.workarounds.kinds import Workaround

_LONGEST_UPDATE = 20.0
"""Limit: seconds that an UPDATE waits for the other party; its sender gives up after 32 (RFC 3261 §17.1.2.2)."""

_WAIT, _MOST_WAITS = 0.1, 100
"""Seconds between two looks whether an offer of ours is still open, and how many: its transaction ends after 32."""

_PASSED = (415, 488, 491, 606)
_LATER = (491, 500)
_NO_UPDATE = (405, 501)


class Renegotiation:
    """One offer of `leg`, carried to `other` with these headers. `then` is told once both have agreed."""

    def __init__(
        self,
        leg: Leg,
        other: Leg,
        transaction: ServerTransaction,
        headers: Headers = (),
        then: Callable[[], None] = lambda: None,
    ) -> None:
        self._leg = leg
        self._other = other
        self._transaction = transaction
        self._headers = headers
        self._then = then
        self._offer: SessionDescription | None = None
        self._limit: Timer | None = None
        self._waits = 0

    def start(self) -> None:
        request = self._transaction.request
        try:
            self._offer = self._leg.read_offer(request)
        except SipSyntaxError:
            self._refuse(400)
            return
        if request.method != "INVITE":
            self._limit = self._leg.exchange.clock.call_later(_LONGEST_UPDATE, lambda: self._refuse(504))
        if self._offer is None and request.body:
            self._refuse(415)
        elif (session := self._other.session) is None:
            self._answer_for_other()
        elif self._offer is None and Workaround.NO_OFFERLESS_REINVITE in self._other.workarounds:
            self._offer_known()
        elif self._offer is not None and not (
            self._leg.media.prepared(self._offer) and self._other.media.prepared(self._offer)
        ):
            self._leg.exchange.spawn(self._prepare(session, self._offer), f"ports for {self._leg.call_id}")
        else:
            self._send(session)

    def _offer_known(self) -> None:
        """What the other takes is the offer; it hears the answer as an offer of its own."""
        known = self._other.media.takes
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
            Reoffer(self._other, lambda _done: self._agreed()).send(self._other.relay(self._leg.theirs))

    def _agreed(self) -> None:
        self._leg.media.join_more(self._other.media)
        self._then()

    async def _prepare(self, session: Session, offer: SessionDescription) -> None:
        """A section is new (a picture joins, T.38 takes over): ports first."""
        await self._leg.prepare(offer)
        await self._other.prepare(offer)
        if not (self._leg.ended or self._other.ended):
            self._send(session)

    def _send(self, session: Session) -> None:
        """A re-INVITE goes on as one, for it may wait for a user; anything else as UPDATE where that is taken. While an
        offer of ours is open there (music on hold) it waits: many telephones do not ask again after a 491."""
        if session.changes.open and self._waits < _MOST_WAITS:
            self._waits += 1
            self._leg.exchange.clock.call_later(_WAIT, lambda: self._send_now(session))
        else:
            self._send_on(session)

    def _send_now(self, session: Session) -> None:
        if self._leg.ended or self._other.ended:
            self._refuse(487)
        elif not self._transaction.is_answered:
            self._send(session)

    def _send_on(self, session: Session) -> None:
        update = self._transaction.request.method != "INVITE" and session.changes.updates and session.offers.settled
        if not update and session.state is SessionState.EARLY:
            self._answer_for_other()
            return
        body = b"" if self._offer is None else self._other.relay(self._passed_on(self._offer)).encode()
        if update:
            session.changes.update(body, CONTENT_TYPE, self, self._headers)
        else:
            session.changes.reinvite(body, CONTENT_TYPE, self, self._headers)

    def _passed_on(self, offer: SessionDescription) -> SessionDescription:
        """Who is to hear music on hold is asked to listen, also where his peer would have it all silent."""
        return offer.with_direction("sendonly") if _silent(offer) and wants_music(self._leg) else offer

    def _answer_for_other(self) -> None:
        """The other party cannot be asked while it rings: what it has said answers, as far as it goes."""
        theirs, offer = self._other.theirs, self._offer
        if theirs is None or theirs.audio is None or offer is None or offer.audio is None:
            self._refuse(488)
            return
        way = answered_direction(offer.direction(offer.audio), theirs.direction(theirs.audio))
        self._answer(offer, theirs.with_direction(way), self._leg)

    def _answer(self, offer: SessionDescription, theirs: SessionDescription, *settling: Leg) -> bool:
        before, self._leg.theirs = self._leg.theirs, offer
        try:
            description = self._leg.relay_answer(theirs.with_direction("inactive") if _silent(offer) else theirs)
            for each in settling:
                each.settle()
        except NotAcceptable:
            self._leg.theirs = before  # RFC 3261 §14.1: a refused change leaves the session as it was
            self._refuse(488)
            return False
        self._accept(description)
        return True

    def _refuse(self, status: int) -> None:
        session = self._leg.session
        self._stop_waiting()
        if session is not None and not self._transaction.is_answered:
            session.answer_offer(self._transaction, session.response(self._transaction, status))

    def _stop_waiting(self) -> None:
        if self._limit is not None:
            self._limit.cancel()

    def change_refused(self, session: Session, status: int) -> None:
        self._other.media.revert()
        if status in _NO_UPDATE and not session.changes.updates and session.state is SessionState.CONFIRMED:
            self._send(session)  # it was an UPDATE, which the other party only seemed to know
        else:
            self._refuse(491 if status in _LATER else status if status in _PASSED else 488)

    def change_answered(self, session: Session, response: Response) -> None:
        try:
            theirs = read_description(response)
        except SipSyntaxError:
            theirs = None
        if theirs is None or self._transaction.is_answered:
            session.acknowledge_change(response)
            self._refuse(488)
            if theirs is not None:
                self._take_back()
            return
        self._other.theirs = theirs
        if self._offer is None:
            self._leg.answer_in_ack = lambda request: self._answered_in_ack(session, response, request)
            self._accept(self._leg.relay(theirs))
            return
        session.acknowledge_change(response)
        if self._answer(self._offer, theirs, self._leg, self._other):
            self._agreed()
        else:
            self._take_back()

    def _take_back(self) -> None:
        """The other party has agreed, but the one who asked has not got it: all as before."""
        if self._leg.theirs is not None and not self._other.ended:
            Reoffer(self._other, lambda _done: None).send(self._other.relay(self._leg.theirs))

    def _accept(self, description: SessionDescription) -> None:
        self._stop_waiting()
        if (session := self._leg.session) is not None:
            response = session.response(self._transaction, 200)
            response.set_body(description.encode(), CONTENT_TYPE)
            session.answer_offer(self._transaction, response)

    def _answered_in_ack(self, session: Session, response: Response, request: Request) -> None:
        """The one who asked without an offer has answered the other's."""
        try:
            self._leg.theirs = read_description(request) or self._leg.theirs
            if self._leg.theirs is not None:
                answer = self._other.relay_answer(self._leg.theirs)
                session.acknowledge_change(response, answer.encode(), CONTENT_TYPE)
            self._leg.settle()
            self._other.settle()
            self._agreed()
        except (SipSyntaxError, NotAcceptable):
            self._leg.exchange.metrics.count("calls.bad-answers")


def _silent(offer: SessionDescription) -> bool:
    return offer.audio is not None and offer.direction(offer.audio) == "inactive"


def answer_alone(leg: Leg, transaction: ServerTransaction) -> None:
    """Answer an offer of a party that talks to a program: our voice goes on as far as it listens."""
    session, request = leg.session, transaction.request
    if session is None:
        return
    before = leg.theirs
    try:
        leg.theirs = read_description(request)
        description = leg.media.studio_answer()
    except (SipSyntaxError, NotAcceptable):
        leg.theirs = before
        session.answer_offer(transaction, session.response(transaction, 488))
        return
    if leg.theirs is None:
        leg.answer_in_ack = lambda ack: _late_answer(leg, ack)
    response = session.response(transaction, 200)
    response.set_body(description.encode(), CONTENT_TYPE)
    session.answer_offer(transaction, response)


def _late_answer(leg: Leg, ack: Request) -> None:
    try:
        leg.theirs = read_description(ack)
        if leg.theirs is not None:
            leg.settle()
    except (SipSyntaxError, NotAcceptable):
        leg.exchange.metrics.count("calls.bad-answers")
