"""A re-INVITE of our own that gives a party other audio (transfer, hold by us). RFC 3261 §14.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pbx.b2bua.bodies import read_description
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Response
from pbx.sipcore.sdp import CONTENT_TYPE, SessionDescription
from pbx.sipcore.session import Session

if TYPE_CHECKING:
    from pbx.b2bua.leg import Leg

_TRIES = 4
_PAUSE = 1.0


class Reoffer:
    """Best effort: the call goes on as it is when the party refuses. Glare is tried again (RFC 3261 §14.1)."""

    def __init__(self, leg: Leg, then: Callable[[bool], None]) -> None:
        self._leg = leg
        self._then = then
        self._tries = 0
        self._description: SessionDescription | None = None

    def send(self, description: SessionDescription) -> None:
        self._description = description
        self._tries += 1
        if (session := self._leg.session) is None:
            self._then(False)
        else:
            session.reinvite(description.encode(), CONTENT_TYPE, self)

    def reinvite_refused(self, session: Session, status: int) -> None:
        description = self._description
        if status == 491 and self._tries < _TRIES and description is not None:
            self._leg.exchange.clock.call_later(_PAUSE, lambda: self.send(description))
        else:
            self._then(False)

    def reinvite_answered(self, session: Session, response: Response) -> None:
        session.acknowledge(response.cseq.number)
        try:
            self._leg.theirs = read_description(response) or self._leg.theirs
            self._leg.settle()
        except (SipSyntaxError, NotAcceptable):
            self._then(False)
            return
        self._then(True)
