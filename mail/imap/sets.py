"""Sequence sets: `1:3,7,9:*` (RFC 3501 §9), against the numbers that a mailbox has."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_NUMBER = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as written; None is `*`, the largest number in use."""

    ranges: tuple[tuple[int | None, int | None], ...]

    def among(self, numbers: Sequence[int]) -> list[int]:
        """Those of `numbers` (ascending) that are in the set, ascending."""
        if not numbers:
            return []
        largest = numbers[-1]
        chosen: set[int] = set()
        for first, last in self.ranges:
            low, high = sorted((largest if first is None else first, largest if last is None else last))
            if low <= numbers[0] and high >= largest:
                return list(numbers)
            chosen.update(numbers[bisect_left(numbers, low) : bisect_right(numbers, high)])
        return sorted(chosen)


def written(numbers: Iterable[int]) -> bytes:
    """Ascending numbers as a set: 1, 2, 3, 7 → `1:3,7`."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in runs)
