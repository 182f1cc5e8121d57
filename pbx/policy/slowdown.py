"""Makes guessing passwords slow: refusals to a source that keeps failing go out late, then not at all. Right passwords
are never held up, so that one bad phone in an office does not lock the others out."""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Clock, Timer
from base.metrics import Metrics
from pbx.policy.settings import PolicySettings
from pbx.transport.limiter import Recent

WINDOW = 300.0


class Slowdown:
    """Counts failures of each source (bounded) and holds its refusals back. `close` drops what is held back."""

    def __init__(self, clock: Clock, metrics: Metrics, settings: PolicySettings) -> None:
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._failures: Recent[str] = Recent(clock, window=WINDOW)
        self._held: dict[int, Timer] = {}
        self._number = 0

    def refuse(self, source: str, answer: Callable[[], None]) -> None:
        """One more failure of `source`: answer now, later, or not at all when too many wait."""
        surplus = self._failures.count(source) - self._settings.free_attempts
        if surplus <= 0:
            answer()
        elif len(self._held) >= self._settings.delayed:
            self._metrics.count("sip.auth.unanswered")
        else:
            self._hold(min(2.0 ** min(surplus - 2, 16), self._settings.longest_delay), answer)

    def _hold(self, delay: float, answer: Callable[[], None]) -> None:
        self._number += 1
        number = self._number

        def release() -> None:
            self._held.pop(number, None)
            answer()

        self._metrics.count("sip.auth.delayed")
        self._held[number] = self._clock.call_later(delay, release)

    def succeeded(self, source: str) -> None:
        """A right password: what failed before was a mistyped one."""
        self._failures.forget(source)

    def close(self) -> None:
        for timer in self._held.values():
            timer.cancel()
        self._held.clear()
