"""The table of trunks in `main.db`.

The password is sealed; `contact` is the secret name of our Contact at the provider, which outlives a restart, so that
calls find us again. `named`: a call has named it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from pbx.trunk.model import Trunk

COMPONENT = "trunks"
TABLES = ("trunk",)
MIGRATIONS = (
    """
    CREATE TABLE trunk (
        name TEXT PRIMARY KEY,
        domain TEXT NOT NULL,
        user TEXT NOT NULL,
        login TEXT NOT NULL,
        sealed BLOB NOT NULL,
        proxy TEXT NOT NULL,
        transport TEXT NOT NULL,
        registers INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        target TEXT NOT NULL,
        contact TEXT NOT NULL
    );
    """,
    """
    ALTER TABLE trunk ADD COLUMN inbound TEXT NOT NULL DEFAULT 'auto';
    ALTER TABLE trunk ADD COLUMN named INTEGER NOT NULL DEFAULT 0;
    """,
    """
    ALTER TABLE trunk ADD COLUMN numbers TEXT NOT NULL DEFAULT 'dialled';
    ALTER TABLE trunk ADD COLUMN country TEXT NOT NULL DEFAULT '';
    ALTER TABLE trunk ADD COLUMN shows TEXT NOT NULL DEFAULT 'line';
    """,
    """
    ALTER TABLE trunk ADD COLUMN options INTEGER NOT NULL DEFAULT 60;
    """,
    """
    ALTER TABLE trunk ADD COLUMN supervision TEXT NOT NULL DEFAULT 'none';
    """,
    """
    ALTER TABLE trunk ADD COLUMN recording TEXT NOT NULL DEFAULT 'none';
    """,
    """
    ALTER TABLE trunk ADD COLUMN disconnect_tone TEXT NOT NULL DEFAULT '';
    """,
)

_COLUMNS = (
    "name, domain, user, login, sealed, proxy, transport, registers, expires, target, contact, inbound, named, "
    "numbers, country, shows, options, supervision, recording, disconnect_tone"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A trunk as it is kept."""

    trunk: Trunk
    sealed: bytes
    contact: str
    named: bool = False


def load(connection: sqlite3.Connection) -> list[Row]:
    return [_row(values) for values in connection.execute(f"SELECT {_COLUMNS} FROM trunk ORDER BY name")]


def save(connection: sqlite3.Connection, row: Row) -> None:
    trunk = row.trunk
    connection.execute(
        f"INSERT OR REPLACE INTO trunk ({_COLUMNS}) VALUES ({', '.join('?' * 20)})",
        (
            trunk.name,
            trunk.domain,
            trunk.user,
            trunk.login,
            row.sealed,
            trunk.proxy,
            trunk.transport,
            int(trunk.registers),
            trunk.expires,
            trunk.target,
            row.contact,
            trunk.inbound,
            int(row.named),
            trunk.numbers,
            trunk.country,
            trunk.shows,
            trunk.options,
            trunk.supervision,
            trunk.recording,
            trunk.disconnect_tone,
        ),
    )


def has_named(connection: sqlite3.Connection, name: str, contact: str) -> None:
    connection.execute("UPDATE trunk SET named = 1 WHERE name = ? AND contact = ?", (name, contact))


def remove(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("DELETE FROM trunk WHERE name = ?", (name,))


def _row(values: sqlite3.Row | tuple[Any, ...]) -> Row:
    name, domain, user, login, sealed, proxy, transport, registers, expires, target, contact, inbound, named, *rest = (
        values
    )
    line = (name, domain, user, login, proxy, transport, bool(registers), expires, target, inbound)
    return Row(Trunk(*line, *rest), sealed, contact, bool(named))
