"""Acts on telephones that set themselves up."""

from __future__ import annotations

from dataclasses import asdict

from admin.acts import Act, Arguments, Desk, Parameter, Type
from admin.ports import Json, Phones
from admin.rights import Right
from base.failures import Failure


def _phones(desk: Desk) -> Phones:
    if desk.phones is None:
        raise Failure("unavailable", "this server sets up no telephones: [provisioning] is off")
    return desk.phones


async def _list(desk: Desk, arguments: Arguments) -> Json:
    return [asdict(row) for row in _phones(desk).rows()]


async def _families(desk: Desk, arguments: Arguments) -> Json:
    return [{"family": name, "title": title} for name, title in _phones(desk).families()]


async def _add(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account(arguments.text("account"), arguments.text("domain"))
    link = await _phones(desk).add(
        account,
        arguments.text("mac"),
        arguments.text("family"),
        arguments.text("host") or account.domain,
        by_mac=not arguments.flag("token_only"),
    )
    return {**asdict(link), "account": account.address}


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    await _phones(desk).remove(arguments.text("mac"))
    return {"mac": arguments.text("mac")}


async def _show(desk: Desk, arguments: Arguments) -> Json:
    files = _phones(desk).show(arguments.text("mac"), arguments.text("host") or desk.directory.main_domain)
    return [{"file": path, "content": content.decode("utf-8", "replace")} for path, content in files]


async def _resync(desk: Desk, arguments: Arguments) -> Json:
    return [asdict(answer) for answer in await _phones(desk).resync(arguments.text("mac"))]


_MAC = Parameter("mac")
_HOST = Parameter("host", required=False)

ACTS = (
    Act("device.list", "telephones that set themselves up, and those that have asked", Right.USERS, _list),
    Act("device.families", "families of telephones that can be set up", Right.USERS, _families),
    Act(
        "device.add",
        "let a telephone or an app set itself up for an account",
        Right.USERS,
        _add,
        (
            Parameter("account"),
            Parameter("domain", required=False),
            Parameter("mac", required=False),
            Parameter("family", required=False),
            _HOST,
            Parameter("token_only", Type.FLAG, required=False),
        ),
    ),
    Act("device.remove", "a telephone gets its files no more", Right.USERS, _remove, (_MAC,)),
    Act(
        "device.resync",
        "tell telephones to fetch their files again",
        Right.USERS,
        _resync,
        (Parameter("mac", required=False),),
    ),
    Act("device.show", "what a telephone would be given, without secrets", Right.USERS, _show, (_MAC, _HOST)),
)
