"""Keeps a bounded number of accounts' databases open: the least recently used one that is idle is closed first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from base.clock import Clock
from base.failures import Failure
from base.metrics import Metrics
from base.storage.database import Database, Databases
from mail.store import tables

# Limit: databases open at a time; each holds a few file descriptors.
MAX_OPEN = 200


class _Entry:
    __slots__ = ("database", "ready", "users")

    def __init__(self) -> None:
        self.database: Database | None = None
        self.ready = asyncio.Lock()
        self.users = 0


class Opener:
    """Hands out an account's database, brought up to date and furnished."""

    def __init__(self, databases: Databases, clock: Clock, metrics: Metrics, *, limit: int = MAX_OPEN) -> None:
        self._databases = databases
        self._clock = clock
        self._metrics = metrics
        self._limit = limit
        self._entries: OrderedDict[int, _Entry] = OrderedDict()

    @asynccontextmanager
    async def use(self, account_id: int) -> AsyncIterator[Database]:
        """The database of that account; it stays open inside the block."""
        entry = self._entries.setdefault(account_id, _Entry())
        self._entries.move_to_end(account_id)
        entry.users += 1
        try:
            if entry.database is None:
                await self._open(account_id, entry)
            assert entry.database is not None
            yield entry.database
        finally:
            entry.users -= 1
            if len(self._entries) > self._limit:
                await self._close_idle()

    async def forget(self, account_id: int) -> None:
        """Delete that account's mail for good."""
        self._entries.pop(account_id, None)
        await self._databases.remove_mail(account_id)

    async def _open(self, account_id: int, entry: _Entry) -> None:
        async with entry.ready:
            if entry.database is not None:
                return
            database = await self._databases.mail(account_id)
            await database.migrate(tables.COMPONENT, tables.STEPS)
            if not await database.read(partial(tables.furnished, account_id=account_id)):
                await database.write(partial(tables.furnish, account_id=account_id, wall=self._clock.wall()))
            self._metrics.count("mail.databases_opened")
            entry.database = database

    async def _close_idle(self) -> None:
        for account_id, entry in tuple(self._entries.items()):
            if len(self._entries) <= self._limit:
                return
            if entry.users or entry.ready.locked() or self._entries.get(account_id) is not entry:
                continue
            del self._entries[account_id]
            if entry.database is not None:
                await self._close(entry.database)

    async def _close(self, database: Database) -> None:
        # What the caller did is committed: trouble in closing another's database is not his.
        try:
            await database.close()
        except Failure:
            self._metrics.count("mail.databases_not_closed")
