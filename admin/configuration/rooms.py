"""The rooms that are configured together, and how they are rehearsed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from base.storage.database import Database
from base.storage.rehearsal import Rehearsal
from directory import tables as directory_tables
from directory.directory import Change, Directory
from pbx.trunk import tables as trunk_tables
from pbx.trunk.trunks import Trunks
from pbx.workarounds import tables as workaround_tables
from pbx.workarounds.rows import Row
from pbx.workarounds.server import WorkaroundStore

_TABLES = (*directory_tables.TABLES, *trunk_tables.TABLES, *workaround_tables.TABLES)


@dataclass(frozen=True, slots=True)
class Rooms:
    directory: Directory
    trunks: Trunks
    workarounds: WorkaroundStore


@dataclass(frozen=True, slots=True)
class _Rows:
    directory: directory_tables.Rows
    trunks: Sequence[trunk_tables.Row]
    workarounds: Sequence[Row]


@dataclass(slots=True)
class RoomsRehearsal:
    """`rooms` may be changed at will; `perform` makes the changes real. Made by `begin`, given back by `discard`."""

    rooms: Rooms
    _real: Rooms
    _copy: Rehearsal
    _changes: list[Change] = field(default_factory=list)

    @classmethod
    async def begin(cls, real: Rooms, database: Database) -> RoomsRehearsal:
        copy = await Rehearsal.of(database, _TABLES)
        rooms = Rooms(
            await real.directory.rehearsal(copy),
            await real.trunks.rehearsal(copy),
            await real.workarounds.rehearsal(copy),
        )
        rehearsal = cls(rooms, real, copy)
        rooms.directory.subscribe(rehearsal._changes.append)
        return rehearsal

    async def perform(self, database: Database) -> None:
        """All of it in one transaction. Raises Failure("busy") when the rooms were changed since `begin`."""
        rows = await self._copy.perform(database, _read)
        self._real.directory.adopt(rows.directory, self._changes)
        self._real.trunks.adopt(rows.trunks)
        self._real.workarounds.adopt(rows.workarounds)

    def discard(self) -> None:
        self._copy.discard()


def _read(connection: sqlite3.Connection) -> _Rows:
    return _Rows(
        directory_tables.read_all(connection), trunk_tables.load(connection), workaround_tables.load(connection)
    )
