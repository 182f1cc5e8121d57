"""Acts on trunks."""

from __future__ import annotations

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.ports import Json
from base.failures import Failure
from directory.model import Right
from pbx.trunk.model import Trunk
from pbx.trunk.trunks import TrunkRow, Trunks

PATIENCE = 40.0
"""Seconds: a UDP request without an answer is given up after 32 (RFC 3261 §17.1.2.2)."""


def _store(desk: Desk) -> Trunks:
    if desk.trunks is None:
        raise Failure("unavailable", "this server has no trunks")
    return desk.trunks


def _shown(row: TrunkRow) -> dict[str, Json]:
    trunk = row.trunk
    return {
        "name": trunk.name,
        "domain": trunk.domain,
        "user": trunk.user,
        "login": trunk.login,
        "proxy": trunk.proxy,
        "transport": trunk.transport,
        "registers": trunk.registers,
        "expires": trunk.expires,
        "target": trunk.target,
        "inbound": trunk.inbound,
        "numbers": trunk.numbers,
        "country": trunk.country,
        "shows": trunk.shows,
        "supervision": trunk.supervision,
        "recording": trunk.recording,
        "disconnect_tone": trunk.disconnect_tone,
        "options": trunk.options,
        "state": row.condition,
        "said": row.said,
        "next": round(row.left),
    }


async def _list(desk: Desk, arguments: Arguments) -> Json:
    return [_shown(row) for row in _store(desk).rows()]


async def _put(desk: Desk, arguments: Arguments) -> Json:
    async with desk.changing:
        return await _changed(_store(desk), arguments)


async def _changed(store: Trunks, arguments: Arguments) -> Json:
    name = arguments.text("name")
    before = next((row.trunk for row in store.rows() if row.trunk.name == name), None)
    base = before or Trunk(name, "")
    trunk = Trunk(
        name,
        arguments.text("domain").lower() or base.domain,
        _chosen(arguments, "user", base.user),
        _chosen(arguments, "login", base.login),
        _chosen(arguments, "proxy", base.proxy),
        _chosen(arguments, "transport", base.transport).lower(),
        {"yes": True, "no": False}.get(arguments.text("register").lower(), base.registers),
        arguments.number("expires", base.expires),
        _chosen(arguments, "target", base.target),
        _chosen(arguments, "inbound", base.inbound).lower(),
        _chosen(arguments, "numbers", base.numbers).lower(),
        _chosen(arguments, "country", base.country).upper(),
        _chosen(arguments, "shows", base.shows).lower(),
        arguments.number("options", base.options),
        _chosen(arguments, "supervision", base.supervision).lower(),
        _chosen(arguments, "recording", base.recording).lower(),
        _chosen(arguments, "disconnect_tone", base.disconnect_tone).lower(),
    )
    if not trunk.domain:
        raise Failure("invalid", "a new trunk needs the provider's domain")
    await store.put(trunk, arguments.optional("password"))
    return next(_shown(row) for row in store.rows() if row.trunk.name == name)


def _chosen(arguments: Arguments, key: str, before: str) -> str:
    given = arguments.optional(key)
    return before if given is None else given.strip()


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    async with desk.changing:
        await _store(desk).remove(arguments.text("name"))
    return {"name": arguments.text("name")}


async def _test(desk: Desk, arguments: Arguments) -> Json:
    store = _store(desk)
    steps = await store.line(arguments.text("name")).test(PATIENCE)
    return {"steps": list(steps), "up": store.line(arguments.text("name")).sound}


_NAME = Parameter("name")

ACTS = (
    Act("trunk.list", "trunks and how they are", Right.MONITOR, _list),
    Act(
        "trunk.put",
        "make a trunk, or change what is given of one",
        Right.SETTINGS,
        _put,
        (
            _NAME,
            *(
                Parameter(key, required=False)
                for key in (
                    *("domain", "user", "login", "proxy", "transport", "register", "target", "inbound"),
                    *("numbers", "country", "shows", "supervision", "recording", "disconnect_tone"),
                )
            ),
            Parameter("password", required=False, secret=True),
            Parameter("expires", Type.NUMBER, required=False),
            Parameter("options", Type.NUMBER, required=False),
        ),
    ),
    Act("trunk.remove", "take a trunk out of use", Right.SETTINGS, _remove, (_NAME,)),
    Act("trunk.test", "register or ask now, and tell what the provider answers", Right.SETTINGS, _test, (_NAME,)),
)
