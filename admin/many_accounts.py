"""The act that makes many accounts at once: what a table of people is imported by.

Each row is made by itself, as `account.add` makes one, so that a fault in one row stops no other; rows share commits.
"""

from __future__ import annotations

import asyncio

from admin.accounts import ADD
from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.ports import Json
from base.failures import Failure
from directory.model import Account, Right

MOST_ROWS = 200
"""Limit: rows of one act; each is answered with its fault, or with nothing."""
_NAMES = ("aliases", "numbers")
"""Values of a row that are lists, with spaces between."""


async def _import(desk: Desk, arguments: Arguments) -> Json:
    rows = arguments.rows("rows")
    if len(rows) > MOST_ROWS:
        raise Failure("invalid", f"at most {MOST_ROWS} rows at once, please")
    return await asyncio.gather(*(_made(desk, row) for row in rows))


async def _made(desk: Desk, row: dict[str, str]) -> Json:
    """Whether there is an account now, and what was refused: of its names that may be the last one only."""
    aliases, numbers = (row.get(key, "").split() for key in _NAMES)
    made = False
    try:
        if aliases:
            desk.needs(Right.CAN_CREATE_ALIASES)
        if numbers:
            desk.whole_server()
        given = ADD.arguments({key: value for key, value in row.items() if key not in _NAMES})
        await ADD.handler(desk, given)
        made = True
        await _named(desk, desk.account(given.text("name"), given.text("domain")), aliases, numbers)
    except Failure as failure:
        return {"made": made, "fault": failure.public}
    return {"made": made, "fault": ""}


async def _named(desk: Desk, account: Account, aliases: list[str], numbers: list[str]) -> None:
    for alias in aliases:
        await desk.directory.add_alias(account.id, desk.name_to_give(account.domain, alias))
    if numbers:
        await desk.directory.telnums.set(account, numbers)


ACTS = (
    Act(
        "account.import",
        "make many accounts, each by itself",
        Right.USERS,
        _import,
        (Parameter("rows", Type.ROWS, secret=True),),
        Right.USER_ACCOUNTS,
    ),
)
