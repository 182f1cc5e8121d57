"""`make simulate SEED=… HOURS=…`: replay one seed and tell its story, or run on from it until a fault is found."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Sequence

from tests.simulation.many import Sum, cores, tell_all
from tests.simulation.story import run

_EPILOG = """
  make simulate SEED=7             replay seed 7: what passed over the wire, what befell, and whether all held
  make simulate SEED=7 HOURS=100   run seeds 7, 8, 9 … until they have come to 100 hours of talking
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all held; 1: a fault; 2: a wrong argument."""
    parser = argparse.ArgumentParser(
        prog="make simulate",
        description="Run the whole server with its telephones in virtual time, all from one seed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="make simulate SEED=number [HOURS=call hours]",
    )
    parser.add_argument("--seed", type=_seed, required=True, metavar="SEED", help="a whole number from 0")
    parser.add_argument("--hours", type=_hours, metavar="HOURS", help="hours of talking to simulate, above 0")
    parser.add_argument("--jobs", type=int, default=cores(), help=argparse.SUPPRESS)
    wanted = parser.parse_args(arguments)
    if wanted.hours is None:
        return replay(wanted.seed)
    return run_on(wanted.seed, wanted.hours, wanted.jobs)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"SEED must be a whole number from 0, not {text!r}")
    return int(text)


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0.0 < hours < 1e9:
        raise argparse.ArgumentTypeError(f"HOURS must be a number above 0, not {text!r}")
    return hours


def replay(seed: int) -> int:
    """One seed, with its whole story."""
    story = run(seed)
    for line in story.lines:
        print(line)
    calls = ", ".join(f"{number} {kind}" for kind, number in story.outcomes.most_common()) or "none"
    print(f"\nseed {seed}: {story.passed:.0f} s of the town, {story.talked:.0f} s of talking; calls: {calls}")
    return _verdict(seed, story.faults)


def _verdict(seed: int, faults: Sequence[str]) -> int:
    for fault in faults:
        print(f"FAULT: {fault}")
    print(f"seed {seed}: {len(faults)} faults" if faults else f"seed {seed}: all that must hold holds")
    return 1 if faults else 0


def run_on(seed: int, hours: float, jobs: int) -> int:
    """Seeds from this one on, over all cores, until so many call hours are done or one fails."""
    total, told = Sum(), time.monotonic()
    runs = tell_all(itertools.count(seed), jobs)
    for one in runs:
        total.add(one)
        if one.faults or total.talked >= hours * 3600.0:
            break
        if time.monotonic() - told > 5.0:
            told = time.monotonic()
            print(total, file=sys.stderr, flush=True)
    runs.close()
    print(total)
    for failing, faults in total.failing.items():
        _verdict(failing, faults)
        print(f"make simulate SEED={failing} replays it")
    return 1 if total.failing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
