"""The one place where time is read. Machines are handed a `Clock`; none of them asks the system."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A running timer."""

    def cancel(self) -> None:
        """Stop it; harmless when it has fired or was cancelled before."""


class Clock(Protocol):
    """Time and timers. Callbacks run on the thread that owns the clock, never inside `call_later` itself."""

    def now(self) -> float:
        """Monotonic seconds; only differences mean something."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 00:00 UTC."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once after `delay` seconds (0: as soon as the current event is done)."""


class LoopClock:
    """The clock of a running server: the event loop's timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return time.time()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        if delay <= 0:
            return self._loop.call_soon(callback)
        return self._loop.call_later(delay, callback)


class _ManualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until a test moves it; timers fire in order of their time, then of their making."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._now = 0.0
        self._epoch = wall
        self._order = itertools.count()
        self._heap: list[tuple[float, int, _ManualTimer]] = []

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._epoch + self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = _ManualTimer(callback)
        heapq.heappush(self._heap, (self._now + max(0.0, delay), next(self._order), timer))
        return timer

    def advance(self, seconds: float = 0.0) -> None:
        """Move time on, firing each timer at its own moment."""
        end = self._now + seconds
        while self._heap and self._heap[0][0] <= end:
            due, _, timer = heapq.heappop(self._heap)
            self._now = max(self._now, due)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._now = end

    @property
    def pending(self) -> int:
        """How many timers would still fire."""
        return sum(1 for _, _, timer in self._heap if timer.callback is not None)
