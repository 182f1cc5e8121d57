"""Music for a party that the other one holds: the prompt `holdmusic`, unless the account that holds wants none.

The hold itself passes on (`hold`): the telephone knows that it is held, and listens. The music is played into the joined
stream, so it is heard instead of what the holder's telephone may send; joining the stream anew ends it.
"""

from __future__ import annotations

from pbx.b2bua.leg import Leg
from pbx.b2bua.translations import TRANSLATED


class HoldMusic:
    """Of two parties that talk to each other."""

    def __init__(self) -> None:
        self._held: Leg | None = None

    def changed(self, holder: Leg, held: Leg) -> None:
        """`holder` has changed his audio, and `held` has agreed."""
        if not _wanted(holder, held):
            if self._held is held:
                self.stop()
        elif self._held is not held and held.stream is not None:
            clip = held.exchange.sound("holdmusic", holder.person.account)
            if clip is not None:
                self._held = held
                held.stream.play(clip, seconds=-1)

    def stop(self) -> None:
        held, self._held = self._held, None
        if held is not None and held.stream is not None and not held.ended:
            held.stream.stop()


def wants_music(holder: Leg) -> bool:
    """Whether the account that holds has music for those whom it holds."""
    account, exchange = holder.person.account, holder.exchange
    if account is None or exchange.people.setting(account.id, "HoldMusic") == "NO":
        return False
    return exchange.sound("holdmusic", account) is not None


def _wanted(holder: Leg, held: Leg) -> bool:
    if holder.theirs is None or not holder.theirs.on_hold or not wants_music(holder):
        return False
    return held.agreed is not None and held.agreed.send and held.codec in TRANSLATED
