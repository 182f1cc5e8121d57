"""A long row of seeds over all cores: told while it runs, gone on with after a fault, written down at its end.

Seeds are done in their order, so that a row that was broken off goes on from the seed after its last.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from tests.simulation.many import Sum, Told, cores, tell_all

FIRST = 1_000_001
MOST_FAULTS = 20
"""Failing seeds after which a row ends: more tell nothing new."""
PAUSE = 10.0
"""Seconds between two lines."""
FOLDER = Path(__file__).parents[2] / "docs" / "proof"


def row(text: str) -> range:
    """`1000001:1020000` are these seeds, both included; `500` are as many from `FIRST` on. Raises ValueError."""
    first, colon, last = text.partition(":")
    seeds = range(int(first), int(last) + 1) if colon else range(FIRST, FIRST + int(first))
    if not seeds or seeds.start < 0:
        raise ValueError(f"no seeds: {text!r}")
    return seeds


def prove(seeds: range, say: Callable[[str], None], *, jobs: int = 0, folder: Path = FOLDER) -> Sum:
    """Run them all, or until `MOST_FAULTS` have failed. The summary is added to the day's file in `folder`, also when
    the run is broken off."""
    total, told = Sum(), time.monotonic()
    with closing(tell_all(seeds, jobs or cores())) as runs:
        try:
            for one in runs:
                total.add(one)
                if one.faults:
                    say(fault(one))
                if len(total.failing) >= MOST_FAULTS:
                    say(f"{MOST_FAULTS} seeds have failed: enough")
                    break
                if time.monotonic() - told >= PAUSE:
                    told = time.monotonic()
                    say(_progress(total, seeds))
        finally:
            summary = summed(total, seeds)
            say(summary)
            write_down(summary, folder)
    return total


def fault(one: Told) -> str:
    """What failed, and how to see it again."""
    return "\n  ".join((f"FAULT in seed {one.seed}; make simulate SEED={one.seed} replays it", *one.faults))


def _progress(total: Sum, seeds: range) -> str:
    left = (time.monotonic() - total.began) / total.runs * (len(seeds) - total.runs)
    return (
        f"{total.runs} of {len(seeds)} seeds, {len(total.failing)} failing,"
        f" {_rate(total):,.0f} call hours per CPU hour, {left / 60:.0f} min left"
    )


def _rate(total: Sum) -> float:
    return total.talked / max(1e-9, total.spent)


def summed(total: Sum, seeds: range) -> str:
    """One run in a few lines."""
    last = seeds.start + total.runs - 1
    failing = f"failing: {', '.join(map(str, total.failing))}" if total.failing else "none failing"
    short = (
        "" if last == seeds[-1] else f" (of {seeds[0]}..{seeds[-1]}; go on with TANDEM_SEEDS={last + 1}:{seeds[-1]})"
    )
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}: seeds {seeds[0]}..{last}{short}, {failing}\n"
        f"  {total.runs} seeds, {total.outcomes.total()} calls, {total.messages} voice messages, "
        f"{total.talked / 3600:,.1f} call hours in {total.spent / 3600:.2f} CPU hours ({_rate(total):,.0f} to one), "
        f"{total.spent / max(1, total.runs):.3f} CPU s a seed\n"
        f"  {', '.join(f'{kind}: {number}' for kind, number in total.outcomes.most_common())}"
    )


def _commit() -> str:
    """With a + when files differ from it."""
    git = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*")
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def write_down(summary: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{datetime.now(UTC):%Y-%m-%d}-simulation.txt").open("a") as file:
        file.write(summary + "\n")
