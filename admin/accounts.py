"""Acts on accounts and their aliases."""

from __future__ import annotations

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.ports import Json
from base.failures import Failure
from directory.model import Account, Right
from directory.rights import parse_rights, words
from directory.telnums import checked_telnum

_NAME = Parameter("name")
_DOMAIN = Parameter("domain", required=False)
_CALLS = 50


def _shown(desk: Desk, account: Account) -> dict[str, Json]:
    return {
        "id": account.id,
        "name": account.name,
        "domain": account.domain,
        "real_name": account.real_name,
        "aliases": list(desk.directory.aliases(account.id)),
        "telnums": list(desk.directory.telnums.of(account.id)),
        "rights": words(desk.directory.rights.of(account.id)),
        "pin": desk.directory.has_pin(account.id),
        "locked": _locked(desk, account),
    }


def _locked(desk: Desk, account: Account) -> bool:
    """Whether its calls out of the server are locked."""
    return desk.directory.setting(account.id, "CallOutLocked") == "YES"


async def _unlock(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account_to_change(arguments.text("name"), arguments.text("domain"))
    if not _locked(desk, account):
        raise Failure("invalid", f"calls of {account.address} are not locked")
    await desk.directory.set_setting(account.id, "CallOutLocked", None)
    if _locked(desk, account):
        raise Failure("denied", f"CallOutLocked is set for the domain {account.domain} or for the server")
    return _shown(desk, account)


async def _list(desk: Desk, arguments: Arguments) -> Json:
    domains = desk.domains(arguments.text("domain"))
    return [_shown(desk, account) for domain in domains for account in desk.directory.accounts(domain)]


async def _show(desk: Desk, arguments: Arguments) -> Json:
    return _shown(desk, desk.account(arguments.text("name"), arguments.text("domain")))


async def _add(desk: Desk, arguments: Arguments) -> Json:
    name, _, of = arguments.text("name").partition("@")
    domain = desk.domain(of or arguments.text("domain"))
    pin = arguments.optional("pin")
    _check_pin(pin)
    extension = arguments.optional("extension")
    account = await desk.directory.create_account(
        domain,
        desk.name_to_give(domain, name),
        arguments.text("password"),
        real_name=arguments.text("real_name"),
        extension=None if extension is None else desk.name_to_give(domain, extension),
    )
    if pin:
        await desk.directory.set_pin(account.id, pin)
    return _shown(desk, account)


def _check_pin(pin: str | None) -> None:
    """Before anything is made: an account must not be there with its PIN refused."""
    if pin and not (pin.isascii() and pin.isdigit() and len(pin) <= 16):
        raise Failure("invalid", "a PIN is 1 to 16 digits")


async def _password(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account_to_change(arguments.text("name"), arguments.text("domain"))
    if arguments.optional("password") is not None:
        await desk.directory.set_password(account.id, arguments.text("password"))
    if arguments.optional("pin") is not None:
        await desk.directory.set_pin(account.id, arguments.text("pin") or None)
    return _shown(desk, account)


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account_to_change(arguments.text("name"), arguments.text("domain"))
    if arguments.text("name").partition("@")[0].lower() != account.name:
        raise Failure("invalid", f"{arguments.text('name')} is an alias of {account.address}: give the account's name")
    shown = _shown(desk, account)
    await desk.directory.remove_account(account.id)
    await desk.mailboxes.remove_mail(account.id)
    return shown


async def _alias(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account_to_change(arguments.text("name"), arguments.text("domain"))
    if arguments.flag("remove"):
        await desk.directory.remove_alias(account.id, arguments.text("alias"))
    else:
        await desk.directory.add_alias(account.id, desk.name_to_give(account.domain, arguments.text("alias")))
    return _shown(desk, account)


async def _telnums(desk: Desk, arguments: Arguments) -> Json:
    """Numbers to add and to remove; a number that is there is not added again. No business of a domain alone: whoever
    has a number gets the calls of everybody here to it."""
    account = desk.account_to_change(arguments.text("name"), arguments.text("domain"))
    gone = {checked_telnum(number) for number in arguments.list("remove")}
    async with desk.changing:
        before = desk.directory.telnums.of(account.id)
        if missing := gone - {*before}:
            raise Failure("not-found", f"{account.address} has no number {min(missing)}")
        kept = [number for number in before if number not in gone]
        await desk.directory.telnums.set(account, [*kept, *arguments.list("add")])
    return _shown(desk, account)


async def _calls(desk: Desk, arguments: Arguments) -> Json:
    account = desk.account(arguments.text("name"), arguments.text("domain"))
    return [dict(entry) for entry in await desk.monitor.log(account.id, arguments.number("limit", _CALLS))]


async def _rights(desk: Desk, arguments: Arguments) -> Json:
    """Nobody gives what he has not, and nobody takes from who has more."""
    account = desk.account_to_change(arguments.text("name"), arguments.text("domain"))
    rights = parse_rights(arguments.list("rights"))
    if not desk.actor.outranks(rights):
        raise Failure("denied", f"{desk.actor.name} has not all of these rights himself")
    await desk.directory.rights.set(account, rights)
    return _shown(desk, account)


ADD = Act(
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
    Right.USER_ACCOUNTS,
)

ACTS = (
    Act("account.list", "accounts with their aliases", Right.USERS, _list, (_DOMAIN,), Right.DOMAIN),
    Act("account.show", "one account with its aliases", Right.USERS, _show, (_NAME, _DOMAIN), Right.DOMAIN, own=True),
    ADD,
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
        Right.USER_ACCOUNTS,
        own=True,
    ),
    Act("account.unlock", "let an account call out again", Right.USERS, _unlock, (_NAME, _DOMAIN), Right.LIMITS),
    Act(
        "account.remove", "remove an account and its mail", Right.USERS, _remove, (_NAME, _DOMAIN), Right.USER_ACCOUNTS
    ),
    Act(
        "account.alias",
        "add or remove an alias or extension",
        Right.USERS,
        _alias,
        (_NAME, _DOMAIN, Parameter("alias"), Parameter("remove", Type.FLAG, required=False)),
        Right.CAN_CREATE_ALIASES,
    ),
    Act(
        "account.telnums",
        "add and remove telephone numbers of an account",
        Right.USERS,
        _telnums,
        (_NAME, _DOMAIN, Parameter("add", Type.LIST, required=False), Parameter("remove", Type.LIST, required=False)),
    ),
    Act(
        "account.calls",
        "an account's own list of calls: placed, answered, missed",
        Right.USERS,
        _calls,
        (_NAME, _DOMAIN, Parameter("limit", Type.NUMBER, required=False)),
        Right.DOMAIN,
        own=True,
    ),
    Act(
        "account.rights",
        "what an account may administer, all of it at once",
        Right.USERS,
        _rights,
        (_NAME, _DOMAIN, Parameter("rights", Type.LIST)),
    ),
)
