"""Bounded memory of recent events by key: to say a thing once a minute, to count what one source does. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from base.clock import Clock

K = TypeVar("K", bound=Hashable)


class Recent(Generic[K]):
    """How often each key came within `window` seconds of its first time.

    Limit: keys of one memory of recent events, `size`; the oldest go.
    """

    def __init__(self, clock: Clock, *, window: float, size: int = 4096) -> None:
        self._clock = clock
        self._window = window
        self._size = size
        self._seen: OrderedDict[K, tuple[float, int]] = OrderedDict()

    def count(self, key: K) -> int:
        """Note one more event; gives how many there were in this window with it."""
        now = self._clock.now()
        began, times = self._seen.get(key, (now, 0))
        if now - began >= self._window:
            self._seen.pop(key, None)
            began, times = now, 0
        self._seen[key] = (began, times + 1)
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)
        return times + 1

    def times(self, key: K) -> int:
        """How many there were in this window."""
        began, times = self._seen.get(key, (0.0, 0))
        return times if self._clock.now() - began < self._window else 0

    def first(self, key: K) -> bool:
        """True once in each window."""
        return self.count(key) == 1

    def forget(self, key: K) -> None:
        self._seen.pop(key, None)

    def __len__(self) -> int:
        return len(self._seen)
