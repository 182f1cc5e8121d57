"""Acts on the Router's table. A faulty table is refused whole, with every fault; the one in use stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from admin.acts import Act, Arguments, Parameter
from admin.desk import Desk
from admin.ports import Json
from directory.model import Right
from directory.router.lint import Warning_
from directory.router.table import RouterTable
from pbx.lookup.lookups import EXTERNAL


async def _show(desk: Desk, arguments: Arguments) -> Json:
    table = desk.directory.router
    return {"text": table.text, "records": len(table.records)}


async def _check(desk: Desk, arguments: Arguments) -> Json:
    table, warnings = desk.directory.check_router(arguments.text("text"))
    return {"records": len(table.records), "warnings": _rows([*warnings, *_unknown_trunks(desk, table)])}


async def _set(desk: Desk, arguments: Arguments) -> Json:
    warnings = await desk.directory.set_router(arguments.text("text"))
    table = desk.directory.router
    return {"records": len(table.records), "warnings": _rows([*warnings, *_unknown_trunks(desk, table)])}


def _unknown_trunks(desk: Desk, table: RouterTable) -> Iterator[Warning_]:
    """Names without a dot that mean nothing: mostly trunks that are misspelt, or not made yet."""
    for record in table.records:
        for domain in record.target_domains:
            name = domain.partition(":")[0]
            if name and not set(name) & set(".*[") and not _is_known(desk, table, name):
                yield Warning_(record.line, f"{name} is no trunk and no domain: see `tandem trunk list`")


def _is_known(desk: Desk, table: RouterTable, name: str) -> bool:
    if name == EXTERNAL or desk.directory.local_domain(name) is not None:
        return True
    if any(record.domain.match(name) is not None and not record.is_for_any_domain for record in table.records):
        return True  # it is led on
    return desk.trunks is None or desk.trunks.leading_to(name) is not None


def _rows(warnings: Iterable[Warning_]) -> list[Json]:
    return [{"line": warning.line, "warning": warning.text} for warning in warnings]


_TEXT = (Parameter("text"),)

ACTS = (
    Act("router.show", "the Router's table", Right.MONITOR, _show),
    Act("router.check", "look for faults and dangers in a table without using it", Right.MONITOR, _check, _TEXT),
    Act("router.set", "use another table, all of it or nothing", Right.SETTINGS, _set, _TEXT),
)
