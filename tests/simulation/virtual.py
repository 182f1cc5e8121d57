"""An event loop of virtual time: when nothing is ready it jumps to the next timer. One seed replays a run exactly.

Timers of the same moment fire in the order in which they were set, so that a network that reorders nothing keeps its
word. Not for real sockets, threads or processes: nothing outside the loop may wake it, so a run in which nobody has a
timer left is a deadlock and says so.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Everybody waits and no timer is left."""


class VirtualTimer(asyncio.TimerHandle):
    """A callback and its moment; the loop's heap holds it beside them."""

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], loop: VirtualLoop,
        context: contextvars.Context | None,
    ) -> None:  # fmt: skip
        asyncio.Handle.__init__(self, callback, args, loop, context)
        self._when = when

    def cancel(self) -> None:
        asyncio.Handle.cancel(self)


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of a simulation; `time()` starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._soon: deque[asyncio.Handle] = deque()
        self._later: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        timer = VirtualTimer(when, callback, args, self, context)
        heapq.heappush(self._later, (when, next(self._order), timer))
        return timer

    def _run_once(self) -> None:
        """What is ready now; when nothing is, what is due next."""
        soon, later = self._soon, self._later
        while later and later[0][2].cancelled():
            heapq.heappop(later)
        if not soon:
            if not later:
                raise Deadlock("nothing is ready and no timer is left")
            self._now = max(self._now, later[0][0])
        while later and later[0][0] <= self._now:
            soon.append(heapq.heappop(later)[2])
        for _ in range(len(soon)):
            handle = soon.popleft()
            if not handle.cancelled():
                handle._run()

    def _write_to_self(self) -> None:
        """There is no other thread to wake us."""


def simulate(play: Coroutine[Any, Any, T]) -> T:
    """Run a play to its end in virtual time; whatever background tasks it left are cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(play)
