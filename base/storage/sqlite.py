"""Databases in SQLite files: WAL, synchronous FULL, one writer thread, a few reading threads.

Durability: `write` returns after fsync of the log (synchronous FULL). A killed process loses nothing that was
acknowledged; SQLite replays its log at the next open.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from base.storage import migrations
from base.storage.failing import translate
from base.storage.writer import Writer

T = TypeVar("T")

_log = get_logger("storage")

_READERS = 3
# Limit: pages in the log before SQLite itself checkpoints inside a commit (16 MB); normally we do it when idle.
_AUTOCHECKPOINT = 4000


def connect(path: Path, *, reader: bool = False) -> sqlite3.Connection:
    """A connection as we want it. Only one thread at a time uses it; which one may change."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA foreign_keys = ON")
    if reader:
        connection.execute("PRAGMA query_only = ON")
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT}")
    return connection


class SqliteDatabase:
    """One file. Made by `SqliteDatabases`, which owns the threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection, writer: Writer, readers: ThreadPoolExecutor) -> None:
        self.path = path
        self.connection = connection
        self._writer = writer
        self._readers = readers
        self._idle: list[sqlite3.Connection] = []
        self._reading = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.closed = False

    @property
    def name(self) -> str:
        return self.path.name

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._open()
        # Shielded: when the caller is cancelled, the write still happens and nobody else is disturbed.
        result: T = await asyncio.shield(self._writer.submit(self, work))
        return result

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._open()
        self._reading += 1
        self._quiet.clear()
        reading = asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)
        reading.add_done_callback(self._read_done)
        return await reading

    async def migrate(self, component: str, steps: Sequence[str]) -> None:
        await self.write(partial(migrations.migrate, component=component, steps=steps))

    async def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        await self._quiet.wait()
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        await self._writer.submit(self, sqlite3.Connection.close, transaction=False)

    def _open(self) -> None:
        if self.closed:
            raise Failure("unavailable", "the store is closed", temporary=True)

    def _read_done(self, _: asyncio.Future[T]) -> None:
        self._reading -= 1
        if not self._reading:
            self._quiet.set()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """In a reader thread. list.pop and list.append are atomic: a connection is never in two hands."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self.path, reader=True)
        try:
            connection.execute("BEGIN")
            return work(connection)
        except sqlite3.Error as error:
            raise translate(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)


class SqliteDatabases:
    """The files of one data folder: `main.db` and `mail/<account id>.db`."""

    def __init__(self, folder: Path, metrics: Metrics, *, readers: int = _READERS) -> None:
        self._folder = folder
        self._metrics = metrics
        self._reader_count = readers
        self._writer: Writer | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._open: dict[Path, SqliteDatabase] = {}
        self._opening = asyncio.Lock()

    async def start(self) -> None:
        """Start the threads. Harmless when they run."""
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._readers = ThreadPoolExecutor(self._reader_count, thread_name_prefix="storage-reader")
            self._writer = Writer(asyncio.get_running_loop(), self._metrics)
            self._writer.start()

    async def main(self) -> SqliteDatabase:
        return await self.open(self._folder / "main.db")

    async def mail(self, account_id: int) -> SqliteDatabase:
        return await self.open(self._mail_path(account_id))

    async def remove_mail(self, account_id: int) -> None:
        path = self._mail_path(account_id)
        async with self._opening:
            database = self._open.pop(path, None)
            if database is not None:
                await database.close()
            await asyncio.get_running_loop().run_in_executor(self._readers, _delete, path)

    async def open(self, path: Path) -> SqliteDatabase:
        """Open or make the database at `path`. Raises Failure("unavailable") when that is not possible."""
        async with self._opening:
            found = self._open.get(path)
            if found is not None and not found.closed:
                return found
            await self.start()
            assert self._writer is not None
            assert self._readers is not None
            connection = await asyncio.get_running_loop().run_in_executor(self._readers, _create, path)
            database = SqliteDatabase(path, connection, self._writer, self._readers)
            self._open[path] = database
            return database

    async def close(self) -> None:
        async with self._opening:
            for database in self._open.values():
                await database.close()
            self._open.clear()
            if self._writer is not None:
                await self._writer.close()
            if self._readers is not None:
                self._readers.shutdown(wait=True)
            self._writer = self._readers = None

    def _mail_path(self, account_id: int) -> Path:
        return self._folder / "mail" / f"{int(account_id)}.db"


def _create(path: Path) -> sqlite3.Connection:
    """In a reader thread: make the folder and the file so that only its owner reads it, then open it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            # The names of the file and of its folder must outlive a power cut as well as the rows do.
            _sync_folder(path.parent)
            _sync_folder(path.parent.parent)
        return connect(path)
    except OSError as error:
        raise Failure("unavailable", f"cannot open {path}", private=str(error)) from error
    except sqlite3.Error as error:
        raise translate(error) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
