"""How somebody learns at which place a call is parked: it is said on a leg, or a short call shows and says it."""

from __future__ import annotations

from collections.abc import Callable

from directory.model import Account
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.program_leg import ProgramLeg

_RINGS = 10
"""Limit: seconds that a telephone shows a place."""


class Deaf:
    """A listener to a leg that minds nothing."""

    def leg_digit(self, digit: str) -> None: ...

    def leg_disconnected(self) -> None: ...

    def leg_provisioned(self, status: int) -> None: ...

    def leg_completed(self, error: str | None) -> None: ...

    def leg_info(self, content_type: str, body: bytes) -> None: ...

    def leg_transferred(self) -> None: ...

    def leg_played(self, play: int) -> None: ...

    def leg_recorded(self, record: int, cause: str, seconds: float) -> None: ...

    def leg_unbridged(self) -> None: ...


class Digits:
    """A number said twice, digit by digit; then `done`. `account`: whose prompts are used."""

    def __init__(
        self, exchange: Exchange, account: Account, leg: ProgramLeg, number: str, done: Callable[[], None]
    ) -> None:
        self._exchange = exchange
        self._account = account
        self._leg = leg
        self._left = [*number, *number]
        self._done = done
        self._play = 0

    def say(self) -> None:
        """The next one."""
        while self._left:
            if (clip := self._exchange.sound(self._left.pop(0), self._account)) is not None:
                self._play = self._leg.play(clip)
                return
        self._done()

    def played(self, play: int) -> None:
        """Told by the leg."""
        if play == self._play:
            self.say()

    def stop(self) -> None:
        self._play = 0


class Notice(Deaf):
    """A short call to an account's telephones. They show the place without being answered, and may call it back."""

    def __init__(self, exchange: Exchange, account: Account, domain: str, place: str) -> None:
        self._leg = ProgramLeg(exchange, account, proved=True)
        self._leg.attach(self)
        self._digits = Digits(exchange, account, self._leg, place, self._leg.disconnect)
        shown = f'"Parked at {place}" <sip:{place}@{domain}>'
        self._leg.start_call(f"sip:{account.address};services=no", {"From": shown, "Expires": str(_RINGS)}, wanted=True)

    def stop(self) -> None:
        """Nobody is parked there any more."""
        self._leg.disconnect()

    def leg_completed(self, error: str | None) -> None:
        if error is None:
            self._digits.say()

    def leg_played(self, play: int) -> None:
        self._digits.played(play)
