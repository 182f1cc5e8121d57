"""The watch over parties that have vanished without a BYE: no RTP from any of them; who is on hold is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from base.clock import Clock, Timer
from pbx.b2bua.leg import Leg


class SilenceWatch:
    """Looks each `seconds` (0: never) at what has come in; calls `gone` when nothing has since the last look.

    `heard` gives the packets of each party so far, or None while there is nothing to expect; when that lasts from one
    look to the next, `ask` is called each time.
    """

    def __init__(
        self,
        clock: Clock,
        seconds: float,
        heard: Callable[[], tuple[int, ...] | None],
        gone: Callable[[], None],
        ask: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._heard = heard
        self._gone = gone
        self._ask = ask
        self._timer: Timer | None = None
        self._before: tuple[int, ...] | None = ()

    @classmethod
    def of_legs(
        cls, clock: Clock, seconds: float, legs: Callable[[], Sequence[Leg]], gone: Callable[[], None]
    ) -> SilenceWatch:
        """Over the parties of a call of ours, who are in dialogs with us and can be asked."""
        return cls(clock, seconds, lambda: heard_of(legs()), gone, lambda: _ask(legs()))

    def start(self) -> None:
        """Begin, or begin anew."""
        self.stop()
        self._before = ()
        self._look()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._seconds <= 0:
            return
        before, self._before = self._before, self._heard()
        self._timer = self._clock.call_later(self._seconds, self._look)
        if self._before is None and before is None:
            self._ask()
        elif self._before is not None and self._before == before:
            self.stop()
            self._gone()


def heard_of(legs: Iterable[Leg]) -> tuple[int, ...] | None:
    """What has come from these; None without legs, and while one holds another."""
    parties = tuple(legs)
    if not parties or not all(_talks(leg) for leg in parties):
        return None
    return tuple(0 if leg.stream is None else leg.stream.statistics().packets_received for leg in parties)


def _talks(leg: Leg) -> bool:
    """Audio goes both ways: neither side holds the other."""
    return leg.agreed is not None and leg.agreed.receive and leg.agreed.send


def _ask(legs: Iterable[Leg]) -> None:
    for leg in legs:
        leg.ask()
