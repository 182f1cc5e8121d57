"""Whose offer waits for its answer in one dialog. Pure: it sees that descriptions pass, not what they say.

Unreliable provisional responses are not told to it: what they describe is no answer yet. RFC 3264 §4, RFC 3262 §5,
RFC 3311 §5.1, §5.2.

    NOBODY ──ours──> OURS ──theirs──> NOBODY          (a refusal withdraws the offer)
           ──theirs──> THEIRS ──ours──> NOBODY
"""

from __future__ import annotations

import enum

from pbx.sipcore.message import Message
from pbx.sipcore.sdp import CONTENT_TYPE


class Turn(enum.Enum):
    """Whose offer is open."""

    NOBODY = "nobody"
    OURS = "ours"
    THEIRS = "theirs"


class Offers:
    """Told of each description in a message that cannot be lost."""

    def __init__(self) -> None:
        self.turn = Turn.NOBODY
        self.settled = False
        """An offer has been answered: further offers may go by UPDATE."""

    @property
    def may_offer(self) -> bool:
        """Whether an offer of ours may go by UPDATE (RFC 3311 §5.1)."""
        return self.settled and self.turn is Turn.NOBODY

    def ours(self, message: Message) -> None:
        """We have sent it."""
        self._passed(message, Turn.OURS, Turn.THEIRS)

    def theirs(self, message: Message) -> None:
        """It came."""
        self._passed(message, Turn.THEIRS, Turn.OURS)

    def _passed(self, message: Message, mover: Turn, other: Turn) -> None:
        if not describes(message):
            return
        if self.turn is other:
            self.turn, self.settled = Turn.NOBODY, True
        else:
            self.turn = mover

    def withdraw(self) -> None:
        """The open offer was refused: what was agreed before stands (RFC 3261 §14.1, RFC 3311 §5.1)."""
        self.turn = Turn.NOBODY


def describes(message: Message) -> bool:
    """Whether a message carries a session description."""
    return bool(message.body) and message.content_type in ("", CONTENT_TYPE)
