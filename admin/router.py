"""Acts on the Router's table. A faulty table is refused whole, with every fault; the one in use stays."""

from __future__ import annotations

from collections.abc import Iterable

from admin.acts import Act, Arguments, Parameter
from admin.desk import Desk
from admin.ports import Json
from directory.model import Right
from directory.router.lint import Warning_


async def _show(desk: Desk, arguments: Arguments) -> Json:
    table = desk.directory.router
    return {"text": table.text, "records": len(table.records)}


async def _check(desk: Desk, arguments: Arguments) -> Json:
    table, warnings = desk.directory.check_router(arguments.text("text"))
    return {"records": len(table.records), "warnings": _rows(warnings)}


async def _set(desk: Desk, arguments: Arguments) -> Json:
    warnings = await desk.directory.set_router(arguments.text("text"))
    return {"records": len(desk.directory.router.records), "warnings": _rows(warnings)}


def _rows(warnings: Iterable[Warning_]) -> list[Json]:
    return [{"line": warning.line, "warning": warning.text} for warning in warnings]


_TEXT = (Parameter("text"),)

ACTS = (
    Act("router.show", "the Router's table", Right.MONITOR, _show),
    Act("router.check", "look for faults and dangers in a table without using it", Right.MONITOR, _check, _TEXT),
    Act("router.set", "use another table, all of it or nothing", Right.SETTINGS, _set, _TEXT),
)
