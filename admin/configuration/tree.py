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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields

import tomlkit
from tomlkit.items import Array, Item, SingleKey

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

DEFAULTS = b"# all at its defaults\n"

Files = Mapping[str, bytes]


def write(state: State) -> dict[str, bytes]:
    """Paths with `/` between their parts."""
    files = {SERVER: _server(state), ROUTER: state.router.encode(), RULES: state.rules.encode()}
    for name, trunk in state.trunks.items():
        files[f"{TRUNKS}/{name}.toml"] = _trunk(trunk)
    for name, domain in state.domains.items():
        files |= {f"{DOMAINS}/{name}/{path}": content for path, content in _domain_files(domain)}
    files |= {file_path(place): content for place, content in state.files.items()}
    if state.secrets != Secrets():
        files[SECRETS] = _secrets(state.secrets)
    return {path: files[path] for path in sorted(files) if files[path]}


def file_path(place: FilePlace) -> str:
    """Where a prompt or program lies in the tree."""
    base = f"{DOMAINS}/{place.domain}/{ENVIRONMENT}" if place.domain else ENVIRONMENT
    return "/".join(part for part in (base, place.language, place.name) if part)


def _domain_files(domain: DomainState) -> Iterable[tuple[str, bytes]]:
    document = _Document()
    document.put_own("aliases", domain.aliases)
    document.table("settings", domain.settings)
    document.table("groups", {name: [*members] for name, members in domain.groups.items()})
    document.rings(domain.rings)
    document.table("forwarders", dict(domain.forwarders))
    yield DOMAIN, document.content or DEFAULTS
    yield RULES, domain.rules.encode()
    for name, account in domain.accounts.items():
        yield f"{ACCOUNTS}/{name}.toml", _account(account) or DEFAULTS
        yield f"{ACCOUNTS}/{name}{ACCOUNT_RULES}", account.rules.encode()


def _server(state: State) -> bytes:
    document = _Document()
    document.put("main_domain", state.main_domain)
    document.table("settings", state.settings)
    document.table("network", dict(state.network))
    for (who, what), (done, note) in sorted(state.workarounds.items()):
        document.heading("[[workarounds]]")
        document.put("device", who)
        document.put("do", what)
        if not done:
            document.put("off", value=True)
        if note:
            document.put("note", note)
    return document.content


def _account(account: AccountState) -> bytes:
    document = _Document()
    if account.real_name:
        document.put("real_name", account.real_name)
    document.put_own("aliases", account.aliases)
    document.put_own("telnums", account.telnums)
    document.put_own("rights", account.rights)
    document.table("settings", account.settings)
    return document.content


def _trunk(trunk: Trunk) -> bytes:
    usual = {field.name: field.default for field in fields(Trunk)}
    document = _Document()
    for key, value in asdict(trunk).items():
        if key != "name" and value != usual[key]:
            document.put(key, [*value] if isinstance(value, tuple) else value)
    return document.content


def _secrets(secrets: Secrets) -> bytes:
    document = _Document()
    document.table("passwords", dict(secrets.passwords))
    document.table("pins", dict(secrets.pins))
    document.table("trunks", dict(secrets.trunks))
    return document.content


class _Document:
    """One TOML document as it is written, a line each. Values are tomlkit's; its documents take five times as long,
    which counts with ten thousand accounts."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    @property
    def content(self) -> bytes:
        return "".join(f"{line}\n" for line in self._lines).encode()

    def put(self, key: str, value: Value) -> None:
        self._lines.append(f"{_key(key)} = {_item(value).as_string()}")

    def put_own(self, key: str, names: Sequence[str]) -> None:
        """What an account or a domain has; nothing is left out."""
        if names:
            self.put(key, [*names])

    def heading(self, text: str) -> None:
        self._lines += ["", text] if self._lines else [text]

    def table(self, name: str, values: Settings) -> None:
        """Sorted by key; an empty one is left out."""
        if values:
            self.heading(f"[{name}]")
        for key, value in sorted(values.items()):
            self.put(key, value)

    def rings(self, rings: Mapping[str, Ring]) -> None:
        if rings:
            self.heading("[rings]")
        for name, ring in sorted(rings.items()):
            values = tomlkit.inline_table()
            values.update({"order": ring.order.value, "step": ring.step} | ({"then": ring.then} if ring.then else {}))
            self._lines.append(f"{_key(name)} = {values.as_string()}")


def _key(name: str) -> str:
    return SingleKey(name).as_string()


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
