"""The directory's tables and every SQL statement on them. Not the rules of what may be stored: `directory.py` has them.

Each function runs inside `Database.write` or `read`. SQL is common to SQLite and PostgreSQL but for AUTOINCREMENT,
which keeps an account's id from ever being used again (decision 7).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

COMPONENT = "directory"
TABLES = ("domain", "domain_alias", "object", "name", "secret", "setting", "account_right", "telnum")

MIGRATIONS = (
    """
    CREATE TABLE domain (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        main INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE domain_alias (
        name TEXT PRIMARY KEY,
        domain_id INTEGER NOT NULL REFERENCES domain (id) ON DELETE CASCADE
    );
    CREATE TABLE object (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('account', 'group', 'forwarder')),
        domain_id INTEGER NOT NULL REFERENCES domain (id),
        real_name TEXT NOT NULL DEFAULT '',
        target TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE name (
        domain_id INTEGER NOT NULL REFERENCES domain (id),
        local TEXT NOT NULL,
        alias INTEGER NOT NULL DEFAULT 0,
        object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
        PRIMARY KEY (domain_id, local)
    );
    CREATE INDEX name_object ON name (object_id);
    CREATE TABLE secret (
        account_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (account_id, kind)
    );
    CREATE TABLE setting (
        scope TEXT NOT NULL CHECK (scope IN ('server', 'domain', 'account')),
        owner INTEGER NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (scope, owner, key)
    );
    """,
    """
    CREATE TABLE account_right (
        account_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        PRIMARY KEY (account_id, name)
    );
    INSERT INTO account_right SELECT name.object_id, 'Master' FROM name
        JOIN domain ON domain.id = name.domain_id JOIN object ON object.id = name.object_id
        WHERE domain.main AND name.local = 'postmaster' AND NOT name.alias AND object.kind = 'account';
    CREATE TABLE telnum (
        number TEXT PRIMARY KEY,
        account_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE
    );
    CREATE INDEX telnum_account ON telnum (account_id);
    """,
)


@dataclass(slots=True)
class Rows:
    """Everything, as read at start."""

    domains: list[tuple[int, str, int]] = field(default_factory=list)
    domain_aliases: list[tuple[str, int]] = field(default_factory=list)
    objects: list[tuple[int, str, int, str, str]] = field(default_factory=list)
    names: list[tuple[int, str, int, int]] = field(default_factory=list)
    secrets: list[tuple[int, str, bytes]] = field(default_factory=list)
    settings: list[tuple[str, int, str, str]] = field(default_factory=list)
    rights: list[tuple[int, str]] = field(default_factory=list)
    telnums: list[tuple[str, int]] = field(default_factory=list)


def read_all(connection: sqlite3.Connection) -> Rows:
    return Rows(
        connection.execute("SELECT id, name, main FROM domain ORDER BY id").fetchall(),
        connection.execute("SELECT name, domain_id FROM domain_alias").fetchall(),
        connection.execute("SELECT id, kind, domain_id, real_name, target FROM object ORDER BY id").fetchall(),
        connection.execute("SELECT domain_id, local, alias, object_id FROM name ORDER BY rowid").fetchall(),
        connection.execute("SELECT account_id, kind, sealed FROM secret").fetchall(),
        connection.execute("SELECT scope, owner, key, value FROM setting").fetchall(),
        connection.execute("SELECT account_id, name FROM account_right").fetchall(),
        connection.execute("SELECT number, account_id FROM telnum ORDER BY rowid").fetchall(),
    )


def add_domain(connection: sqlite3.Connection, name: str, main: bool) -> int:
    cursor = connection.execute("INSERT INTO domain (name, main) VALUES (?, ?)", (name, int(main)))
    return _id(cursor)


def rename_domain(connection: sqlite3.Connection, domain: int, name: str) -> None:
    connection.execute("UPDATE domain SET name = ? WHERE id = ?", (name, domain))


def remove_domain(connection: sqlite3.Connection, domain: int) -> None:
    connection.execute("DELETE FROM setting WHERE scope = 'domain' AND owner = ?", (domain,))
    connection.execute("DELETE FROM domain WHERE id = ?", (domain,))


def add_domain_alias(connection: sqlite3.Connection, domain: int, name: str) -> None:
    connection.execute("INSERT INTO domain_alias (name, domain_id) VALUES (?, ?)", (name, domain))


def remove_domain_alias(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("DELETE FROM domain_alias WHERE name = ?", (name,))


def add_object(connection: sqlite3.Connection, kind: str, domain: int, real_name: str = "", target: str = "") -> int:
    cursor = connection.execute(
        "INSERT INTO object (kind, domain_id, real_name, target) VALUES (?, ?, ?, ?)",
        (kind, domain, real_name, target),
    )
    return _id(cursor)


def accounts_in(connection: sqlite3.Connection, domain: int) -> int:
    """How many there are."""
    query = "SELECT count(*) FROM object WHERE domain_id = ? AND kind = 'account'"
    return int(connection.execute(query, (domain,)).fetchone()[0])


def put_target(connection: sqlite3.Connection, object_id: int, target: str) -> None:
    connection.execute("UPDATE object SET target = ? WHERE id = ?", (target, object_id))


def put_real_name(connection: sqlite3.Connection, account: int, real_name: str) -> None:
    connection.execute("UPDATE object SET real_name = ? WHERE id = ?", (real_name, account))


def remove_object(connection: sqlite3.Connection, object_id: int) -> None:
    connection.execute("DELETE FROM setting WHERE scope = 'account' AND owner = ?", (object_id,))
    connection.execute("DELETE FROM object WHERE id = ?", (object_id,))


def add_name(connection: sqlite3.Connection, domain: int, local: str, object_id: int, *, alias: bool) -> None:
    connection.execute("INSERT INTO name VALUES (?, ?, ?, ?)", (domain, local, int(alias), object_id))


def remove_name(connection: sqlite3.Connection, domain: int, local: str) -> None:
    connection.execute("DELETE FROM name WHERE domain_id = ? AND local = ?", (domain, local))


def put_secret(connection: sqlite3.Connection, account: int, kind: str, sealed: bytes | None) -> None:
    if sealed is None:
        connection.execute("DELETE FROM secret WHERE account_id = ? AND kind = ?", (account, kind))
    else:
        connection.execute("INSERT OR REPLACE INTO secret VALUES (?, ?, ?)", (account, kind, sealed))


def put_setting(connection: sqlite3.Connection, scope: str, owner: int, key: str, value: str | None) -> None:
    if value is None:
        connection.execute("DELETE FROM setting WHERE scope = ? AND owner = ? AND key = ?", (scope, owner, key))
    else:
        connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?, ?, ?)", (scope, owner, key, value))


def put_rights(connection: sqlite3.Connection, account: int, rights: Iterable[str]) -> None:
    connection.execute("DELETE FROM account_right WHERE account_id = ?", (account,))
    connection.executemany("INSERT INTO account_right VALUES (?, ?)", [(account, right) for right in rights])


def put_telnums(connection: sqlite3.Connection, account: int, numbers: Iterable[str]) -> None:
    connection.execute("DELETE FROM telnum WHERE account_id = ?", (account,))
    connection.executemany("INSERT INTO telnum VALUES (?, ?)", [(number, account) for number in numbers])


def _id(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise sqlite3.InternalError("an insert gave no id")
    return cursor.lastrowid
