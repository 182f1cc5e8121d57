"""The administrator's rows in `main.db`; a stock row that he has switched off is a row with `off`."""

from __future__ import annotations

import sqlite3

from pbx.workarounds.kinds import Workaround, workaround
from pbx.workarounds.rows import Row

COMPONENT = "workarounds"
TABLES = ("workarounds",)
MIGRATIONS = (
    """
    CREATE TABLE workarounds (
        who TEXT NOT NULL COLLATE NOCASE,
        what TEXT NOT NULL,
        note TEXT NOT NULL,
        is_off INTEGER NOT NULL,
        PRIMARY KEY (who, what)
    );
    """,
)


def load(connection: sqlite3.Connection) -> list[Row]:
    """All rows; one whose workaround this version does not know stays in the table and is passed over."""
    found = connection.execute("SELECT who, what, note, is_off FROM workarounds ORDER BY who, what")
    rows = [(who, workaround(what), note, off) for who, what, note, off in found]
    return [Row(who, what, note, off=bool(off)) for who, what, note, off in rows if what is not None]


def save(connection: sqlite3.Connection, row: Row) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO workarounds (who, what, note, is_off) VALUES (?, ?, ?, ?)",
        (row.who, row.what.value, row.note, int(row.off)),
    )


def remove(connection: sqlite3.Connection, who: str, what: Workaround) -> None:
    connection.execute("DELETE FROM workarounds WHERE who = ? AND what = ?", (who, what.value))
