"""From SQLite's errors to `Failure`: what the rest of the server has to know about a disk."""

from __future__ import annotations

import sqlite3

from base.failures import Failure

_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# Errors in the statement itself are ours: they stay what they are and reach a driver's log.
_OURS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.NotSupportedError)


def translate(error: sqlite3.Error) -> Exception:
    """The failure to raise instead of `error`; `error` itself when it is the fault of the statement."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in _FULL:
        return Failure("full", "no space left in the store", private=str(error), temporary=True)
    if primary in _DAMAGED:
        return Failure("unavailable", "the store is damaged", private=str(error))
    if isinstance(error, _OURS) or primary == sqlite3.SQLITE_ERROR:
        return error
    return Failure("unavailable", "the store does not answer", private=str(error), temporary=True)
