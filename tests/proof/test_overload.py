"""Ten times what the server can do: it goes on doing nearly all that it can, the rest hears 503 or nothing, and who
talks notices nothing.

The machine may be busy with other things. So what the server can do is measured in calls for a second of its own work,
before and after each load, and what it did is compared with the time that the machine left to it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pytest

from bench import sipp
from tests.proof.load import Load, Window, loaded_house
from tests.proof.talking import Heard

pytestmark = [
    pytest.mark.proof,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not sipp.installed(), reason="sipp is not installed"),
]

SECONDS = 7
"""Of a load; the first and the last of them are not counted."""
LIMIT = 25
"""Calls a second where there is a limit: a fifth of what a processor can do."""
EASY = 0.7
"""Share of the capacity at which it is measured."""
SHARES = {3: 0.95, 10: 0.7}
"""What must be kept under so many times the capacity."""
ROUNDS = (3, 5)
"""Loads of each kind, and at most, of which the middle one counts."""
BEAT = 20.0
"""Milliseconds that one packet in a hundred may take longer under load than without."""


class Scales:
    """What was kept of the capacity in each load so far."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._easy = load.offer(40, SECONDS)
        self.kept: dict[int, list[float]] = {times: [] for times in SHARES}
        self.heard: list[Heard] = []

    def weigh(self, times: int) -> None:
        """Between two measures of the capacity, offer a multiple of what the machine left to the server."""
        before = self._easy
        loaded = self._load.offer(times * before.capacity * before.given, SECONDS)
        self._easy = self._load.offer(EASY * before.capacity * loaded.given, SECONDS)
        capacity = (before.capacity + self._easy.capacity) / 2
        self.kept[times].append(loaded.completed / (capacity * loaded.given))
        self.heard.append(loaded.heard)
        self._load.said.append(f"{times} times {capacity:.0f}/s: {self.kept[times][-1]:.0%} kept")

    def enough(self) -> bool:
        """In the middle load of each kind. A call costs less where many come together: so the heavier load must stand
        beside the lighter one as well, where that came to more than the capacity."""
        middle = {times: statistics.median(kept) for times, kept in self.kept.items()}
        best = max(1.0, *middle.values())
        return middle[3] >= SHARES[3] and middle[10] >= SHARES[10] * best


def unhurt(heard: Sequence[Heard], quiet: Heard) -> bool:
    """Nothing lost, and in the middle load as punctual as without any."""
    return not any(each.lost for each in heard) and statistics.median(e.way for e in heard) <= quiet.way + BEAT


def test_what_can_be_done_is_done_under_ten_times_the_load() -> None:
    with loaded_house() as load:
        quiet = load.quiet(SECONDS)
        scales = Scales(load)
        for rounds in range(1, ROUNDS[1] + 1):
            for times in SHARES:
                scales.weigh(times)
            if rounds >= ROUNDS[0] and scales.enough():
                break
        said = "\n".join(load.said)
        assert scales.enough(), said
        assert unhurt(scales.heard, quiet), said
        print(said)


def test_a_limit_is_kept_from_both_sides() -> None:
    """As many calls as are set are let in, not fewer, whatever more is offered; the others hear 503."""
    with loaded_house(f"admission = {LIMIT}") as load:
        quiet = load.quiet(SECONDS)
        windows: list[Window] = []
        for times, share in SHARES.items():
            windows.append(load.offer(times * LIMIT, SECONDS))
            said = "\n".join(load.said)
            assert share * LIMIT <= windows[-1].completed <= 1.05 * LIMIT, said
            assert windows[-1].refused >= 0.9 * (times - 1) * LIMIT, said
        assert unhurt([window.heard for window in windows], quiet), "\n".join(load.said)
        print("\n".join(load.said))
