"""Acts on recorded calls: list them, hear them, delete them. They need a right of their own."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import datetime

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.moments import moment
from admin.ports import Json
from base.failures import Failure
from directory.model import Right
from pbx.recordings.library import Library
from pbx.recordings.tables import Recording

_MOST = 10_000  # Limit: rows in one answer.
_PIECE = 1 << 20
_NAME = Parameter("name")


def _library(desk: Desk) -> Library:
    if desk.recordings is None:
        raise Failure("unavailable", "this server records no calls")
    return desk.recordings


def _shown(one: Recording) -> dict[str, Json]:
    started = datetime.fromtimestamp(one.started).astimezone().isoformat(timespec="seconds")
    seconds = None if one.seconds is None else round(one.seconds, 1)
    state = "recording" if one.seconds is None else "ended"
    return asdict(one) | {"started": started, "seconds": seconds, "state": state}


async def _list(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account(arguments.text("account")).id if arguments.text("account") else None
    found = await _library(desk).rows(
        moment(arguments.text("since"), 0.0),
        moment(arguments.text("until"), float("inf")),
        account=account,
        call=arguments.text("call"),
        limit=min(arguments.number("limit", _MOST), _MOST),
    )
    return [_shown(one) for one in found]


async def _show(desk: Desk, arguments: Arguments) -> Json:
    one = await _library(desk).row(arguments.text("name"))
    return _shown(one) | {"size": await _library(desk).size(one.name)}


async def _read(desk: Desk, arguments: Arguments) -> Json:
    """A piece; it is empty behind the end."""
    piece = await _library(desk).read(arguments.text("name"), arguments.number("offset", 0), _PIECE)
    return {"data": base64.b64encode(piece).decode()}


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    await _library(desk).remove(arguments.text("name"))
    return {"name": arguments.text("name")}


ACTS = (
    Act(
        "recordings.list",
        "recorded calls, the newest first",
        Right.RECORDINGS,
        _list,
        (
            *(Parameter(name, required=False) for name in ("account", "call", "since", "until")),
            Parameter("limit", Type.NUMBER, required=False),
        ),
    ),
    Act("recordings.show", "one recorded call", Right.RECORDINGS, _show, (_NAME,)),
    Act(
        "recordings.read",
        "a piece of its sound, a WAV file",
        Right.RECORDINGS,
        _read,
        (_NAME, Parameter("offset", Type.NUMBER, required=False)),
    ),
    Act("recordings.remove", "delete a recorded call", Right.RECORDINGS, _remove, (_NAME,)),
)
