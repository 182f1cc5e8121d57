"""Counts what each source or account does, against paces: so many in so long. Bounded. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from base.clock import Clock
from directory.pace import Pace

K = TypeVar("K", bound=Hashable)


class Tally(Generic[K]):
    """A time begins with the first event in it.

    Limit: sources or accounts whose doings are counted, `size` in each tally; the longest silent are forgotten.
    """

    def __init__(self, clock: Clock, *, size: int = 4096) -> None:
        self._clock = clock
        self._size = size
        self._seen: OrderedDict[K, dict[float, tuple[float, int]]] = OrderedDict()

    def passes(self, key: K, paces: Sequence[Pace]) -> bool:
        """Count one more event; True when it is more than a pace allows."""
        if not paces:
            return False
        now = self._clock.now()
        seen = self._seen.setdefault(key, {})
        self._seen.move_to_end(key)
        passed = False
        for pace in paces:
            began, count = seen.get(pace.seconds, (now, 0))
            if now - began >= pace.seconds:
                began, count = now, 0
            seen[pace.seconds] = (began, count + 1)
            passed = passed or count + 1 > pace.count
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)
        return passed

    def count(self, key: K) -> int:
        """The most that is counted for a key in any of its times."""
        return max((count for _, count in self._seen.get(key, {}).values()), default=0)

    def forget(self, key: K) -> None:
        self._seen.pop(key, None)

    def __len__(self) -> int:
        return len(self._seen)
