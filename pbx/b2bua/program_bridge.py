"""Two legs of programs whose parties hear each other: a caller and whom a program has called for him.

Not here: when (`program_leg.bridge`), and what a transfer does to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pbx.b2bua.talk import Talk

if TYPE_CHECKING:
    from pbx.b2bua.call import Call
    from pbx.b2bua.exchange import Exchange
    from pbx.b2bua.program_leg import ProgramLeg


class ProgramBridge:
    """It joins them until `part`."""

    def __init__(self, exchange: Exchange, one: ProgramLeg, other: ProgramLeg) -> None:
        self._exchange = exchange
        self._legs = (other, one) if one.calls and not other.calls else (one, other)
        self.talk = Talk(exchange, self._of_record)

    def beside(self, leg: ProgramLeg) -> ProgramLeg:
        """The other one."""
        near, far = self._legs
        return far if leg is near else near

    def join(self) -> None:
        """Also anew, when another party has come to one of them."""
        near, far = self._legs
        if near.stream is None or far.stream is None or near.party is None or far.party is None:
            return
        near.stream.connect(far.stream)
        self.talk.joined(near.party, far.party)

    def part(self) -> None:
        self.talk.parted()
        for leg in self._legs:
            if leg.stream is not None:
                leg.stream.disconnect()

    def _of_record(self) -> Sequence[Call]:
        """The calls of both parties, the caller's first."""
        parties = [leg.party for leg in self._legs]
        return [call for party in parties for call in self._exchange.calls.values() if party in call.parties]
