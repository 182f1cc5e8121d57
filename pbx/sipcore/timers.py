"""The durations of the transaction machines, in seconds.

RFC 3261 §17 and its table 4 (T1, T2, T4), §16.6 step 11 (Timer C), RFC 6026 §7.1 (L and M).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timers:
    """All follow from T1, T2 and T4; scenes and simulations set short ones."""

    t1: float = 0.5
    """An estimate of the round trip: the first retransmission."""
    t2: float = 4.0
    """The longest pause between retransmissions of anything but an INVITE request."""
    t4: float = 5.0
    """How long a message may still wander in the network."""
    c: float = 185.0
    """How long an INVITE may ring without news (more than three minutes)."""
    trying: float = 0.2
    """When a 100 Trying is sent because the user gave nothing yet; 0: at once."""

    @property
    def give_up(self) -> float:
        """Timers B, F, H, J, L, M: 64 times T1."""
        return 64 * self.t1

    @property
    def d(self) -> float:
        """How long a refused INVITE still acknowledges repeated refusals: as long as they may be sent."""
        return 64 * self.t1
