"""Acts on the server's Network settings (the guide, section V.D), and on sources that are shut out."""

from __future__ import annotations

from dataclasses import asdict

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.ports import Blocks, Json
from base.failures import Failure
from directory.model import Right
from directory.network import NETWORK, known


def _row(desk: Desk, key: str) -> dict[str, Json]:
    settings, row = desk.directory.network_settings, NETWORK[key]
    return {
        "key": key,
        "value": settings.text(key),
        "from": "set" if settings.is_set(key) else "default",
        "fixed": list(settings.fixed_lines(key)),
        "meaning": row.meaning,
    }


async def _show(desk: Desk, arguments: Arguments) -> Json:
    wanted = arguments.text("key")
    return [_row(desk, key) for key in ([known(wanted).key] if wanted else NETWORK)]


async def _set(desk: Desk, arguments: Arguments) -> Json:
    row, value = known(arguments.text("key")), arguments.optional("value")
    if arguments.flag("default") == (value is not None):
        raise Failure("invalid", f"give a value for {row.key}, or --default")
    await desk.directory.network_settings.set(row.key, value)
    return _row(desk, row.key)


def _blocks(desk: Desk) -> Blocks:
    if desk.blocks is None:
        raise Failure("unavailable", "this server shuts nobody out")
    return desk.blocks


async def _blocked(desk: Desk, arguments: Arguments) -> Json:
    return [asdict(row) for row in _blocks(desk).blocked()]


async def _unblock(desk: Desk, arguments: Arguments) -> Json:
    if not _blocks(desk).lift(arguments.text("address")):
        raise Failure("not-found", f"{arguments.text('address')} is not shut out")
    return {"address": arguments.text("address")}


ACTS = (
    Act(
        "network.show",
        "Client IPs, LAN IPs, trusted peers, relaying, blocking",
        Right.SETTINGS,
        _show,
        (Parameter("key", required=False),),
    ),
    Act(
        "network.set",
        "change one of the network settings; the next request sees it",
        Right.SETTINGS,
        _set,
        (
            Parameter("key"),
            Parameter("value", required=False),
            Parameter("default", Type.FLAG, required=False),
        ),
    ),
    Act("network.blocked", "sources that are shut out after failed logins", Right.MONITOR, _blocked),
    Act("network.unblock", "let a source in again", Right.SETTINGS, _unblock, (Parameter("address"),)),
)
