"""Where subscriptions outlive a crash: a new one is on the disk before its 200, what changes later within seconds.

It decides nothing: the notifier says what to keep. RFC 6665 §4.4.1; decision 16, as for registrations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from base.clock import Clock, Timer
from base.failures import Failure
from base.log import get_logger
from base.storage.database import Database
from pbx.presence import tables
from pbx.presence.tables import RESERVE, StoredSubscription
from pbx.sipcore.dialog import Dialog, DialogId

WRITE_BEHIND = 3.0
"""Limit: seconds in which a refresh may be forgotten by a crash."""

_log = get_logger("pbx.presence")


class SubscriptionStore:
    """The rows of one server's subscriptions."""

    def __init__(self, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database
        self._changed: dict[DialogId, StoredSubscription] = {}
        self._gone: set[DialogId] = set()
        self._numbers: dict[DialogId, int] = {}
        self._timer: Timer | None = None
        self._writing: set[asyncio.Task[None]] = set()

    async def load(self) -> Sequence[StoredSubscription]:
        """Make the table; what the last process left."""
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        rows = await self._database.write(partial(tables.load, now=self._clock.wall()))
        self._numbers = {row.id: row.local_cseq for row in rows}
        return rows

    async def close(self) -> None:
        """After a farewell there is nothing to keep."""
        if self._timer is not None:
            self._timer.cancel()
        while self._writing:
            await asyncio.wait(self._writing)
        try:
            await self._database.write(tables.clear)
        except Failure as failure:
            _log.error("subscriptions not cleared", cause=str(failure))

    async def store(self, row: StoredSubscription) -> None:
        """Raises Failure."""
        self._numbers[row.id] = row.local_cseq
        await self._database.write(partial(tables.save, put=(row,), drop=()))

    def later(self, row: StoredSubscription) -> None:
        """Write it within seconds."""
        self._numbers[row.id] = row.local_cseq
        self._changed[row.id] = row
        self._plan()

    def forget(self, dialog_id: DialogId) -> None:
        if self._numbers.pop(dialog_id, None) is not None:
            self._changed.pop(dialog_id, None)
            self._gone.add(dialog_id)
            self._plan()

    def spent(self, dialog: Dialog) -> bool:
        """Whether so many requests were sent in it that it should be written again."""
        return dialog.local_cseq - self._numbers.get(dialog.id, dialog.local_cseq) > RESERVE // 2

    def _plan(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_later(WRITE_BEHIND, self._write_behind)

    def _write_behind(self) -> None:
        self._timer = None
        put, drop = tuple(self._changed.values()), tuple(self._gone)
        self._changed, self._gone = {}, set()
        task = asyncio.get_running_loop().create_task(self._write(put, drop))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, put: Sequence[StoredSubscription], drop: Sequence[DialogId]) -> None:
        try:
            await self._database.write(partial(tables.save, put=put, drop=drop))
        except Failure as failure:
            _log.error("changed subscriptions not stored", count=len(put) + len(drop), cause=str(failure))
