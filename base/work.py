"""Work that blocks (files), as a port: done where it hurts nobody, or at once in a simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Run(Protocol):
    """Runs blocking work; what it raises is raised to who waits."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def run_at_once(work: Callable[[], T], /) -> T:
    """`Run` without any thread."""
    return work()


async def run_in_thread(work: Callable[[], T], /) -> T:
    """`Run` on the loop's executor: disks may be slow."""
    return await asyncio.to_thread(work)
