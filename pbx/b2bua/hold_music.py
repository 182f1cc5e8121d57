"""Music for a party that the other one holds: the prompt `holdmusic`, unless the account that holds wants none.

The hold itself passes on (`hold`): the telephone knows that it is held, and listens. The music is played into the
joined stream, so it is heard instead of what the holder's telephone may send; joining the stream anew ends it. A party
that talks in a codec we cannot speak gets an offer of ours first.
"""

from __future__ import annotations

from directory.model import Account
from pbx.b2bua.leg import Leg
from pbx.b2bua.reoffer import Reoffer
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
        elif self._held is not held:
            self._held = held
            if held.codec in TRANSLATED:
                self._play(held, holder.person.account)
            else:
                offer = held.studio_offer().with_direction("sendonly")
                Reoffer(held, lambda agreed: self._asked(agreed, held, holder.person.account)).send(offer)

    def _asked(self, agreed: bool, held: Leg, account: Account | None) -> None:
        """`held` has been offered a codec of ours."""
        if agreed and self._held is held and not held.ended:
            self._play(held, account)

    def _play(self, held: Leg, account: Account | None) -> None:
        clip = held.exchange.sound("holdmusic", account)
        if clip is not None and held.stream is not None:
            held.stream.play(clip, seconds=-1)

    def again(self, holder: Leg, held: Leg) -> None:
        """`held` has heard something else meanwhile."""
        if self._held is held:
            self._held = None
            self.changed(holder, held)

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
    return held.agreed is not None and held.agreed.send
