"""What accounts have published of themselves: soft state with entity tags and an end of time each.

A table without SIP. What is in it is stored before it is acknowledged, and outlives a restart.

RFC 3903 §6 (the steps), §4.1 (entity tags).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from base.clock import Clock, Timer
from base.entropy import Entropy
from base.storage.database import Database
from pbx.presence import tables
from pbx.presence.pidf import Presence
from pbx.presence.tables import StoredPublication

EACH = 10
"""Limit: publications of one account; the oldest goes, as phones that restart forget theirs."""


@dataclass(slots=True)
class _Publication:
    etag: str
    presence: Presence
    expires_at: float
    timer: Timer


class Publications:
    """All of one server."""

    def __init__(self, clock: Clock, entropy: Entropy, database: Database) -> None:
        self._clock = clock
        self._entropy = entropy
        self._database = database
        self._table: dict[int, dict[str, _Publication]] = {}
        self.on_change: Callable[[int], None] = lambda _account_id: None

    async def start(self) -> None:
        """Take up what was published before a restart; the table is made by then."""
        now = self._clock.wall()
        for row in await self._database.write(partial(tables.load_publications, now=now)):
            self._add(row.account_id, row.etag, row.presence, row.expires_at - now)

    async def store(self, account_id: int) -> None:
        """Returns when what the account publishes is on the disk. Raises Failure."""
        rows = [
            StoredPublication(account_id, one.etag, one.expires_at, one.presence)
            for one in self._table.get(account_id, {}).values()
        ]
        await self._database.write(partial(tables.save_publications, account_id=account_id, now=rows))

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
            self._add(account_id, new, state, seconds)
        while len(mine) > EACH:
            mine.pop(next(iter(mine))).timer.cancel()
        self._changed(account_id)
        return new

    def _add(self, account_id: int, etag: str, presence: Presence, seconds: float) -> None:
        timer = self._clock.call_later(seconds, lambda: self._expired(account_id, etag))
        made = _Publication(etag, presence, self._clock.wall() + seconds, timer)
        self._table.setdefault(account_id, {})[etag] = made

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
