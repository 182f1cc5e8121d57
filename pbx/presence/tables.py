"""The tables of subscriptions and publications in `main.db`, each row a JSON document with what finds it.

RFC 6665 §4.4.1 (what a dialog of a subscription is), RFC 3903 §4.1 (entity tags).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from base.log import get_logger
from pbx.presence.pidf import Presence
from pbx.sipcore.dialog import Dialog, DialogId
from pbx.sipcore.flow import Flow
from pbx.sipcore.uri import NameAddress

COMPONENT = "presence"
MIGRATIONS = (
    """
    CREATE TABLE subscriptions (
        call_id TEXT NOT NULL,
        local_tag TEXT NOT NULL,
        remote_tag TEXT NOT NULL,
        expires_at REAL NOT NULL,
        subscription TEXT NOT NULL,
        PRIMARY KEY (call_id, local_tag, remote_tag)
    );
    CREATE TABLE publications (
        account_id INTEGER NOT NULL,
        etag TEXT NOT NULL,
        expires_at REAL NOT NULL,
        presence TEXT NOT NULL,
        PRIMARY KEY (account_id, etag)
    );
    """,
)

RESERVE = 10_000
"""Limit: NOTIFYs after which a row is written again. The next process begins behind them, so that not each of them is
written; its first CSeq, and the version of its first document, are higher than any that were used."""

_log = get_logger("pbx.presence")


@dataclass(frozen=True, slots=True)
class StoredSubscription:
    """What a next process must know. `package` is the event package, `event` the Event of the NOTIFYs; `watcher` is who
    subscribed, `account` who is watched, or `group` the address of a list. `expires_at` is wall time."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int
    remote_cseq: int | None
    contact: str | None
    flow: Flow
    package: str
    event: str
    watcher: int
    account: int | None
    group: str
    expires_at: float

    @property
    def id(self) -> DialogId:
        return self.call_id, self.local_tag, self.remote_tag

    def dialog(self) -> Dialog:
        """The dialog as it goes on."""
        return Dialog(
            self.call_id,
            self.local_tag,
            self.remote_tag,
            NameAddress.parse(self.local),
            NameAddress.parse(self.remote),
            self.remote_target,
            self.route_set,
            self.local_cseq,
            self.remote_cseq,
            self.contact,
            confirmed=True,
            is_caller=False,
        )


@dataclass(frozen=True, slots=True)
class StoredPublication:
    """`expires_at` is wall time."""

    account_id: int
    etag: str
    expires_at: float
    presence: Presence


_subscription = msgspec.json.Decoder(StoredSubscription)
_presence = msgspec.json.Decoder(Presence)


def save(connection: sqlite3.Connection, put: Iterable[StoredSubscription], drop: Iterable[DialogId]) -> None:
    """Write and delete in the caller's transaction."""
    connection.executemany(
        "DELETE FROM subscriptions WHERE call_id = ? AND local_tag = ? AND remote_tag = ?", list(drop)
    )
    connection.executemany(
        "INSERT OR REPLACE INTO subscriptions VALUES (?, ?, ?, ?, ?)",
        [(*row.id, row.expires_at, msgspec.json.encode(row).decode()) for row in put],
    )


def load(connection: sqlite3.Connection, now: float) -> list[StoredSubscription]:
    """Those that still hold, as they go on; what cannot be read is forgotten."""
    connection.execute("DELETE FROM subscriptions WHERE expires_at <= ?", (now,))
    found: list[StoredSubscription] = []
    lost: list[DialogId] = []
    for call_id, local_tag, remote_tag, text in connection.execute(
        "SELECT call_id, local_tag, remote_tag, subscription FROM subscriptions"
    ):
        try:
            row = _subscription.decode(text)
            found.append(replace(row, local_cseq=row.local_cseq + RESERVE))
        except msgspec.DecodeError:
            lost.append((call_id, local_tag, remote_tag))
    if lost:
        _log.error("stored subscriptions cannot be read", count=len(lost))
    save(connection, found, lost)
    return found


def clear(connection: sqlite3.Connection) -> None:
    """All subscribers were told to come again."""
    connection.execute("DELETE FROM subscriptions")


def save_publications(connection: sqlite3.Connection, account_id: int, now: Sequence[StoredPublication]) -> None:
    """All that an account publishes."""
    connection.execute("DELETE FROM publications WHERE account_id = ?", (account_id,))
    connection.executemany(
        "INSERT INTO publications VALUES (?, ?, ?, ?)",
        [(one.account_id, one.etag, one.expires_at, msgspec.json.encode(one.presence).decode()) for one in now],
    )


def load_publications(connection: sqlite3.Connection, now: float) -> list[StoredPublication]:
    """Those that still hold, the oldest first."""
    connection.execute("DELETE FROM publications WHERE expires_at <= ?", (now,))
    found: list[StoredPublication] = []
    query = "SELECT account_id, etag, expires_at, presence FROM publications ORDER BY rowid"
    for account_id, etag, expires_at, text in connection.execute(query):
        try:
            found.append(StoredPublication(account_id, etag, expires_at, _presence.decode(text)))
        except msgspec.DecodeError:
            _log.error("a stored publication cannot be read", account=account_id)
    return found
