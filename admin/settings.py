"""Acts on settings: of an account, of a domain, of the server (spec: cgp-server §2, inheritance)."""

from __future__ import annotations

from admin.acts import Act, Arguments, Desk, Parameter, Type
from admin.ports import Json
from admin.rights import Right
from base.failures import Failure
from base.values.kinds import Value
from base.values.text import format_value
from directory.settings import SETTINGS, known

_OWNER = (Parameter("account", required=False), Parameter("domain", required=False))


def _plain(value: Value) -> Json:
    """Text, numbers and lists of them as they are; anything else in its textual form."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [str(item) for item in value]
    return format_value(value)


async def _get(desk: Desk, arguments: Arguments) -> Json:
    wanted = arguments.text("key")
    keys = [known(wanted).key] if wanted else list(SETTINGS)
    return [_row(desk, arguments, key) for key in keys]


def _row(desk: Desk, arguments: Arguments, key: str) -> Json:
    directory, row = desk.directory, SETTINGS[key]
    if not arguments.text("account"):
        domain = desk.domain(arguments.text("domain"))
        value, where = _plain(directory.domain_setting(domain, key)), "inherited"
    else:
        account = desk.account(arguments.text("account"), arguments.text("domain"))
        where = "account" if key in directory.own_settings(account.id) else "inherited"
        value = _plain(directory.setting(account.id, key))
        if key == "PIN":
            value = "(set)" if directory.has_pin(account.id) else None
    return {"key": key, "value": value, "from": where, "kind": row.kind.value, "meaning": row.meaning}


async def _set(desk: Desk, arguments: Arguments) -> Json:
    row = known(arguments.text("key"))
    if arguments.flag("default"):
        value: Value = None
    elif arguments.optional("value") is None:
        raise Failure("invalid", f"give a value for {row.key}, or --default")
    else:
        value = arguments.text("value")
    if arguments.text("account"):
        account = desk.account(arguments.text("account"), arguments.text("domain"))
        await desk.directory.set_setting(account.id, row.key, value)
    elif arguments.text("domain"):
        await desk.directory.set_domain_setting(arguments.text("domain"), row.key, value)
    else:
        await desk.directory.set_server_setting(row.key, value)
    return _row(desk, arguments, row.key)


ACTS = (
    Act(
        "setting.get",
        "settings and where each comes from",
        Right.USERS,
        _get,
        (*_OWNER, Parameter("key", required=False)),
    ),
    Act(
        "setting.set",
        "change a setting of an account, a domain or the server",
        Right.USERS,
        _set,
        (
            *_OWNER,
            Parameter("key"),
            Parameter("value", required=False, secret=True),  # it may be a PIN
            Parameter("default", Type.FLAG, required=False),
        ),
    ),
)
