"""A callee who must press 1 before the call is his; the others ring on meanwhile, and the caller hears that it rings.

A gateway with an analog line (FXO) answers as soon as it seizes the line, before anybody there has lifted: without the
key it would take each call from the other telephones. So does the voice mailbox of a mobile telephone.
"""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Timer
from directory.model import Account
from pbx.b2bua.bodies import info_digit
from pbx.b2bua.leg import Leg
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.takeover import Waiting
from pbx.b2bua.translations import TRANSLATED
from pbx.sipcore.failures import NotAcceptable
from pbx.sipcore.transactions import ServerTransaction

KEY = "1"
PROMPT = "presstoaccept"
PATIENCE = 45.0
"""Limit: seconds from the gateway's answer to the key: it rings at the far end only then."""
_PAUSE = 1.5  # seconds between two prompts


class Acceptance(Waiting):
    """Owns the leg of a gateway that has answered. `decided` is told once, unless it is stopped; `account`: whose
    prompt it is. Interop: to who talks in a codec that we cannot speak nothing is said, but his key counts."""

    def __init__(self, leg: OutgoingLeg, account: Account | None, decided: Callable[[bool], None]) -> None:
        self._leg = leg
        self._account = account
        self._decided = decided
        self._clock = leg.exchange.clock
        self._timers: list[Timer] = []
        self._over = False

    def start(self) -> None:
        leg = self._leg
        leg.owner = self
        leg.media.part()  # of what the line brought while it rang
        try:
            self._acknowledge()
        except NotAcceptable:
            leg.acknowledge()
            self._decide(False)
            return
        self._timers.append(self._clock.call_later(PATIENCE, lambda: self._decide(False)))
        self._ask()

    def _acknowledge(self) -> None:
        """Raises NotAcceptable."""
        leg = self._leg
        if leg.theirs is None:
            raise NotAcceptable("No description")
        if leg.media.ours is not None:
            leg.acknowledge()
            leg.settle()
        else:  # the 2xx brings an offer, and the caller cannot be asked yet (RFC 3261 §13.2.1)
            leg.answered_alone = True
            leg.acknowledge(leg.studio_answer())

    def _ask(self) -> None:
        clip = self._leg.exchange.sound(PROMPT, self._account)
        if clip is not None and self._leg.stream is not None and self._leg.codec in TRANSLATED:
            self._leg.stream.play(clip)

    def stop(self) -> None:
        """Nobody waits for the key any more."""
        self._over = True
        for timer in self._timers:
            timer.cancel()
        if self._leg.stream is not None and not self._leg.ended:
            self._leg.stream.stop()

    def _decide(self, accepted: bool) -> None:
        if not self._over:
            self.stop()
            self._decided(accepted)

    # --- told by the leg

    def leg_ended(self, leg: Leg, cause: str) -> None:
        self._decide(False)

    def leg_digit(self, leg: Leg, digit: str) -> None:
        if digit == KEY:
            self._decide(True)

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        digit = info_digit(transaction.request) if transaction.request.method == "INFO" else None
        if digit is None:
            super().leg_request(leg, transaction)
        else:
            transaction.reply(200)
            self.leg_digit(leg, digit)

    def leg_played(self, leg: Leg, play: int) -> None:
        if not self._over:
            self._timers.append(self._clock.call_later(_PAUSE, self._ask))
