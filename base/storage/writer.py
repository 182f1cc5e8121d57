"""The writer thread: group commit for a group of databases.

Whatever queued up while the last commit was on its way to the disk goes into the next one. Not a pool: SQLite has one
writer per database, and one thread keeps the order.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage.failing import translate

_log = get_logger("storage")

# Limit: writes in one commit. More would only lengthen the wait of the first.
_GROUP = 256
# Limit: writes that wait. Beyond, the caller hears "busy" and the peer tries again.
_WAITING = 20_000
# A checkpoint costs 14-28 ms (measured), so it runs when nobody has written for this long, in seconds.
_IDLE = 0.5


class Target(Protocol):
    """A database as the writer sees it."""

    @property
    def name(self) -> str: ...

    @property
    def connection(self) -> sqlite3.Connection: ...


@dataclass(slots=True)
class _Job:
    target: Target
    work: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]
    transaction: bool = True
    result: Any = None
    error: BaseException | None = None


class Writer:
    """One thread that writes. `start`, then `submit` from the loop's thread only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        self._loop = loop
        self._metrics = metrics
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self._dirty: dict[int, Target] = {}
        self._waiting = 0
        self._closed = False

    def start(self) -> None:
        self._thread.start()
        self._metrics.gauge("storage.waiting", lambda: float(self._waiting))

    def submit(
        self, target: Target, work: Callable[[sqlite3.Connection], Any], *, transaction: bool = True
    ) -> asyncio.Future[Any]:
        """Queue a write; the future resolves after the commit that holds it. With `transaction` false the work runs
        bare between two groups (closing a connection)."""
        if self._closed:
            raise Failure("unavailable", "the store is closed", temporary=True)
        if self._waiting >= _WAITING:
            self._metrics.count("storage.refused")
            raise Failure("busy", "the store is overloaded", temporary=True)
        self._waiting += 1
        job = _Job(target, work, self._loop.create_future(), transaction)
        self._queue.put(job)
        return job.done

    async def close(self) -> None:
        """Finish what waits, then end the thread."""
        if self._closed:
            return
        self._closed = True
        if self._thread.is_alive():
            self._queue.put(None)
            await self._loop.run_in_executor(None, self._thread.join)

    # ---- everything below runs in the writer thread -------------------------------------------------------------

    def _run(self) -> None:
        running = True
        while running:
            try:
                first = self._queue.get(timeout=_IDLE if self._dirty else None)
            except queue.Empty:
                self._checkpoint()
                continue
            jobs: list[_Job] = []
            while first is not None:
                jobs.append(first)
                if len(jobs) >= _GROUP or self._queue.empty():
                    break
                first = self._queue.get()
            running = first is not None
            self._group(jobs)
        self._checkpoint()

    def _group(self, jobs: list[_Job]) -> None:
        per_target: dict[int, list[_Job]] = {}
        for job in jobs:
            if job.transaction:
                per_target.setdefault(id(job.target), []).append(job)
            else:
                self._commit(per_target.pop(id(job.target), []))
                self._bare(job)
        for group in per_target.values():
            self._commit(group)
        if jobs:
            self._hand_back(jobs)

    def _hand_back(self, jobs: list[_Job]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, jobs)
        except RuntimeError:
            # The loop ended without closing the store. What is committed is committed; nobody waits any more.
            _log.warning("the loop ended before its writes", writes=len(jobs))

    def _bare(self, job: _Job) -> None:
        self._dirty.pop(id(job.target), None)
        try:
            job.result = job.work(job.target.connection)
        except sqlite3.Error as error:
            job.error = translate(error)
        except Exception as error:
            job.error = error

    def _commit(self, group: list[_Job]) -> None:
        """One transaction for these writes of one database."""
        if not group:
            return
        target = group[0].target
        connection = target.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in group:
                run_in_savepoint(connection, job)
            connection.execute("COMMIT")
            self._dirty[id(target)] = target
        except sqlite3.Error as error:
            self._lost(target, group, translate(error))

    def _lost(self, target: Target, group: list[_Job], error: Exception) -> None:
        """The whole transaction failed (disk full, I/O error): nobody in it was acknowledged, so all are told."""
        _log.error("commit failed", database=target.name, writes=len(group), error=str(error))
        if target.connection.in_transaction:
            try:
                target.connection.execute("ROLLBACK")
            except sqlite3.Error as second:
                _log.error("rollback failed", database=target.name, error=str(second))
        for job in group:
            if job.error is None:
                job.error, job.result = error, None

    def _checkpoint(self) -> None:
        targets, self._dirty = list(self._dirty.values()), {}
        for target in targets:
            try:
                target.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:
                _log.warning("checkpoint failed", database=target.name, error=str(error))

    # ---- and this in the loop's thread ---------------------------------------------------------------------------

    def _deliver(self, jobs: list[_Job]) -> None:
        self._waiting -= len(jobs)
        self._metrics.count("storage.writes", len(jobs))
        self._metrics.count("storage.groups")
        for job in jobs:
            if job.done.done():
                continue
            if job.error is not None:
                job.done.set_exception(job.error)
            else:
                job.done.set_result(job.result)


def run_in_savepoint(connection: sqlite3.Connection, job: _Job) -> None:
    """Run one write so that its failure leaves the others of the group alone.

    Raises sqlite3.Error only when SQLite itself gave up the whole transaction.
    """
    connection.execute("SAVEPOINT work")
    try:
        job.result = job.work(connection)
    except Exception as error:
        job.error = translate(error) if isinstance(error, sqlite3.Error) else error
        if not connection.in_transaction:
            raise sqlite3.OperationalError("the transaction was rolled back") from error
        connection.execute("ROLLBACK TO work")
    connection.execute("RELEASE work")
