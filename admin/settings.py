"""Acts on settings: of an account, of a domain, of the server (spec: cgp-server §2, inheritance)."""

from __future__ import annotations

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.owners import OWNER, Owner, owner, owner_to_change
from admin.ports import Json
from base.failures import Failure
from base.values.kinds import Value
from base.values.text import format_value
from directory.model import Right
from directory.settings import SETTINGS, known


def _plain(value: Value) -> Json:
    """Text, numbers and lists of them as they are; anything else in its textual form."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [str(item) for item in value]
    return format_value(value)


async def _get(desk: Desk, arguments: Arguments) -> Json:
    wanted, of = arguments.text("key"), owner(desk, arguments)
    keys = [known(wanted).key] if wanted else list(SETTINGS)
    return [_row(desk, of, key) for key in keys]


def _row(desk: Desk, of: Owner, key: str) -> Json:
    directory, row = desk.directory, SETTINGS[key]
    found = directory.found_setting(key, account_id=of.account_id, domain=of.domain)
    value, where = _plain(found.value), str(found.level)
    if key == "PIN" and of.account is not None and directory.has_pin(of.account.id):
        value, where = "(set)", "account"
    return {"key": key, "value": value, "from": where, "kind": row.kind.value, "meaning": row.meaning}


async def _set(desk: Desk, arguments: Arguments) -> Json:
    row, of = known(arguments.text("key")), owner_to_change(desk, arguments)
    if row.limit:
        desk.needs(Right.LIMITS)
    if arguments.flag("default"):
        value: Value = None
    elif arguments.optional("value") is None:
        raise Failure("invalid", f"give a value for {row.key}, or --default")
    else:
        value = arguments.text("value")
    if of.account is not None:
        await desk.directory.set_setting(of.account.id, row.key, value)
    elif of.domain is not None:
        await desk.directory.set_domain_setting(of.domain, row.key, value)
    else:
        await desk.directory.set_server_setting(row.key, value)
    return _row(desk, of, row.key)


ACTS = (
    Act(
        "setting.get",
        "settings and where each comes from",
        Right.USERS,
        _get,
        (*OWNER, Parameter("key", required=False)),
        Right.DOMAIN,
    ),
    Act(
        "setting.set",
        "change a setting of an account, a domain or the server",
        Right.USERS,
        _set,
        (
            *OWNER,
            Parameter("key"),
            Parameter("value", required=False, secret=True),  # it may be a PIN
            Parameter("default", Type.FLAG, required=False),
        ),
        Right.DOMAIN,  # and more, by what is changed
    ),
)
