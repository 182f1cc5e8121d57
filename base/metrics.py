"""Counters and gauges of one server. A name is made by its first use; nothing here is global."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Metrics:
    """Named numbers: counters that only grow, and gauges that are asked when somebody looks."""

    def __init__(self) -> None:
        self._counters: Counter[str] = Counter()
        self._gauges: dict[str, Callable[[], float]] = {}

    def count(self, name: str, amount: int = 1) -> None:
        self._counters[name] += amount

    def value(self, name: str) -> int:
        return self._counters[name]

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        self._gauges[name] = read

    def snapshot(self) -> dict[str, float]:
        return {**self._counters, **{name: read() for name, read in self._gauges.items()}}
