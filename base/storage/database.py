"""The contract of a store: rows, transactions, migrations. It has never heard of a mailbox or a registration.

Not an object mapper: a write is a function that gets a connection. `sqlite.SqliteDatabases` keeps files, and
`inline.InlineDatabases` keeps memory for tests and simulations.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]


class Database(Protocol):
    """One database."""

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction and return its result once that is on the disk (RFC-grade "OK": after COMMIT).

        Writes keep their order. Several may share one commit, each in a SAVEPOINT of its own: what `work` raises
        undoes this write only and is raised here. `work` runs in another thread: it touches the connection and its
        own arguments and nothing else, and neither commits nor rolls back. A cancelled caller does not undo a write.

        Raises Failure: "full" (disk or quota), "unavailable" (I/O error, closed), "busy" (too much waits; temporary).
        sqlite3.IntegrityError comes through as it is.
        """

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on a connection that cannot write; it sees everything committed, in one snapshot."""

    async def migrate(self, component: str, steps: Sequence[str]) -> None:
        """Bring the tables of `component` to version `len(steps)`; each step is an SQL script, never changed later.

        Raises Failure("newer") when the database was written by a newer program.
        """

    async def close(self) -> None:
        """Let waiting writes finish and close; harmless twice."""


class Databases(Protocol):
    """All databases of one server: `main.db`, and one for each account's mail."""

    async def main(self) -> Database:
        """Directory, bindings, queue, records."""

    async def mail(self, account_id: int) -> Database:
        """The mail of one account; made when it is not there. The same object while it stays open."""

    async def remove_mail(self, account_id: int) -> None:
        """Delete that database for good."""

    async def close(self) -> None:
        """Close all."""
