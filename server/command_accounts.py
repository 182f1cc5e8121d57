"""`tandem account`, `tandem domain`, `tandem setting`."""

from __future__ import annotations

from typing import Annotated

import typer

from admin.ports import Json
from base.entropy import SystemEntropy
from server.command_output import (
    DataOption,
    DomainOption,
    JsonOption,
    Row,
    ask,
    fail,
    row,
    rows,
    say,
    show_json,
    show_pairs,
    show_rows,
)

accounts = typer.Typer(help="Accounts: people and services.", no_args_is_help=True)
domains = typer.Typer(help="Domains of this server.", no_args_is_help=True)
settings = typer.Typer(help="Settings of accounts, domains and the server.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="alice, 201, or alice@domain.")]
PasswordOption = Annotated[
    str | None, typer.Option("--password", metavar="P", help="The password; one is made and printed when left out.")
]
PinOption = Annotated[
    str | None, typer.Option("--pin", metavar="DIGITS", help="Digits that open the mailbox by phone.")
]

_ACCOUNT_COLUMNS = {
    "name": "NAME",
    "domain": "DOMAIN",
    "aliases": "ALIASES",
    "telnums": "NUMBERS",
    "real_name": "REAL NAME",
    "pin": "PIN",
    "locked": "LOCKED",
    "rights": "RIGHTS",
}


@accounts.command("list")
def account_list(data: DataOption = None, domain: DomainOption = None, as_json: JsonOption = False) -> None:
    """List accounts with their aliases.

    Example: tandem account list --json
    """
    listing = rows(ask(data, "account.list", domain=domain))
    show_rows(listing, _ACCOUNT_COLUMNS, as_json=as_json, empty="no accounts")


@accounts.command("add")
def account_add(
    name: NameArgument,
    password: PasswordOption = None,
    extension: Annotated[str | None, typer.Option("--extension", metavar="N", help="A number to dial.")] = None,
    real_name: Annotated[str | None, typer.Option("--real-name", help="Shown to the people called.")] = None,
    pin: PinOption = None,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an account.

    Example: tandem account add carol --password s3cret --extension 203
    """
    chosen = password if password is not None else SystemEntropy().password()
    made = row(
        ask(
            data,
            "account.add",
            name=name,
            password=chosen,
            extension=extension,
            real_name=real_name,
            pin=pin,
            domain=domain,
        )
    )
    shown: dict[str, Json] = {**made, **({} if password is not None else {"password": chosen})}
    if as_json:
        show_json(shown)
        return
    say(f"account {made.get('name')}@{made.get('domain')} is there")
    if password is None:
        say(f"password {chosen}")


@accounts.command("password")
def account_password(
    name: NameArgument,
    new: Annotated[str | None, typer.Argument(metavar="[PASSWORD]", help="Asked for when left out.")] = None,
    password: Annotated[str | None, typer.Option("--password", metavar="P", help="The same as an option.")] = None,
    pin: PinOption = None,
    domain: DomainOption = None,
    data: DataOption = None,
) -> None:
    """Set the password, or with --pin the digits of the mailbox (--pin "" removes them).

    Examples: tandem account password alice · tandem account password alice --pin 4711
    """
    chosen = new if new is not None else password
    if chosen is None and pin is None:
        chosen = str(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
    ask(data, "account.password", name=name, password=chosen, pin=pin, domain=domain)
    say(f"{'password' if chosen is not None else 'PIN'} of {name} is set")


@accounts.command("alias")
def account_alias(
    name: NameArgument,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[add|remove] ALIAS", help="Another name; a number is an extension.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias away.")] = False,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the aliases and extensions of an account, add one, or remove one.

    Examples: tandem account alias alice list · tandem account alias alice add 210 · tandem account alias alice 210 ·
    tandem account alias alice remove 210
    """
    match words or ["list"]:
        case ["list"]:
            made = row(ask(data, "account.show", name=name, domain=domain))
        case ["add" | "remove" as verb, alias]:
            made = row(ask(data, "account.alias", name=name, alias=alias, remove=verb == "remove", domain=domain))
        case [alias]:
            made = row(ask(data, "account.alias", name=name, alias=alias, remove=remove, domain=domain))
        case _:
            raise typer.BadParameter("give one alias, after add or remove")
    _show_part(made, "aliases", "no aliases", as_json=as_json)


@accounts.command("show")
def account_show(
    name: NameArgument,
    settings_too: Annotated[
        bool, typer.Option("--settings", help="Its settings too, inherited ones as default(…).")
    ] = False,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one account. LOCKED tells whether its calls out of the server are locked.

    Example: tandem account show alice --settings
    """
    there = dict(row(ask(data, "account.show", name=name, domain=domain)))
    listing = rows(ask(data, "setting.get", account=name, domain=domain)) if settings_too else []
    if as_json and settings_too:
        there["settings"] = [dict(item) for item in listing]
    show_pairs(there, as_json=as_json)
    if settings_too and not as_json:
        _show_settings(listing, name)


@accounts.command("rights")
def account_rights(
    name: NameArgument,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[set RIGHT ...|none]", help="Shown when left out.")
    ] = None,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an account may administer, or set all of it.

    On the server (accounts of the main domain): Master, Settings, Users, Monitor, Recordings. In its own domain:
    Domain, BasicSettings, UserAccounts, CanCreateAliases, CanCreateGroups, CanCreateForwarders, Limits,
    CanImpersonate.

    Examples: tandem account rights alice set UserAccounts CanCreateAliases · tandem account rights alice none
    """
    match words or []:
        case []:
            there = row(ask(data, "account.show", name=name, domain=domain))
        case ["none"]:
            there = row(ask(data, "account.rights", name=name, domain=domain, rights=[]))
        case ["set", *rights] if rights:
            there = row(ask(data, "account.rights", name=name, domain=domain, rights=list(rights)))
        case _:
            raise typer.BadParameter("give the rights after set, or none")
    _show_part(there, "rights", "no rights", as_json=as_json)


@accounts.command("number")
def account_number(
    name: NameArgument,
    add: Annotated[list[str] | None, typer.Option("--add", metavar="+N", help="May be given again.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="+N", help="May be given again.")] = None,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the telephone numbers of an account, or change them.

    Example: tandem account number alice --add '+49 30 123456'
    """
    if add or remove:
        given: dict[str, Json] = {"add": list(add or []), "remove": list(remove or [])}
        there = row(ask(data, "account.telnums", name=name, domain=domain, **given))
    else:
        there = row(ask(data, "account.show", name=name, domain=domain))
    _show_part(there, "telnums", "no numbers", as_json=as_json)


@accounts.command("calls")
def account_calls(
    name: NameArgument,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="The last N calls.")] = 50,
    missed: Annotated[bool, typer.Option("--missed", help="Only those that it has missed.")] = False,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an account's own list of calls: placed, answered, missed.

    Example: tandem account calls alice --missed
    """
    listing = rows(ask(data, "account.calls", name=name, domain=domain, limit=limit))
    columns = {"at": "TIME", "kind": "CALL", "party": "WITH", "name": "NAME", "seconds": "SECONDS", "note": "NOTE"}
    shown = [item for item in listing if not missed or item.get("kind") == "missed"]
    show_rows(shown, columns, as_json=as_json, empty="no calls")


def _show_part(account: Row, key: str, empty: str, *, as_json: bool) -> None:
    """One list of those that an account has."""
    if as_json:
        show_json(account.get(key))
    else:
        say(f"{account.get('name')}@{account.get('domain')}: {_plain(account.get(key)) or empty}")


@accounts.command("unlock")
def account_unlock(name: NameArgument, domain: DomainOption = None, data: DataOption = None) -> None:
    """Let an account call out of the server again, after it was locked on suspicion of fraud.

    Example: tandem account unlock alice
    """
    there = row(ask(data, "account.unlock", name=name, domain=domain))
    say(f"{there.get('name')}@{there.get('domain')} may call out again")


@accounts.command("remove")
def account_remove(name: NameArgument, domain: DomainOption = None, data: DataOption = None) -> None:
    """Remove an account and all its mail.

    Example: tandem account remove carol
    """
    gone = row(ask(data, "account.remove", name=name, domain=domain))
    say(f"account {gone.get('name')}@{gone.get('domain')} is removed")


@domains.command("list")
def domain_list(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List domains, the main one first."""
    columns = {"name": "DOMAIN", "main": "MAIN", "accounts": "ACCOUNTS"}
    show_rows(rows(ask(data, "domain.list")), columns, as_json=as_json, empty="no domains")


@domains.command("add")
def domain_add(
    name: Annotated[str, typer.Argument(metavar="DOMAIN")],
    alias_of: Annotated[str | None, typer.Option("--alias-of", help="Only one more name of this domain.")] = None,
    data: DataOption = None,
) -> None:
    """Make a domain.

    Examples: tandem domain add example.org · tandem domain add example.net --alias-of example.org
    """
    made = row(ask(data, "domain.add", name=name, alias_of=alias_of))
    say(f"domain {made.get('name')} is there")


@domains.command("remove")
def domain_remove(name: Annotated[str, typer.Argument(metavar="DOMAIN")], data: DataOption = None) -> None:
    """Remove a domain that has no accounts any more; of an alias, only that name."""
    say(f"domain {row(ask(data, 'domain.remove', name=name)).get('name')} is removed")


OwnerArgument = Annotated[
    str, typer.Argument(metavar="OWNER", help="An account; @example.org: that domain; @: the whole server.")
]


@settings.command("get")
def setting_get(
    owner: OwnerArgument,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="All settings when left out.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show settings and where each comes from.

    Examples: tandem setting get alice · tandem setting get alice VoicemailAfter · tandem setting get @ Operator
    """
    listing = rows(ask(data, "setting.get", key=key, **_owner(owner)))
    if as_json:
        show_json([dict(item) for item in listing])
    else:
        _show_settings(listing, owner)


@settings.command("set")
def setting_set(
    owner: OwnerArgument,
    key: Annotated[str, typer.Argument(metavar="KEY")],
    value: Annotated[str | None, typer.Argument(metavar="VALUE")] = None,
    default: Annotated[bool, typer.Option("--default", help="Forget the value; the inherited one counts.")] = False,
    data: DataOption = None,
) -> None:
    """Change a setting of an account, of a domain, or of the whole server.

    Examples: tandem setting set alice VoicemailAfter 20 · tandem setting set @ Operator bob
    """
    if default == (value is not None):
        fail("give a value, or --default")
    changed = row(ask(data, "setting.set", key=key, value=value, default=default, **_owner(owner)))
    say(f"{changed.get('key')} = {_plain(changed.get('value'))}")


def _show_settings(listing: list[Row], owner: str) -> None:
    columns = {"key": "SETTING", "value": "VALUE", "from": "FROM", "meaning": "MEANING"}
    shown: list[Row] = [{**item, "value": _inherited(item, owner)} for item in listing]
    show_rows(shown, columns, as_json=False, empty="no settings")


def _inherited(setting: Row, owner: str) -> str:
    """The value, as `default(…)` when it is not the owner's own."""
    own = "server" if owner == "@" else "domain" if owner.startswith("@") else "account"
    value = _plain(setting.get("value"))
    return value if setting.get("from") == own else f"default({value})"


def _owner(text: str) -> dict[str, Json]:
    if text == "@":
        return {}
    return {"domain": text[1:]} if text.startswith("@") else {"account": text}


def _plain(value: Json) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
