"""How many peers may be in the middle of a handshake (TLS, WebSocket), and for how long. Knows neither of them.

A peer that connects and stays silent costs one entry here until its time is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from base.clock import Clock, Timer
from base.metrics import Metrics


@dataclass(frozen=True, slots=True)
class HandshakeLimits:
    """Limit: at once in all and from one address (an office after a power cut), and seconds for each."""

    all: int = 512
    source: int = 128
    seconds: float = 10.0


class Handshakes:
    """Shared by all doors of a stack."""

    def __init__(self, clock: Clock, metrics: Metrics, limits: HandshakeLimits | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._limits = limits or HandshakeLimits()
        self._by_source: dict[str, int] = {}
        self._count = 0
        metrics.gauge("pbx.transport.handshakes", lambda: self._count)

    def begin(self, source: str, overdue: Callable[[], None]) -> Handshake | None:
        """None when there are too many; else `end` must be called on what is given. `overdue` is called in time."""
        if self._count >= self._limits.all or self._by_source.get(source, 0) >= self._limits.source:
            self._metrics.count("pbx.transport.handshakes.refused")
            return None
        self._count += 1
        self._by_source[source] = self._by_source.get(source, 0) + 1

        def late() -> None:
            self._metrics.count("pbx.transport.handshakes.overdue")
            overdue()

        return Handshake(self, source, self._clock.call_later(self._limits.seconds, late))

    def release(self, source: str) -> None:
        self._count -= 1
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]


class Handshake:
    """One that is under way."""

    def __init__(self, owner: Handshakes, source: str, timer: Timer) -> None:
        self._owner: Handshakes | None = owner
        self._source = source
        self._timer = timer

    def end(self) -> None:
        """It has come to an end, good or bad; calling twice does nothing."""
        self._timer.cancel()
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.release(self._source)
