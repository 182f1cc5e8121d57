"""How the directory changes: first the commit, then the image in memory, then the news.

Not the rules of what may be stored (`directory.py`); whoever calls has checked names and values.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from base.failures import Failure
from base.log import get_logger
from base.storage.database import Database
from base.values.kinds import Value
from base.values.text import format_value, parse_value
from directory import tables
from directory.image import Forwarder, Group, Image, Owner
from directory.model import Account, Right
from directory.secrets import NOBODY, Keyring

_T = TypeVar("_T")

_log = get_logger("directory")

_VALUE_LIMIT = 65_536  # Limit: one value, in characters of its text form.


@dataclass(frozen=True, slots=True)
class Change:
    """What the feed tells after a commit. `what`: "account", "removed", "name", "group", "secret", "setting",
    "domain", "right", "telnum"."""

    what: str
    account_id: int | None = None
    key: str = ""


class Store:
    """The image, the tables behind it, and who wants to know."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._listeners: list[Callable[[Change], None]] = []
        self.image = Image()

    async def load(self) -> None:
        """Bring the tables up to date and read them. Raises Failure("newer" | "unavailable")."""
        await self._database.migrate(tables.COMPONENT, tables.MIGRATIONS)
        self._picture(await self._database.read(tables.read_all))

    def adopt(self, rows: tables.Rows, changes: Iterable[Change]) -> None:
        """Others have written to the tables: be what they hold, and tell what has changed."""
        self._picture(rows)
        for change in changes:
            self._tell(change)

    def _picture(self, rows: tables.Rows) -> None:
        self.image.reload(rows)
        self.image.put_secret(NOBODY, "password", self._keyring.decoy(_purpose(NOBODY, "password")))

    def over(self, database: Database) -> Store:
        """Another store with the same key."""
        return Store(database, self._keyring)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    # ---- domains -------------------------------------------------------------------------------------------------

    async def add_domain(self, name: str, *, main: bool) -> None:
        domain_id = await self._write(
            lambda connection: tables.add_domain(connection, name, main), f"the domain {name} is there already"
        )
        self.image.put_domain(domain_id, name, main=main)
        self._tell(Change("domain", key=name))

    async def add_domain_alias(self, domain: str, alias: str) -> None:
        domain_id = self.image.domain_ids[domain]
        await self._write(
            lambda connection: tables.add_domain_alias(connection, domain_id, alias),
            f"the domain {alias} is there already",
        )
        self.image.domain_aliases[alias] = domain
        self._tell(Change("domain", key=domain))

    async def remove_domain_alias(self, alias: str) -> None:
        await self._write(lambda connection: tables.remove_domain_alias(connection, alias), "")
        domain = self.image.domain_aliases.pop(alias, "")
        self._tell(Change("domain", key=domain))

    async def remove_domain(self, domain: str) -> None:
        domain_id = self.image.domain_ids[domain]
        await self._write(lambda connection: tables.remove_domain(connection, domain_id), f"{domain} is not empty")
        self.image.drop_domain(domain)
        self._tell(Change("domain", key=domain))

    # ---- accounts, names, groups, forwarders ---------------------------------------------------------------------

    async def add_account(
        self, domain: str, local: str, real_name: str, password: str, alias: str | None, *, most: int = 0
    ) -> Account:
        """An account with its password and its first alias: all of it or nothing. `most`: accounts that the domain may
        have, counted here, since others are made while this one waits; 0: any number. Raises Failure("exists" |
        "full")."""
        domain_id = self.image.domain_ids[domain]

        def work(connection: sqlite3.Connection) -> tuple[int, bytes]:
            if 0 < most <= tables.accounts_in(connection, domain_id):
                raise Failure("full", f"{domain} may have {most} accounts (AccountsLimit), and has them")
            account_id = tables.add_object(connection, "account", domain_id, real_name)
            tables.add_name(connection, domain_id, local, account_id, alias=False)
            if alias is not None:
                tables.add_name(connection, domain_id, alias, account_id, alias=True)
            sealed = self._keyring.seal(password, _purpose(account_id, "password"))
            tables.put_secret(connection, account_id, "password", sealed)
            return account_id, sealed

        account_id, sealed = await self._write(work, f"{local} or {alias} is taken in {domain}")
        account = Account(account_id, domain, local, real_name)
        self.image.objects[account_id] = account
        self.image.put_name(domain, local, account_id, alias=False)
        if alias is not None:
            self.image.put_name(domain, alias, account_id, alias=True)
        self.image.put_secret(account_id, "password", sealed)
        self._tell(Change("account", account_id))
        return account

    async def add_target(self, domain: str, local: str, kind: str, target: str) -> None:
        """A group (its members with commas between) or a forwarder."""
        domain_id = self.image.domain_ids[domain]

        def work(connection: sqlite3.Connection) -> int:
            object_id = tables.add_object(connection, kind, domain_id, target=target)
            tables.add_name(connection, domain_id, local, object_id, alias=False)
            return object_id

        object_id = await self._write(work, f"{local} is taken in {domain}")
        found = _group(object_id, domain, target) if kind == "group" else Forwarder(object_id, domain, target)
        self.image.objects[object_id] = found
        self.image.put_name(domain, local, object_id, alias=False)
        self._tell(Change("name", key=local))

    async def put_real_name(self, account: Account, real_name: str) -> None:
        await self._write(lambda connection: tables.put_real_name(connection, account.id, real_name), "")
        if account.id in self.image.objects:
            self.image.objects[account.id] = replace(account, real_name=real_name)
            self._tell(Change("account", account.id))

    async def put_members(self, group: Group, members: str) -> None:
        await self._write(lambda connection: tables.put_target(connection, group.id, members), "")
        if group.id in self.image.objects:
            self.image.objects[group.id] = _group(group.id, group.domain, members)
            self._tell(Change("group"))

    async def remove_object(self, object_id: int) -> None:
        await self._write(lambda connection: tables.remove_object(connection, object_id), "")
        # Two may have asked for the same removal.
        if object_id in self.image.objects:
            self.image.drop_object(object_id)
            self._tell(Change("removed", object_id))

    async def add_alias(self, account: Account, local: str) -> None:
        domain_id = self.image.domain_ids[account.domain]
        await self._write(
            lambda connection: tables.add_name(connection, domain_id, local, account.id, alias=True),
            f"{local} is taken in {account.domain}",
        )
        self.image.put_name(account.domain, local, account.id, alias=True)
        self._tell(Change("name", account.id, local))

    async def remove_alias(self, account: Account, local: str) -> None:
        domain_id = self.image.domain_ids[account.domain]
        await self._write(lambda connection: tables.remove_name(connection, domain_id, local), "")
        if (account.domain, local) in self.image.names:
            self.image.drop_name(account.domain, local)
            self._tell(Change("name", account.id, local))

    # ---- secrets and settings ------------------------------------------------------------------------------------

    def secret(self, account_id: int, kind: str) -> str:
        """Raises Failure("not-found")."""
        sealed = self.image.secrets.get((account_id, kind))
        if sealed is None:
            raise Failure("not-found", "no such secret")
        return self._keyring.open(sealed, _purpose(account_id, kind))

    async def put_secret(self, account_id: int, kind: str, text: str | None) -> None:
        sealed = None if text is None else self._keyring.seal(text, _purpose(account_id, kind))
        await self._write(lambda connection: tables.put_secret(connection, account_id, kind, sealed), "")
        if account_id in self.image.objects:
            self.image.put_secret(account_id, kind, sealed)
            self._tell(Change("secret", account_id, kind))

    async def put_setting(self, owner: Owner, key: str, value: Value) -> None:
        """None removes. Raises Failure("invalid") when the value is too long."""
        text = None if value is None else format_value(value)
        if text is not None and len(text) > _VALUE_LIMIT:
            raise Failure("invalid", f"the value of {key} is too long")
        scope, owner_id = owner
        await self._write(lambda connection: tables.put_setting(connection, scope, owner_id, key, text), "")
        # A copy: whoever gave the value may go on changing it.
        self.image.put_setting(owner, key, None if text is None else parse_value(text))
        self._tell(Change("setting", owner_id if scope == "account" else None, key))

    # ---- rights and telephone numbers ----------------------------------------------------------------------------

    async def put_rights(self, account: Account, rights: frozenset[Right]) -> None:
        words = sorted(right.value for right in rights)
        await self._write(lambda connection: tables.put_rights(connection, account.id, words), "")
        if account.id in self.image.objects:
            self.image.rights[account.id] = rights
            self._tell(Change("right", account.id))

    async def put_telnums(self, account: Account, numbers: tuple[str, ...]) -> None:
        await self._write(
            lambda connection: tables.put_telnums(connection, account.id, numbers),
            f"somebody else has {' or '.join(numbers)}",
        )
        if account.id in self.image.objects:
            self.image.put_telnums(account.id, numbers)
            self._tell(Change("telnum", account.id))

    def _tell(self, change: Change) -> None:
        _log.debug("directory changed", what=change.what, account=change.account_id, key=change.key)
        for listener in tuple(self._listeners):
            listener(change)

    async def _write(self, work: Callable[[sqlite3.Connection], _T], taken: str) -> _T:
        """Write; somebody may have taken the name while we waited."""
        try:
            return await self._database.write(work)
        except sqlite3.IntegrityError as error:
            raise Failure("exists", taken or "that cannot be changed now", private=str(error)) from error


def _group(object_id: int, domain: str, members: str) -> Group:
    return Group(object_id, domain, tuple(filter(None, members.split(","))))


def _purpose(account_id: int, kind: str) -> str:
    return f"{kind} of {account_id}"
