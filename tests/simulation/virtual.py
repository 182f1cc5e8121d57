"""An event loop of virtual time: when nothing is ready it jumps to the next timer. One seed replays a run exactly.

Timers of the same moment fire in the order in which they were set, so that a network that reorders nothing keeps its
word. What runs within a `Life` can be killed as by `kill -9`: from then on nothing of it happens. Not for real sockets,
threads or processes: nothing outside the loop may wake it, so a run in which nobody has a timer left is a deadlock and
says so.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar
from weakref import WeakSet

T = TypeVar("T")

_LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class Deadlock(RuntimeError):
    """Everybody waits and no timer is left."""


class Life:
    """Whatever is started within it, and what that starts, until `kill`."""

    def __init__(self) -> None:
        self.over = False
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._context = copy_context()
        self._context.run(_LIFE.set, self)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        return asyncio.get_running_loop().create_task(work, context=self._context.copy())

    def kill(self) -> None:
        """Nothing of it runs any more: no timer, no callback, no task, no `finally`."""
        self.over = True

    def bury(self) -> None:
        """Give back, at the very end of a run, what a killed life held."""
        with suppress(KeyError):
            while True:
                self._context.copy().run(_close, self.tasks.pop())


def _close(task: asyncio.Task[Any]) -> None:
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant to be pending
    coroutine = task.get_coro()
    if isinstance(coroutine, Coroutine) and not task.done():
        with suppress(Exception):  # whatever its `finally` finds wrong, it is dead
            coroutine.close()


class _Event(asyncio.TimerHandle):
    """A callback, its moment and whose it is."""

    __slots__ = ("args", "callback", "context", "life")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.life = self.context.get(_LIFE)

    def cancel(self) -> None:
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        return self.callback is None

    def __repr__(self) -> str:
        return f"<event {self.callback}>"


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of a simulation; `time()` starts at 0. `faults` are exceptions that nobody caught."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._now = 0.0
        self._soon: deque[_Event] = deque()
        self._later: list[tuple[float, int, _Event]] = []
        self._order = itertools.count()
        self.set_exception_handler(self._fault)

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        event = _Event(callback, args, context)
        self._soon.append(event)
        return event

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        event = _Event(callback, args, context)
        heapq.heappush(self._later, (self._now + delay, next(self._order), event))
        return event

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        event = _Event(callback, args, context)
        heapq.heappush(self._later, (when, next(self._order), event))
        return event

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        life = _LIFE.get() if context is None else context.get(_LIFE)
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        if life is not None:
            life.tasks.add(task)
        return task

    def _run_once(self) -> None:
        """What is ready now; when nothing is, what is due next."""
        soon, later = self._soon, self._later
        while later and later[0][2].callback is None:
            heapq.heappop(later)
        if not soon:
            if not later:
                raise Deadlock("nothing is ready and no timer is left")
            self._now = max(self._now, later[0][0])
        while later and later[0][0] <= self._now:
            soon.append(heapq.heappop(later)[2])
        for _ in range(len(soon)):
            event = soon.popleft()
            callback, life = event.callback, event.life
            if callback is not None and (life is None or not life.over):
                try:
                    event.context.run(callback, *event.args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self.call_exception_handler({"message": f"fault in {callback}", "exception": error})

    def _fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _write_to_self(self) -> None:
        """There is no other thread to wake us."""


def simulate(play: Coroutine[Any, Any, T]) -> T:
    """Run a play to its end in virtual time; whatever background tasks it left are cancelled."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(play)
    finally:
        left = [task for task in asyncio.all_tasks(loop) if _alive(task)]
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def _alive(task: asyncio.Task[Any]) -> bool:
    return bool(task._log_destroy_pending)  # type: ignore[attr-defined]
