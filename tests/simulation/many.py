"""Many seeds over all cores: each run told in short, as soon as it is done."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from tests.simulation.story import run


@dataclass(frozen=True, slots=True)
class Told:
    """A run in short. Times are seconds: `talked` and `passed` virtual ones, `spent` those of the processor."""

    seed: int
    faults: tuple[str, ...]
    outcomes: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    talked: float = 0.0
    passed: float = 0.0
    spent: float = 0.0


@dataclass(slots=True)
class Sum:
    """What many runs come to."""

    runs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    talked: float = 0.0
    passed: float = 0.0
    spent: float = 0.0
    began: float = field(default_factory=time.monotonic)
    failing: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def add(self, told: Told) -> None:
        self.runs += 1
        self.outcomes += told.outcomes
        self.messages += told.messages
        self.talked += told.talked
        self.passed += told.passed
        self.spent += told.spent
        if told.faults:
            self.failing[told.seed] = told.faults

    def __str__(self) -> str:
        passed, spent = max(1e-9, time.monotonic() - self.began), max(1e-9, self.spent)
        return (
            f"{self.runs} seeds in {passed:.0f} s ({self.runs / passed:.1f} a second),"
            f" {sum(self.outcomes.values())} calls, {self.messages} messages, {self.talked / 3600:.1f} call hours"
            f" ({self.talked / spent:.0f} per CPU hour, {self.passed / spent:.0f} hours of the town),"
            f" {len(self.failing)} failing"
        )


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def tell(seed: int) -> Told:
    """One run; an exception out of it is a fault as well."""
    began = time.process_time()
    try:
        story = run(seed)
    except Exception:
        return Told(seed, (f"the run broke off: {traceback.format_exc()}",))
    spent = time.process_time() - began
    return Told(seed, story.faults, story.outcomes, story.messages, story.talked, story.passed, spent)


def tell_all(seeds: Iterable[int], jobs: int) -> Generator[Told, None, None]:
    """Runs of these seeds, in their order. Closing the generator ends all."""
    if jobs <= 1:
        yield from map(tell, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=_begin) as pool:
        yield from pool.imap(tell, seeds, chunksize=4)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    tell(1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)  # a run leaves some ten thousand objects in circles
