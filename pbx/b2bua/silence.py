"""The watch over parties that have vanished without a BYE: no RTP from any of them, and none on hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from base.clock import Clock, Timer
from pbx.b2bua.leg import Leg


class SilenceWatch:
    """Looks each `seconds` (0: never) at what has come in; calls `gone` when nothing has since the last look.

    `heard` gives the packets of each party so far, or None while there is nothing to expect.
    """

    def __init__(
        self, clock: Clock, seconds: float, heard: Callable[[], tuple[int, ...] | None], gone: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._heard = heard
        self._gone = gone
        self._timer: Timer | None = None
        self._before: tuple[int, ...] | None = None

    def start(self) -> None:
        """Begin, or begin anew."""
        self.stop()
        self._before = None
        self._look()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._seconds <= 0:
            return
        heard = self._heard()
        if heard is not None and heard == self._before:
            self._gone()
            return
        self._before = heard
        self._timer = self._clock.call_later(self._seconds, self._look)


def heard_of(legs: Iterable[Leg]) -> tuple[int, ...] | None:
    """What has come from these; None without legs, and while one holds another."""
    parties = tuple(legs)
    if not parties or not all(_talks(leg) for leg in parties):
        return None
    return tuple(0 if leg.stream is None else leg.stream.statistics().packets_received for leg in parties)


def _talks(leg: Leg) -> bool:
    """Audio goes both ways: neither side holds the other."""
    return leg.agreed is not None and leg.agreed.receive and leg.agreed.send
