"""Acts on telephones that set themselves up."""

from __future__ import annotations

from dataclasses import asdict

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.ports import Json, PhoneRow, Phones
from base.failures import Failure
from directory.model import Right


def _phones(desk: Desk) -> Phones:
    if desk.phones is None:
        raise Failure("unavailable", "this server sets up no telephones: [provisioning] is off")
    return desk.phones


def _of_mac(desk: Desk, arguments: Arguments) -> str:
    """The MAC address, when its telephone is in the actor's reach. Raises Failure("denied" | "invalid")."""
    mac = arguments.text("mac")
    if not desk.sees(_phones(desk).owner(mac)):
        raise Failure("denied", f"{mac} is no telephone of {desk.domain('')}")
    return mac


async def _list(desk: Desk, arguments: Arguments) -> Json:
    """Those that are nobody's are shown to who sees the whole server."""
    return [asdict(row) for row in _rows(desk)]


def _rows(desk: Desk) -> list[PhoneRow]:
    accounts = {account.address for domain in desk.domains() for account in desk.directory.accounts(domain)}
    return [row for row in _phones(desk).rows() if row.account in accounts or desk.sees(None)]


async def _families(desk: Desk, arguments: Arguments) -> Json:
    return [{"family": name, "title": title} for name, title in _phones(desk).families()]


async def _add(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account_to_change(arguments.text("account"), arguments.text("domain"))
    phones, mac = _phones(desk), arguments.text("mac")
    if mac and phones.owner(mac) is not None:
        _of_mac(desk, arguments)
    link = await phones.add(
        account,
        mac,
        arguments.text("family"),
        arguments.text("host") or account.domain,
        by_mac=not arguments.flag("token_only"),
    )
    return {**asdict(link), "account": account.address}


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    await _phones(desk).remove(_of_mac(desk, arguments))
    return {"mac": arguments.text("mac")}


async def _show(desk: Desk, arguments: Arguments) -> Json:
    files = _phones(desk).show(_of_mac(desk, arguments), arguments.text("host") or desk.domain(""))
    return [{"file": path, "content": content.decode("utf-8", "replace")} for path, content in files]


async def _resync(desk: Desk, arguments: Arguments) -> Json:
    one = arguments.text("mac")
    macs = [_of_mac(desk, arguments)] if one else [row.mac for row in _rows(desk) if row.account]
    return [asdict(answer) for answer in await _phones(desk).resync(macs)]


_MAC = Parameter("mac")
_HOST = Parameter("host", required=False)

ACTS = (
    Act(
        "device.list",
        "telephones that set themselves up, and those that have asked",
        Right.USERS,
        _list,
        (),
        Right.DOMAIN,
    ),
    Act("device.families", "families of telephones that can be set up", Right.USERS, _families, (), Right.DOMAIN),
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
        Right.USER_ACCOUNTS,
    ),
    Act("device.remove", "a telephone gets its files no more", Right.USERS, _remove, (_MAC,), Right.USER_ACCOUNTS),
    Act(
        "device.show",
        "what a telephone would be given, without secrets",
        Right.USERS,
        _show,
        (_MAC, _HOST),
        Right.DOMAIN,
    ),
    Act(
        "device.resync",
        "tell telephones to fetch their files again",
        Right.USERS,
        _resync,
        (Parameter("mac", required=False),),
        Right.USER_ACCOUNTS,
    ),
)
