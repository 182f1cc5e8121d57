"""Acts on prompts: the sounds of the server's or a domain's environment."""

from __future__ import annotations

import base64

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.ports import Json, PromptInfo
from directory.model import Right

_NAME = Parameter("name")
_WHERE = (Parameter("domain", required=False), Parameter("language", required=False))


def _shown(info: PromptInfo) -> Json:
    return {"name": info.name, "level": info.level, "size": info.size, "digest": info.digest}


def _where(desk: Desk, arguments: Arguments) -> tuple[str, str]:
    domain = arguments.text("domain")
    if not domain:
        desk.whole_server()
    return (desk.domain(domain) if domain else "", arguments.text("language"))


async def _list(desk: Desk, arguments: Arguments) -> Json:
    return [_shown(info) for info in await desk.prompts.list(*_where(desk, arguments))]


async def _put(desk: Desk, arguments: Arguments) -> Json:
    where = _where(desk, arguments)
    return _shown(await desk.prompts.put(arguments.text("name"), arguments.data("data"), *where))


async def _get(desk: Desk, arguments: Arguments) -> Json:
    data = await desk.prompts.get(arguments.text("name"), *_where(desk, arguments))
    return {"name": arguments.text("name"), "data": base64.b64encode(data).decode()}


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    await desk.prompts.remove(arguments.text("name"), *_where(desk, arguments))
    return {"name": arguments.text("name")}


ACTS = (
    Act("prompts.list", "prompts with the level that each comes from", Right.MONITOR, _list, _WHERE, Right.DOMAIN),
    Act(
        "prompts.put",
        "convert and install a prompt",
        Right.USERS,
        _put,
        (_NAME, Parameter("data", Type.DATA), *_WHERE),
        Right.BASIC_SETTINGS,
    ),
    Act("prompts.get", "the prompt as it is played", Right.MONITOR, _get, (_NAME, *_WHERE), Right.DOMAIN),
    Act("prompts.remove", "remove a custom prompt", Right.USERS, _remove, (_NAME, *_WHERE), Right.BASIC_SETTINGS),
)
