"""What a party hears from us in the middle of its call: ringing while telephones ring for it, music while it waits.

Each is a prompt. A party that is held, or that talks in a codec we cannot speak, gets an offer of ours first.
"""

from __future__ import annotations

from collections.abc import Callable

from directory.model import Account
from pbx.b2bua.leg import Leg
from pbx.b2bua.reoffer import Reoffer
from pbx.b2bua.translations import TRANSLATED


class Ringback:
    """Of one party. Played into a stream that is joined with another it is heard instead of that one."""

    def __init__(self, party: Leg, prompt: str = "ringing") -> None:
        self._party = party
        self._prompt = prompt
        self._rings = False
        self._asking = False
        self._next: Callable[[], None] | None = None
        self.renewed = False
        """The party has our audio, and no longer that of whom it has talked to."""

    def start(self, account: Account | None) -> None:
        """`account`: whose prompt it is."""
        if self._rings:
            return
        self._rings = True
        if self._hears_us():
            self._play(account)
        elif not self.renewed:
            self._asking = True
            Reoffer(self._party, lambda agreed: self._asked(agreed, account)).send(self._party.studio_offer())

    def _hears_us(self) -> bool:
        party, agreed = self._party, self._party.agreed
        return party.session is None or (agreed is not None and agreed.send and party.codec in TRANSLATED)

    def _asked(self, agreed: bool, account: Account | None) -> None:
        self._asking, self.renewed = False, agreed
        if agreed and self._rings:
            self._play(account)
        if self._next is not None:
            self._next()

    def _play(self, account: Account | None) -> None:
        party = self._party
        clip = party.exchange.sound(self._prompt, account)
        if clip is not None and party.stream is not None and not party.ended:
            party.stream.play(clip, seconds=-1)

    def stop(self, then: Callable[[], None] | None = None) -> None:
        """`then` is what comes next, once no offer of ours is open."""
        if self._rings and self._party.stream is not None:
            self._party.stream.stop()
        self._rings = False
        if self._asking:
            self._next = then
        elif then is not None:
            then()
