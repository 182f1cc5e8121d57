"""Acts that look at the running server, and the one that stops it."""

from __future__ import annotations

from dataclasses import asdict

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.moments import moment
from admin.ports import Json
from directory.model import Right

_CALLS = 50
_MOST_CALLS = 10_000  # Limit: records in one answer.
_PAGE = 1_000


async def _calls(desk: Desk, arguments: Arguments) -> Json:
    limit = arguments.number("limit", _CALLS)
    return [asdict(row) for row in await desk.monitor.calls(min(limit, _MOST_CALLS), desk.accounts())]


async def _records(desk: Desk, arguments: Arguments) -> Json:
    """A page; the next one is asked for with `after`."""
    one = arguments.text("account")
    found, lines, following = await desk.monitor.records(
        moment(arguments.text("since"), 0.0),
        moment(arguments.text("until"), float("inf")),
        accounts=frozenset((desk.account(one).id,)) if one else desk.accounts(),
        after=arguments.number("after", 0),
        limit=_PAGE,
    )
    return {"records": [dict(record) for record in found], "csv": lines, "next": following}


async def _registrations(desk: Desk, arguments: Arguments) -> Json:
    return [asdict(row) for row in desk.monitor.registrations(desk.accounts())]


async def _status(desk: Desk, arguments: Arguments) -> Json:
    return dict(desk.monitor.status())


async def _shutdown(desk: Desk, arguments: Arguments) -> Json:
    desk.server.shutdown()
    return None


ACTS = (
    Act(
        "calls",
        "calls in progress, and the last that ended",
        Right.MONITOR,
        _calls,
        (Parameter("limit", Type.NUMBER, required=False),),
        Right.DOMAIN,
    ),
    Act(
        "records",
        "call records of a time, a page of them",
        Right.MONITOR,
        _records,
        (
            *(Parameter(name, required=False) for name in ("account", "since", "until")),
            Parameter("after", Type.NUMBER, required=False),
        ),
        Right.DOMAIN,
    ),
    Act("registrations", "registered telephones", Right.MONITOR, _registrations, (), Right.DOMAIN),
    Act("status", "version, uptime and counters", Right.MONITOR, _status),
    Act("shutdown", "stop the server", Right.MASTER, _shutdown),
)
