"""The table of bindings in `main.db`. RFC 3261 §10; decision 16: committed before the 200."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow

COMPONENT = "registrar"
MIGRATIONS = (
    """
    CREATE TABLE bindings (
        account_id INTEGER NOT NULL,
        contact_key TEXT NOT NULL,
        contact TEXT NOT NULL,
        header TEXT NOT NULL,
        call_id TEXT NOT NULL,
        cseq INTEGER NOT NULL,
        expires_at REAL NOT NULL,
        registered_at REAL NOT NULL,
        q REAL NOT NULL,
        instance TEXT NOT NULL,
        user_agent TEXT NOT NULL,
        path TEXT NOT NULL,
        transport TEXT NOT NULL,
        local_host TEXT NOT NULL,
        local_port INTEGER NOT NULL,
        remote_host TEXT NOT NULL,
        remote_port INTEGER NOT NULL,
        PRIMARY KEY (account_id, contact_key)
    );
    """,
    "ALTER TABLE bindings ADD COLUMN reg_id INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE bindings ADD COLUMN first_cseq INTEGER NOT NULL DEFAULT 0; UPDATE bindings SET first_cseq = cseq;",
)

_COLUMNS = (
    "account_id, contact_key, contact, header, call_id, cseq, expires_at, registered_at, q, instance, user_agent, path,"
    " transport, local_host, local_port, remote_host, remote_port, reg_id, first_cseq"
)
_MARKS = ", ".join("?" * 19)


def save(connection: sqlite3.Connection, put: Sequence[Binding], drop: Sequence[Binding]) -> None:
    """Write and delete in the caller's transaction."""
    connection.executemany(
        "DELETE FROM bindings WHERE account_id = ? AND contact_key = ?",
        [(binding.account_id, binding.key) for binding in (*drop, *put)],
    )
    connection.executemany(f"INSERT INTO bindings ({_COLUMNS}) VALUES ({_MARKS})", [_row(binding) for binding in put])


def load(connection: sqlite3.Connection, now: float) -> list[Binding]:
    """The bindings that still hold. Of connections only the memory is left: their phones come back."""
    connection.execute("DELETE FROM bindings WHERE expires_at <= ?", (now,))
    return [_binding(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM bindings")]


def _row(binding: Binding) -> tuple[object, ...]:
    return (
        binding.account_id,
        binding.key,
        binding.contact,
        binding.header,
        binding.call_id,
        binding.cseq,
        binding.expires_at,
        binding.registered_at,
        binding.q,
        binding.instance,
        binding.user_agent,
        json.dumps(binding.path),
        binding.flow.transport,
        *binding.flow.local,
        *binding.flow.remote,
        binding.reg_id,
        binding.first_cseq,
    )


def _binding(row: tuple[Any, ...]) -> Binding:
    account_id, key, contact, header, call_id, cseq, expires_at, registered_at, q, instance, user_agent, path = row[:12]
    transport, local_host, local_port, remote_host, remote_port, reg_id, first_cseq = row[12:]
    return Binding(
        account_id=account_id,
        key=key,
        contact=contact,
        header=header,
        flow=Flow(transport, (local_host, local_port), (remote_host, remote_port)),
        expires_at=expires_at,
        call_id=call_id,
        cseq=cseq,
        path=tuple(json.loads(path)),
        user_agent=user_agent,
        instance=instance,
        q=q,
        registered_at=registered_at,
        reg_id=reg_id,
        first_cseq=first_cseq,
    )
