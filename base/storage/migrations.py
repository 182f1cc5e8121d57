"""Numbered migrations: each component of the server has its own row of steps in one database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from base.failures import Failure

_TABLE = "CREATE TABLE IF NOT EXISTS schema_version (component TEXT PRIMARY KEY, version INTEGER NOT NULL)"


def statements(script: str) -> Iterator[str]:
    """The single statements of an SQL script (`executescript` would commit under our feet)."""
    pending = ""
    # A semicolon in a comment, a string or a trigger ends nothing: SQLite itself tells what is whole.
    for part in script.split(";"):
        pending += part + ";"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip(" \t\r\n;"):
        yield pending


def version(connection: sqlite3.Connection, component: str) -> int:
    """The version of a component's tables; 0 when it has none."""
    try:
        row = connection.execute("SELECT version FROM schema_version WHERE component = ?", (component,)).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return 0
    return int(row[0]) if row else 0


def migrate(connection: sqlite3.Connection, component: str, steps: Sequence[str]) -> None:
    """Run the steps that this database has not seen. The caller owns the transaction."""
    found = version(connection, component)
    if found > len(steps):
        raise Failure(
            "newer",
            f"the tables of {component} are version {found}, and this program knows {len(steps)}: use a newer program",
        )
    if found == len(steps):
        return
    connection.execute(_TABLE)
    for step in steps[found:]:
        for statement in statements(step):
            connection.execute(statement)
    connection.execute("INSERT OR REPLACE INTO schema_version VALUES (?, ?)", (component, len(steps)))
