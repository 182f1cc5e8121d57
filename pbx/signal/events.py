"""What a Signal is told, one after the other: whatever follows from one is done before the next is heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Events:
    """`after` is called when there are no more."""

    def __init__(self, after: Callable[[], None]) -> None:
        self._after = after
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = False

    def tell(self, event: Callable[[], None]) -> None:
        """Now, or after the one that is being heard."""
        self._waiting.append(event)
        if self._running:
            return
        self._running = True
        try:
            while self._waiting:
                self._waiting.popleft()()
        finally:
            self._running = False
        self._after()
