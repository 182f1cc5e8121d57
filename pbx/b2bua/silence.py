"""The watch over parties that have vanished without a BYE: no RTP from any of them, and none on hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from base.clock import Timer
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg


class SilenceWatch:
    """Looks each `silence` seconds (a setting; 0: never) at what has come in; calls `gone` when nothing has.

    `parties` gives the legs to look at, or none while there is nothing to expect.
    """

    def __init__(self, exchange: Exchange, parties: Callable[[], Sequence[Leg]], gone: Callable[[], None]) -> None:
        self._exchange = exchange
        self._parties = parties
        self._gone = gone
        self._timer: Timer | None = None
        self._heard: tuple[int, ...] = ()

    def start(self) -> None:
        """Begin, or begin anew."""
        self.stop()
        self._heard = ()
        self._look()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        seconds = self._exchange.settings.silence
        if seconds <= 0:
            return
        legs = self._parties()
        heard = tuple(0 if leg.stream is None else leg.stream.statistics().packets_received for leg in legs)
        expected = bool(legs) and all(_talks(leg) for leg in legs)
        if expected and heard == self._heard:
            self._gone()
            return
        self._heard = heard if expected else ()
        self._timer = self._exchange.clock.call_later(seconds, self._look)


def _talks(leg: Leg) -> bool:
    """Audio goes both ways: neither side holds the other."""
    return leg.agreed is not None and leg.agreed.receive and leg.agreed.send
