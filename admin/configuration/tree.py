"""The tree of files that a configuration is written as, and read from. Pure: files are a mapping of path to octets.

server.toml                          main domain, settings, network, workarounds
router.txt, rules.txt                the Router's table; the server's free rules
trunks/NAME.toml
domains/DOMAIN/domain.toml           aliases, settings, groups, forwarders
domains/DOMAIN/rules.txt
domains/DOMAIN/accounts/NAME.toml    real name, aliases, settings
domains/DOMAIN/accounts/NAME.rules.txt
environment/[LANGUAGE/]NAME          prompts and programs of the server
domains/DOMAIN/environment/[LANGUAGE/]NAME
secrets.toml                         passwords and PINs; only when asked for

Everything is sorted and what is at its default is left out, so that two trees are compared line by line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields

import tomlkit
from tomlkit.container import Container
from tomlkit.items import Array, Item, Table

from admin.configuration.state import AccountState, DomainState, Secrets, Settings, State
from admin.ports import FilePlace
from base.values.kinds import Value
from base.values.text import format_value
from directory.model import Ring
from pbx.trunk.model import Trunk

SERVER, ROUTER, RULES, SECRETS = "server.toml", "router.txt", "rules.txt", "secrets.toml"
DOMAIN, ACCOUNTS, ENVIRONMENT, DOMAINS, TRUNKS = "domain.toml", "accounts", "environment", "domains", "trunks"
ROOTS = (SERVER, ROUTER, RULES, SECRETS, TRUNKS, DOMAINS, ENVIRONMENT)
ACCOUNT_RULES = ".rules.txt"
TEXT_FORM = "text"
"""The key of `{ text = "…" }`: a value that TOML has no shape for, in its textual form."""

Files = Mapping[str, bytes]


def write(state: State) -> dict[str, bytes]:
    """Paths with `/` between their parts."""
    files = {SERVER: _document(_server(state)), ROUTER: state.router.encode(), RULES: state.rules.encode()}
    for name, trunk in state.trunks.items():
        files[f"{TRUNKS}/{name}.toml"] = _document(_trunk(trunk))
    for name, domain in state.domains.items():
        files |= {f"{DOMAINS}/{name}/{path}": content for path, content in _domain_files(domain)}
    files |= {file_path(place): content for place, content in state.files.items()}
    if state.secrets != Secrets():
        files[SECRETS] = _document(_secrets(state.secrets))
    return {path: files[path] for path in sorted(files) if files[path]}


def file_path(place: FilePlace) -> str:
    """Where a prompt or program lies in the tree."""
    base = f"{DOMAINS}/{place.domain}/{ENVIRONMENT}" if place.domain else ENVIRONMENT
    return "/".join(part for part in (base, place.language, place.name) if part)


def _domain_files(domain: DomainState) -> Iterable[tuple[str, bytes]]:
    table = tomlkit.document()
    _put(table, "aliases", [*domain.aliases])
    _put_table(table, "settings", domain.settings)
    _put_table(table, "groups", {name: [*members] for name, members in domain.groups.items()})
    _put_rings(table, domain.rings)
    _put_table(table, "forwarders", dict(domain.forwarders))
    yield DOMAIN, _document(table) or b"# all at its defaults\n"
    yield RULES, domain.rules.encode()
    for name, account in domain.accounts.items():
        yield f"{ACCOUNTS}/{name}.toml", _document(_account(account)) or b"# all at its defaults\n"
        yield f"{ACCOUNTS}/{name}{ACCOUNT_RULES}", account.rules.encode()


def _server(state: State) -> tomlkit.TOMLDocument:
    table = tomlkit.document()
    table.add("main_domain", tomlkit.item(state.main_domain))
    _put_table(table, "settings", state.settings)
    _put_table(table, "network", dict(state.network))
    rows = tomlkit.aot()
    for (who, what), (done, note) in sorted(state.workarounds.items()):
        row = tomlkit.table()
        row.add("device", who)
        row.add("do", what)
        if not done:
            row.add("off", tomlkit.item(True))
        if note:
            row.add("note", note)
        rows.append(row)
    if rows:
        table.add("workarounds", rows)
    return table


def _account(account: AccountState) -> tomlkit.TOMLDocument:
    table = tomlkit.document()
    if account.real_name:
        table.add("real_name", tomlkit.item(account.real_name))
    _put(table, "aliases", [*account.aliases])
    _put(table, "telnums", [*account.telnums])
    _put(table, "rights", [*account.rights])
    _put_table(table, "settings", account.settings)
    return table


def _trunk(trunk: Trunk) -> tomlkit.TOMLDocument:
    usual = {field.name: field.default for field in fields(Trunk)}
    table = tomlkit.document()
    for key, value in asdict(trunk).items():
        if key != "name" and value != usual[key]:
            table.add(key, tomlkit.item([*value] if isinstance(value, tuple) else value))
    return table


def _secrets(secrets: Secrets) -> tomlkit.TOMLDocument:
    table = tomlkit.document()
    _put_table(table, "passwords", dict(secrets.passwords))
    _put_table(table, "pins", dict(secrets.pins))
    _put_table(table, "trunks", dict(secrets.trunks))
    return table


def _put_rings(table: Container, rings: Mapping[str, Ring]) -> None:
    if not rings:
        return
    inner = tomlkit.table()
    for name, ring in sorted(rings.items()):
        values = tomlkit.inline_table()
        values.update({"order": ring.order.value, "step": ring.step} | ({"then": ring.then} if ring.then else {}))
        inner.add(name, values)
    table.add("rings", inner)


def _put_table(table: Container, key: str, values: Settings) -> None:
    if not values:
        return
    inner = tomlkit.table()
    for name, value in sorted(values.items()):
        _put(inner, name, value)
    table.add(key, inner)


def _put(table: Container | Table, key: str, value: Value) -> None:
    """An empty list of what an account has is left out; an empty list of addresses is a value of a setting."""
    if value == [] and key in ("aliases", "telnums", "rights"):
        return
    table.add(key, _item(value))


def _item(value: Value) -> Item:
    if isinstance(value, str | int) and _is_plain(value):
        return tomlkit.item(value)
    if isinstance(value, list) and all(isinstance(item, str) and _is_plain(item) for item in value):
        array: Array = tomlkit.array()
        array.extend(value)
        long = sum(len(str(item)) + 4 for item in value) > 90
        return array.multiline(long)
    inline = tomlkit.inline_table()
    inline.append(TEXT_FORM, format_value(value))
    return inline


def _is_plain(value: str | int) -> bool:
    """Octets that are no UTF-8 are kept as surrogates, which TOML does not know."""
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)


def _document(table: tomlkit.TOMLDocument) -> bytes:
    return tomlkit.dumps(table).encode()
