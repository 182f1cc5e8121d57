"""Acts on the table of workarounds for devices."""

from __future__ import annotations

import ipaddress

from admin.acts import Act, Arguments, Parameter
from admin.desk import Desk
from admin.ports import Json
from base.failures import Failure
from directory.model import Right
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Row
from pbx.workarounds.server import WorkaroundStore

_WHO, _WHAT = Parameter("who"), Parameter("workaround")


def _store(desk: Desk) -> WorkaroundStore:
    if desk.workarounds is None:
        raise Failure("unavailable", "this server has no table of workarounds")
    return desk.workarounds


def _shown(row: Row) -> dict[str, Json]:
    origin = ("stock, off" if row.off else "stock") if row.stock else "own"
    return {"who": row.who, "workaround": row.what.value, "from": origin, "note": row.note}


async def _list(desk: Desk, arguments: Arguments) -> Json:
    return [_shown(row) for row in _store(desk).table.rows]


async def _kinds(desk: Desk, arguments: Arguments) -> Json:
    return [{"workaround": each.value, "meaning": each.meaning} for each in Workaround]


async def _add(desk: Desk, arguments: Arguments) -> Json:
    return _shown(await _store(desk).add(arguments.text("who"), arguments.text("workaround"), arguments.text("note")))


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    return _shown(await _store(desk).remove(arguments.text("who"), arguments.text("workaround")))


async def _try(desk: Desk, arguments: Arguments) -> Json:
    """What would be done for a device: the rows that fit."""
    agent, address = arguments.text("agent"), arguments.text("address")
    if address:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise Failure("invalid", f"{address} is no numeric address") from None
    if not agent and not address:
        raise Failure("invalid", "give a User-Agent, an address, or both")
    done = _store(desk).table.for_(agent, address)
    return [{"workaround": each.value, "meaning": each.meaning} for each in Workaround if each in done]


ACTS = (
    Act("workaround.list", "which devices get which workaround", Right.SETTINGS, _list),
    Act("workaround.kinds", "the workarounds that there are", Right.SETTINGS, _kinds),
    Act(
        "workaround.add",
        "give devices a workaround",
        Right.SETTINGS,
        _add,
        (_WHO, _WHAT, Parameter("note", required=False)),
    ),
    Act("workaround.remove", "take a workaround away", Right.SETTINGS, _remove, (_WHO, _WHAT)),
    Act(
        "workaround.try",
        "what would be done for a device",
        Right.SETTINGS,
        _try,
        (Parameter("agent", required=False), Parameter("address", required=False)),
    ),
)
