"""What a program told us, in order, and bounded waits for what it will tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]  # "type" and whatever else the program says


class News:
    """The events of one program."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[Event] = []
        self._more = asyncio.Event()

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self._more.set()

    async def wait(
        self,
        *kinds: str,
        since: int = 0,
        where: Callable[[Event], bool] = lambda _event: True,
        timeout: float = 15.0,
    ) -> Event:
        """The first event of one of these kinds from number `since` on. AssertionError tells what came instead."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for event in self.events[since:]:
                        if event["type"] in kinds and where(event):
                            return event
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            told = "\n".join(str(event)[:300] for event in self.events[-15:])
            raise AssertionError(f"{self.name} told of no {kinds} but of\n{told}") from None
