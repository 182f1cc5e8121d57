"""The virtual loop's time as the clock of servers and telephones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from base.clock import Timer

EPOCH = 1_700_000_000.0


class VirtualClock:
    """Time of day begins at `EPOCH`."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return EPOCH + self.now()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, delay), callback)
