"""One run of a simulated town from its seed, and what became of it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from tests.simulation import lamps
from tests.simulation.checks import check
from tests.simulation.server import founded
from tests.simulation.town import Town
from tests.simulation.virtual import VirtualLoop, simulate
from tests.simulation.watch import Sent

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Files of a run are gone after it and need no disk."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happened in a run. `talked` and `passed` are virtual seconds: of calls, and of the town."""

    seed: int
    faults: tuple[str, ...]
    sent: tuple[Sent | str, ...]
    outcomes: Counter[str]
    messages: int
    talked: float
    passed: float

    @property
    def lines(self) -> list[str]:
        """All that passed over the wire or befell the town, in words."""
        return [str(sent) for sent in self.sent]


def run(seed: int) -> Story:
    """One run from its seed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))
        logs = stack.enter_context(capture_logs(processors=(format_exc_info,)))
        contents = founded()
        logs.clear()
        return simulate(_play(seed, folder, logs, contents))


async def _play(seed: int, folder: Path, logs: list[Any], contents: Mapping[str, bytes]) -> Story:
    town = Town(seed, folder, contents)
    try:
        await town.open()
        await town.live()
        records, messages = await town.records(), await town.messages()
        faults = check(town, records, messages)
        if town.server.up and (stored := await lamps.count_stored(town.house)):
            faults.append(f"{stored} stored subscriptions left")
        faults += [f"task left: {name}" for name in _tasks(town, town.server.standing)]
        outcomes = Counter(record.outcome + (f" {record.program}" if record.program else "") for record in records)
        if town.server.up:
            await town.server.stop()
        faults += [f"task left at the end: {name}" for name in _tasks(town, set())]
        faults = [*town.watch.faults, *faults, *_logged(logs), *_uncaught()]
        talked = sum(leg.talked for phone in town.phones for leg in phone.placed)
        return Story(seed, tuple(faults), tuple(town.watch.story), outcomes, messages, talked, town.clock.now())
    finally:
        town.server.discard()


def _tasks(town: Town, before: set[asyncio.Task[Any]]) -> list[str]:
    """Tasks of the living that are new."""
    dead = {task for ended in town.server.former if ended.life.over for task in ended.life.tasks}
    known = before | dead | {asyncio.current_task()}
    return sorted(task.get_name() for task in asyncio.all_tasks() if task not in known and not task.done())


def _logged(logs: list[Any]) -> list[str]:
    return [
        f"log: {line.pop('exception', '')} {line}"
        for line in logs
        if line["log_level"] in ("error", "critical") or "exception" in line
    ]


def _uncaught() -> list[str]:
    loop = asyncio.get_running_loop()
    return list(loop.faults) if isinstance(loop, VirtualLoop) else []
