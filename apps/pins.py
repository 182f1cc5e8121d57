"""How often a service PIN may be guessed. Not here: the PIN, which the directory keeps sealed."""

from __future__ import annotations

from dataclasses import dataclass

# Limit: wrong PINs for one account within the window, from all calls together; 4 digits then last for months.
TRIES = 9
WINDOW = 900.0
# Limit: accounts remembered; the oldest are forgotten first.
REMEMBERED = 10_000


@dataclass(slots=True)
class _Count:
    since: float
    wrong: int


class PinGuard:
    """Counts wrong PINs per account."""

    def __init__(self) -> None:
        self._counts: dict[int, _Count] = {}

    def locked(self, account_id: int, now: float) -> bool:
        """Whether no PIN is looked at for now."""
        count = self._counts.get(account_id)
        if count is not None and now - count.since >= WINDOW:
            del self._counts[account_id]
            count = None
        return count is not None and count.wrong >= TRIES

    def wrong(self, account_id: int, now: float) -> None:
        """One more wrong PIN."""
        count = self._counts.pop(account_id, None) or _Count(now, 0)
        count.wrong += 1
        self._counts[account_id] = count
        if len(self._counts) > REMEMBERED:
            del self._counts[next(iter(self._counts))]

    def right(self, account_id: int) -> None:
        """The PIN was right: forget the wrong ones."""
        self._counts.pop(account_id, None)
