"""The directory in memory: what every look-up on the call path reads. Changed only after a commit.

Not a cache: it is whole. Names are kept in lower case, so that look-ups do not mind case.
"""

from __future__ import annotations

from dataclasses import dataclass

from base.values.kinds import Value
from base.values.text import parse_value
from directory.model import Account, Right
from directory.tables import Rows


@dataclass(frozen=True, slots=True)
class Name:
    """One name of a domain and whom it means."""

    object_id: int
    alias: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Calls and mail go to all members."""

    id: int
    domain: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Calls and mail go to another address, or to a program."""

    id: int
    domain: str
    target: str


_RIGHTS = {right.value: right for right in Right}

Owner = tuple[str, int]  # ("account" | "domain" | "server", id)


class Image:
    """Plain tables."""

    def __init__(self) -> None:
        self.domain_ids: dict[str, int] = {}
        self.domain_names: dict[int, str] = {}
        self.domain_aliases: dict[str, str] = {}
        self.main_domain = ""
        self.objects: dict[int, Account | Group | Forwarder] = {}
        self.names: dict[tuple[str, str], Name] = {}
        self.names_of: dict[int, list[str]] = {}
        self.secrets: dict[tuple[int, str], bytes] = {}
        self.settings: dict[Owner, dict[str, Value]] = {}
        self.rights: dict[int, frozenset[Right]] = {}
        self.telnums: dict[str, int] = {}
        self.telnums_of: dict[int, tuple[str, ...]] = {}

    def load(self, rows: Rows) -> None:
        for domain_id, name, main in rows.domains:
            self.put_domain(domain_id, name, main=bool(main))
        for alias, domain_id in rows.domain_aliases:
            self.domain_aliases[alias] = self.domain_names[domain_id]
        primary = {object_id: local for _, local, alias, object_id in rows.names if not alias}
        for object_id, kind, domain_id, real_name, target in rows.objects:
            domain = self.domain_names[domain_id]
            self.objects[object_id] = _object(object_id, kind, domain, primary.get(object_id, ""), real_name, target)
        for domain_id, local, is_alias, object_id in rows.names:
            self.put_name(self.domain_names[domain_id], local, object_id, alias=bool(is_alias))
        self.secrets = {(account_id, kind): sealed for account_id, kind, sealed in rows.secrets}
        for scope, owner, key, value in rows.settings:
            self.put_setting((scope, owner), key, parse_value(value))
        for account_id, right in rows.rights:
            if right in _RIGHTS:  # one of another version gives nothing
                self.rights[account_id] = self.rights.get(account_id, frozenset()) | {_RIGHTS[right]}
        for number, account_id in rows.telnums:
            self.put_telnums(account_id, (*self.telnums_of.get(account_id, ()), number))

    def reload(self, rows: Rows) -> None:
        """Be what is stored, whatever was here before."""
        fresh = Image()
        fresh.load(rows)
        vars(self).update(vars(fresh))

    def put_domain(self, domain_id: int, name: str, *, main: bool) -> None:
        self.domain_ids[name] = domain_id
        self.domain_names[domain_id] = name
        if main:
            self.main_domain = name

    def drop_domain(self, name: str) -> None:
        domain_id = self.domain_ids.pop(name)
        self.domain_names.pop(domain_id)
        self.settings.pop(("domain", domain_id), None)
        self.domain_aliases = {alias: owner for alias, owner in self.domain_aliases.items() if owner != name}

    def put_name(self, domain: str, local: str, object_id: int, *, alias: bool) -> None:
        self.names[domain, local] = Name(object_id, alias)
        self.names_of.setdefault(object_id, []).append(local)

    def drop_name(self, domain: str, local: str) -> None:
        name = self.names.pop((domain, local))
        self.names_of[name.object_id].remove(local)

    def drop_object(self, object_id: int) -> None:
        found = self.objects.pop(object_id)
        for local in self.names_of.pop(object_id, []):
            self.names.pop((found.domain, local), None)
        self.secrets = {key: sealed for key, sealed in self.secrets.items() if key[0] != object_id}
        self.settings.pop(("account", object_id), None)
        self.rights.pop(object_id, None)
        self.put_telnums(object_id, ())

    def put_telnums(self, account_id: int, numbers: tuple[str, ...]) -> None:
        for number in self.telnums_of.pop(account_id, ()):
            del self.telnums[number]
        self.telnums.update(dict.fromkeys(numbers, account_id))
        if numbers:
            self.telnums_of[account_id] = numbers

    def put_secret(self, account_id: int, kind: str, sealed: bytes | None) -> None:
        if sealed is None:
            self.secrets.pop((account_id, kind), None)
        else:
            self.secrets[account_id, kind] = sealed

    def put_setting(self, owner: Owner, key: str, value: Value) -> None:
        of_owner = self.settings.setdefault(owner, {})
        if value is None:
            of_owner.pop(key, None)
        else:
            of_owner[key] = value


def _object(
    object_id: int, kind: str, domain: str, name: str, real_name: str, target: str
) -> Account | Group | Forwarder:
    match kind:
        case "account":
            return Account(object_id, domain, name, real_name)
        case "group":
            return Group(object_id, domain, tuple(filter(None, target.split(","))))
        case _:
            return Forwarder(object_id, domain, target)
