"""An offer of our own that gives a party other audio (transfer, hold by us): a re-INVITE, or an UPDATE while it rings.

RFC 3261 §14.1, RFC 3311 §5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pbx.b2bua.bodies import read_description
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Response
from pbx.sipcore.sdp import CONTENT_TYPE, SessionDescription
from pbx.sipcore.session import Session

if TYPE_CHECKING:
    from pbx.b2bua.leg import Leg

_TRIES = 4


class Reoffer:
    """Best effort: the call goes on as it is when the party refuses. Glare is tried again (RFC 3261 §14.1)."""

    def __init__(self, leg: Leg, then: Callable[[bool], None], headers: Sequence[tuple[str, str]] = ()) -> None:
        self._leg = leg
        self._then = then
        self._headers = headers
        self._tries = 0
        self._description: SessionDescription | None = None

    def send(self, description: SessionDescription) -> None:
        self._description = description
        self._tries += 1
        if (session := self._leg.session) is None:
            self._then(False)
        else:
            session.changes.offer(description.encode(), CONTENT_TYPE, self, self._headers)

    def change_refused(self, session: Session, status: int) -> None:
        description = self._description
        if status == 491 and self._tries < _TRIES and description is not None:
            self._leg.exchange.clock.call_later(self._pause(session), lambda: self.send(description))
        else:
            self._leg.media.revert()
            self._then(False)

    def _pause(self, session: Session) -> float:
        """RFC 3261 §14.1: in units of 10 ms, so that the owner of the Call-ID comes second."""
        low, high = (210, 400) if session.dialog.is_caller else (0, 200)
        return self._leg.exchange.entropy.number(low, high) / 100

    def change_answered(self, session: Session, response: Response) -> None:
        session.acknowledge_change(response)
        try:
            self._leg.theirs = read_description(response) or self._leg.theirs
            self._leg.settle()
        except (SipSyntaxError, NotAcceptable):
            self._then(False)
            return
        self._then(True)
