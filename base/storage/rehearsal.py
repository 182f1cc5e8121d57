"""Many writes that count together: tried on a copy of the tables, then done in one transaction, or not at all.

SQLite only, as far as the copy goes; what is performed is the same work on whatever the database is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from base.failures import Failure
from base.storage.database import Database, Work
from base.storage.inline import InlineDatabase

T = TypeVar("T")

_Rows = list[tuple[object, ...]]
_SEQUENCES = "sqlite_sequence"


class Rehearsal(InlineDatabase):
    """A copy in memory that remembers what is written to it. Made by `of`; give it back with `discard`."""

    def __init__(self, tables: Sequence[str], before: dict[str, _Rows]) -> None:
        super().__init__("rehearsal")
        self._tables = tables
        self._before = before
        self._works: list[Work[object]] = []

    @classmethod
    async def of(cls, database: Database, tables: Sequence[str]) -> Rehearsal:
        """A copy of these tables, with the numbers that their rows would get."""

        def copied(connection: sqlite3.Connection) -> tuple[list[str], dict[str, _Rows]]:
            names = ", ".join("?" * len(tables))
            query = f"SELECT sql FROM sqlite_master WHERE tbl_name IN ({names}) AND sql IS NOT NULL ORDER BY rowid"
            return [sql for (sql,) in connection.execute(query, list(tables))], _contents(connection, tables)

        schema, rows = await database.read(copied)
        copy = cls(tables, rows)
        copy.connection.executescript(";\n".join(schema))
        copy.connection.execute("PRAGMA defer_foreign_keys = ON")
        copy.connection.execute("BEGIN")
        for table, values in rows.items():
            if values:
                places = ", ".join("?" * len(values[0]))
                copy.connection.executemany(f"INSERT INTO {table} VALUES ({places})", values)
        copy.connection.execute("COMMIT")
        return copy

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result = await super().write(work)
        self._works.append(work)
        return result

    async def migrate(self, component: str, steps: Sequence[str]) -> None:
        """Its tables are those of the database, which is up to date."""

    async def perform(self, database: Database, then: Callable[[sqlite3.Connection], T]) -> T:
        """Do all that was rehearsed, and return what `then` reads in the same transaction: pictures in memory that are
        made of it follow all earlier writes and precede all later ones.

        Raises Failure("busy") when somebody has changed the tables since.
        """

        def work(connection: sqlite3.Connection) -> T:
            if _contents(connection, self._tables) != self._before:
                raise Failure("busy", "something was changed in the meantime: try again", temporary=True)
            for each in self._works:
                each(connection)
            return then(connection)

        return await database.write(work)


def _contents(connection: sqlite3.Connection, tables: Sequence[str]) -> dict[str, _Rows]:
    found = {table: connection.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall() for table in tables}
    names = ", ".join("?" * len(tables))
    query = f"SELECT * FROM {_SEQUENCES} WHERE name IN ({names}) ORDER BY name"
    return {_SEQUENCES: connection.execute(query, list(tables)).fetchall(), **found}
