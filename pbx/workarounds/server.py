"""The table of workarounds over restarts: its driver stores each change, then lets it count. Knows no message."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from base.failures import Failure
from base.log import get_logger
from base.storage.database import Database
from pbx.workarounds import tables
from pbx.workarounds.kinds import Workaround, workaround
from pbx.workarounds.rows import Row, Workarounds, whose
from pbx.workarounds.stock import STOCK

MOST = 500
"""Limit: rows of the administrator's own; each is tried for each device that is met for the first time."""

_log = get_logger("pbx.workarounds")


class WorkaroundStore:
    """`start` it; then `table` is what others ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.table = Workarounds(STOCK)

    async def start(self) -> None:
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        self.table.put(await self._database.read(tables.load))

    async def rehearsal(self, copy: Database) -> WorkaroundStore:
        """The same table over a copy."""
        rehearsed = WorkaroundStore(copy)
        await rehearsed.start()
        return rehearsed

    def adopt(self, rows: Iterable[Row]) -> None:
        """The table was written to by way of a rehearsal, and holds these rows."""
        self.table.replace(rows)

    async def add(self, who: str, what: str, note: str = "") -> Row:
        """Raises Failure("invalid" | "exists" | "full")."""
        row = Row(whose(who), _named(what), note[:200])
        there = self._there(row)
        if there is not None and not there.off:
            raise Failure("exists", f"{row.who} has {row.what.value} already")
        if len(self.table.rows) >= MOST:
            raise Failure("full", f"there are {MOST} rows; remove some")
        if self.table.stock(row.key):
            await self._forget(row)
        else:
            await self._database.write(partial(tables.save, row=row))
            self.table.put([row])
        _log.info("workaround added", who=row.who, what=row.what.value)
        return row

    async def remove(self, who: str, what: str) -> Row:
        """An own row is gone; a stock row is switched off. Raises Failure("invalid" | "not-found")."""
        row = Row(whose(who), _named(what))
        there = self._there(row)
        if there is None or there.off:
            raise Failure("not-found", f"{row.who} has no {row.what.value}; see tandem workaround list")
        if there.stock:
            off = Row(there.who, there.what, off=True)
            await self._database.write(partial(tables.save, row=off))
            self.table.put([off])
        else:
            await self._forget(row)
        _log.info("workaround removed", who=row.who, what=row.what.value)
        return row

    def _there(self, row: Row) -> Row | None:
        return next((each for each in self.table.rows if each.key == row.key), None)

    async def _forget(self, row: Row) -> None:
        await self._database.write(partial(tables.remove, who=row.who, what=row.what))
        self.table.drop(row.key)


def _named(name: str) -> Workaround:
    found = workaround(name.strip().lower())
    if found is None:
        known = ", ".join(each.value for each in Workaround)
        raise Failure("invalid", f"there is no workaround {name}; there are {known}")
    return found
