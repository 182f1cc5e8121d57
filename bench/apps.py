"""Figures of the programs alone: the host and the language, without signalling and audio."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from apps.environment import stock_environment
from apps.roster import builtin_table
from cgpl import compile_program
from tests.apps.stage import Stage, perform

_CALLS = 200
_WAITING = 500


def run() -> list[tuple[str, float, str]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    return [
        ("programs: an attendant call, bridged", _each(_attendant), "µs CPU"),
        ("programs: a voice message of 5 s, delivered", _each(_message), "µs CPU"),
        ("programs: memory of a call that waits in the menu", _memory(), "KB"),
        ("programs: compile the attendant", _compile(), "ms CPU"),
    ]


def _each(call: Callable[[Stage], Coroutine[Any, Any, None]]) -> float:
    spent = 0.0

    async def play(stage: Stage) -> None:
        nonlocal spent
        await call(stage)
        started = time.process_time()
        for _ in range(_CALLS):
            await call(stage)
        spent = time.process_time() - started

    perform(play)
    return spent / _CALLS * 1e6


async def _attendant(stage: Stage) -> None:
    caller = stage.call("pbx", "pbx", called="200")
    await caller.hears("receptionprompt")
    caller.press("202")
    bob = await stage.next_call()
    bob.answered()
    await caller.told(f"= bridged with {bob.name}")
    bob.hang_up()
    await caller.ended()


async def _message(stage: Stage) -> None:
    caller = stage.call("voicemail", "bob")
    await caller.told("= records")
    await asyncio.sleep(5)
    caller.hang_up()
    await asyncio.sleep(1)


def _memory() -> float:
    octets = 0

    async def play(stage: Stage) -> None:
        nonlocal octets
        first = stage.call("pbx", "pbx", called="200")
        await first.hears("dialknownextension")
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        callers = [stage.call("pbx", "pbx", called="200") for _ in range(_WAITING)]
        for caller in callers:
            await caller.hears("dialknownextension")
        octets = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()

    perform(play)
    return octets / _WAITING / 1024


def _compile() -> float:
    source, table = stock_environment(None).read("reception.sppi") or b"", builtin_table()
    compile_program(source, "reception.sppi", table)
    started = time.process_time()
    for _ in range(10):
        compile_program(source, "reception.sppi", table)
    return (time.process_time() - started) / 10 * 1e3
