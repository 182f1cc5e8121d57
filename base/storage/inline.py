"""Databases in memory, on the loop's own thread, with commit and crash: for simulations and unit tests.

Not durable. `crash` behaves like a kill -9: what was committed stays, what waits is never done.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from base.failures import Failure
from base.storage import migrations
from base.storage.failing import translate

T = TypeVar("T")


class InlineDatabase:
    """One database in memory. `latency` seconds (of the running loop's time) pass before each commit, and again until
    its writer hears of it."""

    def __init__(self, name: str = "memory", *, latency: float = 0.0) -> None:
        self.name = name
        self.latency = latency
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA foreign_keys = ON")
        self._life = 0
        self._last: asyncio.Future[None] | None = None
        self.closed = False

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._open()
        life, before = self._life, self._last
        mine = self._last = asyncio.get_running_loop().create_future()
        try:
            if before is not None and not before.done():
                await asyncio.wait([before])
            await asyncio.sleep(self.latency)
            if life != self._life:
                raise Failure("unavailable", "the store crashed", temporary=True)
            result = self._transaction(work)
            if self.latency:
                await asyncio.sleep(self.latency)
            return result
        finally:
            if not mine.done():
                mine.set_result(None)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._open()
        await asyncio.sleep(0)
        self.connection.execute("PRAGMA query_only = ON")
        try:
            return work(self.connection)
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            self.connection.execute("PRAGMA query_only = OFF")

    async def migrate(self, component: str, steps: Sequence[str]) -> None:
        await self.write(partial(migrations.migrate, component=component, steps=steps))

    async def close(self) -> None:
        """Let what waits finish. The data stays for whoever opens it again from the same `InlineDatabases`."""
        if self._last is not None and not self._last.done():
            await asyncio.wait([self._last])

    def crash(self) -> None:
        """Forget every write that has not been committed."""
        self._life += 1
        self._last = None

    def discard(self) -> None:
        self.closed = True
        self.connection.close()

    def _open(self) -> None:
        if self.closed:
            raise Failure("unavailable", "the store is closed", temporary=True)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self.connection)
            self.connection.execute("COMMIT")
            return result
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")


class InlineDatabases:
    """All databases of one simulated server; they outlive a simulated crash. `contents` is what they begin with."""

    def __init__(self, *, latency: float = 0.0, contents: Mapping[str, bytes] | None = None) -> None:
        self._latency = latency
        self._contents = contents or {}
        self._open: dict[str, InlineDatabase] = {}

    async def main(self) -> InlineDatabase:
        return self._named("main")

    async def mail(self, account_id: int) -> InlineDatabase:
        return self._named(f"mail/{account_id}")

    def opened(self, account_id: int) -> bool:
        """Whether anybody has asked for the mail of that account."""
        return f"mail/{account_id}" in self._open

    async def remove_mail(self, account_id: int) -> None:
        database = self._open.pop(f"mail/{account_id}", None)
        if database is not None:
            database.discard()

    async def close(self) -> None:
        for database in self._open.values():
            await database.close()

    def crash(self) -> None:
        """Kill -9 for all of them."""
        for database in self._open.values():
            database.crash()

    def contents(self) -> dict[str, bytes]:
        """What is committed, by name, for others to begin with."""
        return {name: database.connection.serialize() for name, database in self._open.items()}

    def discard(self) -> None:
        """Give the memory back at the end of a test (an unclosed connection is a warning)."""
        for database in self._open.values():
            database.discard()
        self._open.clear()

    def _named(self, name: str) -> InlineDatabase:
        if name not in self._open:
            database = self._open[name] = InlineDatabase(name, latency=self._latency)
            if name in self._contents:
                database.connection.deserialize(self._contents[name])
        return self._open[name]
