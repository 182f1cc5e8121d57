"""The table of telephones that set themselves up, in `main.db`. It holds no secret: tokens are computed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateways.provisioning.model import Phone

COMPONENT = "provisioning"
MIGRATIONS = (
    """
    CREATE TABLE phone (
        mac TEXT PRIMARY KEY,
        family TEXT NOT NULL,
        account_id INTEGER NOT NULL,
        lan INTEGER NOT NULL,
        salt TEXT NOT NULL,
        turn INTEGER NOT NULL DEFAULT 0,
        until REAL NOT NULL DEFAULT 0,
        used REAL NOT NULL DEFAULT 0,
        used_from TEXT NOT NULL DEFAULT ''
    );
    """,
)

_COLUMNS = "mac, family, account_id, lan, salt, turn, until, used, used_from"


@dataclass(frozen=True, slots=True)
class Row:
    """`salt` makes the tokens of this making of the row; `turn` says which of them is in use. The first (0) is good
    `until` that time, and once: from `used` on for a little while, for the same address only."""

    phone: Phone
    salt: str
    turn: int = 0
    until: float = 0.0
    used: float = 0.0
    used_from: str = ""


def load(connection: sqlite3.Connection) -> list[Row]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM phone ORDER BY mac")
    return [Row(Phone(mac, family, account, bool(lan)), *rest) for mac, family, account, lan, *rest in rows]


def save(connection: sqlite3.Connection, row: Row) -> None:
    phone = row.phone
    connection.execute(
        f"INSERT OR REPLACE INTO phone ({_COLUMNS}) VALUES ({', '.join('?' * 9)})",
        (
            phone.mac,
            phone.family,
            phone.account_id,
            int(phone.lan),
            row.salt,
            row.turn,
            row.until,
            row.used,
            row.used_from,
        ),
    )


def remove(connection: sqlite3.Connection, mac: str) -> None:
    connection.execute("DELETE FROM phone WHERE mac = ?", (mac,))
