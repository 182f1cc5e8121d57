"""Acts on accounts and their aliases."""

from __future__ import annotations

from admin.acts import Act, Arguments, Desk, Parameter, Type
from admin.ports import Json
from admin.rights import Right
from base.failures import Failure
from directory.model import Account

_NAME = Parameter("name")
_DOMAIN = Parameter("domain", required=False)


def _shown(desk: Desk, account: Account) -> dict[str, Json]:
    return {
        "id": account.id,
        "name": account.name,
        "domain": account.domain,
        "real_name": account.real_name,
        "aliases": list(desk.directory.aliases(account.id)),
        "pin": desk.directory.has_pin(account.id),
        "locked": _locked(desk, account),
    }


def _locked(desk: Desk, account: Account) -> bool:
    """Whether its calls out of the server are locked."""
    return desk.directory.setting(account.id, "CallOutLocked") == "YES"


async def _unlock(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account(arguments.text("name"), arguments.text("domain"))
    if not _locked(desk, account):
        raise Failure("invalid", f"calls of {account.address} are not locked")
    await desk.directory.set_setting(account.id, "CallOutLocked", None)
    if _locked(desk, account):
        raise Failure("denied", f"CallOutLocked is set for the domain {account.domain} or for the server")
    return _shown(desk, account)


async def _list(desk: Desk, arguments: Arguments) -> Json:
    domain = desk.domain(arguments.text("domain")) if arguments.text("domain") else None
    return [_shown(desk, account) for account in desk.directory.accounts(domain)]


async def _show(desk: Desk, arguments: Arguments) -> Json:
    return _shown(desk, desk.account(arguments.text("name"), arguments.text("domain")))


async def _add(desk: Desk, arguments: Arguments) -> Json:
    name, _, of = arguments.text("name").partition("@")
    domain = desk.domain(of or arguments.text("domain"))
    pin = arguments.optional("pin")
    _check_pin(pin)
    account = await desk.directory.create_account(
        domain,
        name,
        arguments.text("password"),
        real_name=arguments.text("real_name"),
        extension=arguments.optional("extension"),
    )
    if pin:
        await desk.directory.set_pin(account.id, pin)
    return _shown(desk, account)


def _check_pin(pin: str | None) -> None:
    """Before anything is made: an account must not be there with its PIN refused."""
    if pin and not (pin.isascii() and pin.isdigit() and len(pin) <= 16):
        raise Failure("invalid", "a PIN is 1 to 16 digits")


async def _password(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account(arguments.text("name"), arguments.text("domain"))
    if arguments.optional("password") is not None:
        await desk.directory.set_password(account.id, arguments.text("password"))
    if arguments.optional("pin") is not None:
        await desk.directory.set_pin(account.id, arguments.text("pin") or None)
    return _shown(desk, account)


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account(arguments.text("name"), arguments.text("domain"))
    if arguments.text("name").partition("@")[0].lower() != account.name:
        raise Failure("invalid", f"{arguments.text('name')} is an alias of {account.address}: give the account's name")
    shown = _shown(desk, account)
    await desk.directory.remove_account(account.id)
    await desk.mailboxes.remove_mail(account.id)
    return shown


async def _alias(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account(arguments.text("name"), arguments.text("domain"))
    if arguments.flag("remove"):
        await desk.directory.remove_alias(account.id, arguments.text("alias"))
    else:
        await desk.directory.add_alias(account.id, arguments.text("alias"))
    return _shown(desk, account)


ACTS = (
    Act("account.list", "accounts with their aliases", Right.USERS, _list, (_DOMAIN,)),
    Act("account.show", "one account with its aliases", Right.USERS, _show, (_NAME, _DOMAIN)),
    Act(
        "account.add",
        "make an account",
        Right.USERS,
        _add,
        (
            _NAME,
            _DOMAIN,
            Parameter("password", secret=True),
            Parameter("extension", required=False),
            Parameter("real_name", required=False),
            Parameter("pin", required=False, secret=True),
        ),
    ),
    Act(
        "account.password",
        "set the password or the mailbox PIN",
        Right.USERS,
        _password,
        (
            _NAME,
            _DOMAIN,
            Parameter("password", required=False, secret=True),
            Parameter("pin", required=False, secret=True),
        ),
    ),
    Act("account.unlock", "let an account call out again", Right.USERS, _unlock, (_NAME, _DOMAIN)),
    Act("account.remove", "remove an account and its mail", Right.USERS, _remove, (_NAME, _DOMAIN)),
    Act(
        "account.alias",
        "add or remove an alias or extension",
        Right.USERS,
        _alias,
        (_NAME, _DOMAIN, Parameter("alias"), Parameter("remove", Type.FLAG, required=False)),
    ),
)
