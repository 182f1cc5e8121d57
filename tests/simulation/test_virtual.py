"""The virtual loop keeps the promises that simulations stand on."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.simulation.virtual import Deadlock, simulate


def test_an_hour_passes_in_an_instant() -> None:
    async def play() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    started = time.process_time()
    assert simulate(play()) == pytest.approx(3600)
    assert time.process_time() - started < 5


def test_a_deadlock_is_told() -> None:
    async def play() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        simulate(play())
