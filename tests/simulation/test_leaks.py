"""What calls leave behind in memory: nothing but what is bounded and remembered on purpose."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pbx.b2bua.call import Call
from pbx.b2bua.exchange import Exchange
from tests.simulation.census import census
from tests.simulation.draws import draw_plan
from tests.simulation.network import Weather
from tests.simulation.server import founded
from tests.simulation.town import Town
from tests.simulation.virtual import simulate

SEED = 3
CALLS = 40
REMEMBERED = (
    "apps.environment.Folders._digests",  # one for each file that is there
    "pbx.presence.lines.Lines._endings",
    "pbx.sipcore.digest.DigestServer._used",
    "pbx.transport.admission.Admission._fates",
    "pbx.transport.admission._Known",
)
"""Bounded memories that are not full yet; each has its own test."""


async def _round(town: Town) -> Counter[str]:
    """The same calls as in each round, until all has come to rest; what there is then."""
    chance = random.Random(SEED)
    for _ in range(CALLS):
        town._place(draw_plan(chance))
        await asyncio.sleep(chance.choice((0.0, 0.3, 4.0)))
    for placed in town.placed:
        await placed.done.wait()
    for leg in [leg for phone in town.phones for leg in phone.open_legs]:
        while not leg.ended:
            await asyncio.sleep(1.0)
    await asyncio.sleep(400.0)
    await _forget(town)
    return census()


async def _forget(town: Town) -> None:
    """What the town itself keeps of its calls, to tell of them."""
    for phone in town.phones:
        for leg in phone.legs:
            await leg.socket.close()
        phone.legs.clear()
    town._voices.clear()
    town.studio.streams.clear()
    town.server.life.tasks = {task for task in town.server.life.tasks if not task.done()}
    watch = town.watch
    for kept in (watch.story, watch.proved, watch._began, watch._arrived, watch._asked, watch._finals, watch._rung):
        kept.clear()


async def _grown(folder: Path, contents: Mapping[str, bytes]) -> dict[str, int]:
    town = Town(SEED, folder, contents)
    town.network.weather = Weather()
    try:
        await town.open()
        for phone in town.phones:
            phone.start()
        await town._settle_in()
        await _round(town)
        before = await _round(town)
        after = await _round(town)
        answered = town.server.counted("calls.answered")
        await town.server.stop()
    finally:
        town.server.discard()
    assert answered > CALLS, "there were calls"
    return {name: after[name] - before[name] for name in after if after[name] > before[name] and name not in REMEMBERED}


def _run() -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder, capture_logs():
        contents = founded()
        return simulate(_grown(Path(folder), contents))


def test_the_same_calls_again_leave_nothing_more_behind() -> None:
    assert _run() == {}


def test_a_leak_is_seen_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Call] = []
    leave = Exchange.leave

    def keeping(exchange: Exchange, call: Call) -> None:
        kept.append(call)
        leave(exchange, call)

    monkeypatch.setattr(Exchange, "leave", keeping)
    assert "pbx.b2bua.call.Call" in _run()
