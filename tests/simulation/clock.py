"""The virtual loop's time as the clock of servers and telephones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from base.clock import Timer

EPOCH = 1_700_000_000.0


class VirtualClock:
    """Time of day begins at `EPOCH`. Made in the loop whose time it tells."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self._call_later = loop.call_later

    def wall(self) -> float:
        return EPOCH + self.now()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return self._call_later(delay if delay > 0.0 else 0.0, callback)
