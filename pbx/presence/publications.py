"""What accounts have published of themselves: soft state with entity tags and an end of time each.

A table without SIP. Not stored: after a restart a refresh gets 412 and the phone publishes anew (RFC 3903 §5).

RFC 3903 §6 (the steps), §4.1 (entity tags).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from base.clock import Clock, Timer
from base.entropy import Entropy
from pbx.presence.pidf import Presence

EACH = 10
"""Limit: publications of one account; the oldest goes, as phones that restart forget theirs."""


@dataclass(slots=True)
class _Publication:
    etag: str
    presence: Presence
    timer: Timer


class Publications:
    """All of one server."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._table: dict[int, dict[str, _Publication]] = {}
        self.on_change: Callable[[int], None] = lambda _account_id: None

    def of(self, account_id: int) -> Sequence[Presence]:
        """What holds now, the oldest first."""
        return [one.presence for one in self._table.get(account_id, {}).values()]

    def has(self, account_id: int, etag: str) -> bool:
        return etag in self._table.get(account_id, {})

    def put(self, account_id: int, presence: Presence | None, seconds: int, etag: str = "") -> str:
        """Publish, refresh (no `presence`), change, or with 0 seconds remove. `etag`: of the publication there was.

        Gives the new entity tag: every success makes one (RFC 3903 §6 step 5).
        """
        mine = self._table.setdefault(account_id, {})
        before = mine.pop(etag, None)
        if before is not None:
            before.timer.cancel()
        state = presence if presence is not None else None if before is None else before.presence
        new = self._entropy.token(10)
        if seconds and state is not None:
            timer = self._clock.call_later(seconds, lambda: self._expired(account_id, new))
            mine[new] = _Publication(new, state, timer)
        while len(mine) > EACH:
            mine.pop(next(iter(mine))).timer.cancel()
        self._changed(account_id)
        return new

    def _expired(self, account_id: int, etag: str) -> None:
        if self._table.get(account_id, {}).pop(etag, None) is not None:
            self._changed(account_id)

    def _changed(self, account_id: int) -> None:
        if not self._table.get(account_id):
            self._table.pop(account_id, None)
        self.on_change(account_id)

    def close(self) -> None:
        for mine in self._table.values():
            for one in mine.values():
                one.timer.cancel()
        self._table.clear()

    def __len__(self) -> int:
        return sum(len(mine) for mine in self._table.values())
