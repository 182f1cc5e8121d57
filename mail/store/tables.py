"""The tables of one account's mail (decision 15): every row carries account_id, octets lie apart from the lists.

A message's octets are a blob: part 0 is the header with its blank line, the rest follows in pieces, so that listing
headers reads no bodies and a large body is read a piece at a time.
"""

from __future__ import annotations

import sqlite3

from mail.store import names

COMPONENT = "mail"
# Limit: octets of one stored piece; what one read holds in memory.
PIECE = 256 * 1024

STEPS = [
    """
    CREATE TABLE mailbox (
        id INTEGER PRIMARY KEY,
        account_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        uidvalidity BIGINT NOT NULL,
        uidnext BIGINT NOT NULL DEFAULT 1,
        modseq BIGINT NOT NULL DEFAULT 1,
        recent_from BIGINT NOT NULL DEFAULT 1,
        forgotten BIGINT NOT NULL DEFAULT 0,
        special TEXT NOT NULL DEFAULT '',
        keywords TEXT NOT NULL DEFAULT '',
        UNIQUE (account_id, name)
    );
    CREATE TABLE message (
        account_id BIGINT NOT NULL,
        mailbox_id BIGINT NOT NULL REFERENCES mailbox (id),
        uid BIGINT NOT NULL,
        modseq BIGINT NOT NULL,
        flags INTEGER NOT NULL,
        keywords TEXT NOT NULL,
        internal_date BIGINT NOT NULL,
        size BIGINT NOT NULL,
        header_size BIGINT NOT NULL,
        blob_id BIGINT NOT NULL,
        voice INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (mailbox_id, uid)
    );
    CREATE INDEX message_modseq ON message (mailbox_id, modseq);
    CREATE INDEX message_blob ON message (blob_id);
    CREATE INDEX message_voice ON message (account_id) WHERE voice = 1;
    CREATE TABLE blob (
        id INTEGER PRIMARY KEY,
        account_id BIGINT NOT NULL,
        size BIGINT NOT NULL
    );
    CREATE TABLE blob_part (
        blob_id BIGINT NOT NULL REFERENCES blob (id) ON DELETE CASCADE,
        part INTEGER NOT NULL,
        octets BLOB NOT NULL,
        PRIMARY KEY (blob_id, part)
    );
    CREATE TABLE expunged (
        account_id BIGINT NOT NULL,
        mailbox_id BIGINT NOT NULL,
        uid BIGINT NOT NULL,
        modseq BIGINT NOT NULL,
        PRIMARY KEY (mailbox_id, uid)
    );
    CREATE INDEX expunged_modseq ON expunged (mailbox_id, modseq);
    CREATE TABLE subscription (
        account_id BIGINT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (account_id, name)
    );
    CREATE TABLE delivered (
        account_id BIGINT NOT NULL,
        queue_id TEXT NOT NULL,
        delivered_at BIGINT NOT NULL,
        uidvalidity BIGINT NOT NULL,
        uid BIGINT NOT NULL,
        mailbox_id BIGINT NOT NULL,
        PRIMARY KEY (account_id, queue_id)
    );
    CREATE INDEX delivered_at ON delivered (account_id, delivered_at);
    CREATE TABLE account_state (
        account_id BIGINT PRIMARY KEY,
        uidvalidity BIGINT NOT NULL
    );
    """,
]


def furnished(connection: sqlite3.Connection, account_id: int) -> bool:
    """Whether the account has had its default mailboxes."""
    known = connection.execute("SELECT 1 FROM account_state WHERE account_id = ?", (account_id,)).fetchone()
    return known is not None


def furnish(connection: sqlite3.Connection, account_id: int, wall: float) -> None:
    """Make the default mailboxes of a new account, once, and subscribe to them."""
    if furnished(connection, account_id):
        return
    connection.execute("INSERT INTO account_state (account_id, uidvalidity) VALUES (?, 0)", (account_id,))
    for name, special in names.DEFAULTS:
        connection.execute(
            "INSERT INTO mailbox (account_id, name, uidvalidity, special) VALUES (?, ?, ?, ?)",
            (account_id, name, next_uidvalidity(connection, account_id, wall), special),
        )
        connection.execute("INSERT INTO subscription (account_id, name) VALUES (?, ?)", (account_id, name))


def next_uidvalidity(connection: sqlite3.Connection, account_id: int, wall: float) -> int:
    """A value no mailbox of this account ever had, also when the clock went back (RFC 3501 §2.3.1.1)."""
    row = connection.execute("SELECT uidvalidity FROM account_state WHERE account_id = ?", (account_id,)).fetchone()
    value: int = max(int(wall), row[0] + 1) & 0xFFFFFFFF
    connection.execute("UPDATE account_state SET uidvalidity = ? WHERE account_id = ?", (value, account_id))
    return value
