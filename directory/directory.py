"""The directory: who and what has a name here. Reads come from memory at once; writes return after their commit.

Not the Signal and not a mailbox: it tells where an address leads and what the rules of an account are. One table of
names serves accounts, aliases, groups and forwarders; ids are permanent (decision 7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from base.failures import Failure
from base.storage.database import Database
from base.values.kinds import Value
from directory import access, names, settings
from directory.access import Mode
from directory.domains import Domains
from directory.groups import Groups, member_list
from directory.image import Owner
from directory.model import Account, AccountRoute, Address, Caller, CallRule, Resolution, Use
from directory.network import Fixed, Network, NetworkSettings
from directory.passwords import Passwords, check_password
from directory.resolver import Resolver
from directory.rights import Rights
from directory.router.lint import Surroundings, Warning_, lint
from directory.router.table import RouterTable, parse_table
from directory.rules.book import RULES, RuleBook
from directory.rules.occasion import Occasion
from directory.secrets import Algorithm, Keyring
from directory.store import Change, Store
from directory.tables import Rows
from directory.telnums import Telnums
from directory.values import SERVER, Found, Values

__all__ = ["ROUTER", "Change", "Directory"]

ROUTER = "RouterTable"
"""The setting that holds the Router's text; the doors for settings do not show it."""


class Directory:
    """Made by `Directory.open`; one for the whole server, used from the loop's thread only."""

    def __init__(self, store: Store, hosts: Iterable[str], fixed: Fixed) -> None:
        self._store = store
        self.network_settings = NetworkSettings(store, fixed)
        self._image = store.image
        self.groups = Groups(store)
        self.rights = Rights(store)
        self.telnums = Telnums(store)
        self.values = Values(store)
        self.domain_book = Domains(store, hosts)
        self.passwords = Passwords(store)
        self._resolver = Resolver(store.image, self.local_domain, self.domain_setting)
        self._load_router()
        self._rule_book = RuleBook(store.image)

    @classmethod
    async def open(
        cls,
        database: Database,
        keyring: Keyring,
        *,
        main_domain: str | None = None,
        hosts: Iterable[str] = (),
        fixed: Fixed | None = None,
    ) -> Directory:
        """Load the directory. `hosts`: our own addresses and host names, which mean the main domain. `main_domain`
        names that domain when there is none yet; another one than there is is refused. `fixed`: what the
        configuration file says of the network.

        Raises Failure("newer" | "unavailable" | "invalid").
        """
        store = Store(database, keyring)
        await store.load()
        directory = cls(store, hosts, fixed or Fixed())
        if main_domain:
            await directory.domain_book.set_main(names.checked_domain(main_domain))
        return directory

    @property
    def network(self) -> Network:
        """Client IPs, trusted peers and the like, as they are now."""
        return self.network_settings.current

    @property
    def main_domain(self) -> str:
        """The first domain; empty only before the first start has made one."""
        return self._image.main_domain

    def domains(self) -> tuple[str, ...]:
        """All domains, the main one first."""
        return self.domain_book.all()

    def local_domain(self, host: str) -> str | None:
        """The domain that `host` means; None when it is foreign."""
        return self.domain_book.local(host)

    # ---- accounts and names --------------------------------------------------------------------------------------

    def account(self, account_id: int) -> Account | None:
        found = self._image.objects.get(account_id)
        return found if isinstance(found, Account) else None

    def find_account(self, domain: str, local: str) -> Account | None:
        """By name or alias, whatever the case; `domain` as `local_domain` gave it."""
        name = self._image.names.get((domain, local.lower()))
        return None if name is None else self.account(name.object_id)

    def login(self, local: str, host: str) -> Account | None:
        """Whose login `local@host` is: the Router leads it as it does calls and mail."""
        stranger = Caller("")
        route = self.resolve(Address(local, host.lower()), caller=stranger, services=False, use=Use.ACCESS).route
        return route.account if isinstance(route, AccountRoute) else None

    def allows(self, account_id: int, mode: Mode) -> bool:
        """Whether a service is switched on for an account (`AccessModes`)."""
        return access.allows(self.setting(account_id, "AccessModes"), mode)

    def accounts(self, domain: str | None = None) -> tuple[Account, ...]:
        """All accounts, of one domain or of all, in the order of their names."""
        found = (item for item in self._image.objects.values() if isinstance(item, Account))
        chosen = [account for account in found if domain is None or account.domain == domain]
        return tuple(sorted(chosen, key=lambda account: (account.domain, account.name)))

    def aliases(self, account_id: int) -> tuple[str, ...]:
        """Other names of an account, in the order of their making."""
        account = self.account(account_id)
        locals_ = self._image.names_of.get(account_id, []) if account else []
        return tuple(local for local in locals_ if account and local != account.name)

    async def create_account(
        self, domain: str, name: str, password: str, *, real_name: str = "", extension: str | None = None
    ) -> Account:
        """Add an account, with its extension as first alias. Raises Failure("exists" | "invalid" | "not-found" |
        "full")."""
        owner, local = self.domain_book.existing(domain), self._free(domain, name, "account name")
        alias = None if extension is None else self._free(domain, extension, "extension")
        if alias == local:
            raise Failure("exists", f"{alias} would be the account's name and its extension")
        check_password(password)
        limit = self.domain_setting(owner, "AccountsLimit")
        most = limit if isinstance(limit, int) else 0
        return await self._store.add_account(owner, local, _real_name(real_name), password, alias, most=most)

    async def set_real_name(self, account_id: int, real_name: str) -> None:
        await self._store.put_real_name(self._existing(account_id), _real_name(real_name))

    async def remove_account(self, account_id: int) -> None:
        """Remove an account and all its names; its id is never given again."""
        await self._store.remove_object(self._existing(account_id).id)
        self.passwords.forget()

    async def add_alias(self, account_id: int, alias: str) -> None:
        """One more name: a number is an extension. Raises Failure("exists" | "invalid" | "not-found")."""
        account = self._existing(account_id)
        local = self._free(account.domain, alias, "alias")
        await self._store.add_alias(account, local)

    async def remove_alias(self, account_id: int, alias: str) -> None:
        """Raises Failure("not-found") when the account has no such alias."""
        account, local = self._existing(account_id), alias.strip().lower()
        if local not in self.aliases(account_id):
            raise Failure("not-found", f"{account.address} has no alias {alias}")
        await self._store.remove_alias(account, local)
        self.passwords.forget()

    # ---- groups and forwarders -----------------------------------------------------------------------------------

    async def create_group(self, domain: str, name: str, members: Iterable[str]) -> None:
        """A name that reaches all its members. Raises Failure("exists" | "invalid" | "not-found" | "denied")."""
        owner, local = self.domain_book.existing(domain), self._free(domain, name, "group name")
        await self._store.add_target(owner, local, "group", member_list(members, owner))

    async def create_forwarder(self, domain: str, name: str, target: str) -> None:
        """A name that leads to another address or to `app{..}#account`."""
        owner, local = self.domain_book.existing(domain), self._free(domain, name, "forwarder name")
        if names.parse_target(target, owner) is None:
            raise Failure("invalid", f"{target!r} is no address")
        await self._store.add_target(owner, local, "forwarder", target.strip())

    async def remove_name(self, domain: str, name: str) -> None:
        """Remove a group or a forwarder. Raises Failure("not-found")."""
        found = self.groups.find(self.domain_book.existing(domain), name)
        if found is None or isinstance(found, Account):
            raise Failure("not-found", f"there is no group or forwarder {name} in {domain}")
        await self._store.remove_object(found.id)

    def _existing(self, account_id: int) -> Account:
        account = self.account(account_id)
        if account is None:
            raise Failure("not-found", "there is no such account")
        return account

    def _free(self, domain: str, name: str, what: str) -> str:
        """`name` as kept, when nobody has it and nobody may not have it."""
        owner, local = self.domain_book.existing(domain), names.checked_local(name, what)
        if (owner, local) in self._image.names:
            raise Failure("exists", f"{local} is taken in {owner}")
        if local in self._emergency(owner):
            raise Failure("denied", f"{local} is an emergency number")
        return local

    def names(self) -> list[Address]:
        """Every name that somebody has: of accounts, aliases, groups and forwarders."""
        return [Address(local, domain) for domain, local in self._image.names]

    def is_emergency(self, number: str) -> bool:
        """Whether a number is one of the main domain's for emergencies."""
        return number in self.emergency_numbers()

    def emergency_numbers(self) -> tuple[str, ...]:
        """Those of the main domain."""
        return self._emergency(self.main_domain)

    def _emergency(self, domain: str) -> tuple[str, ...]:
        return settings.targets(self.domain_setting(domain, "EmergencyNumbers"))

    # ---- secrets -------------------------------------------------------------------------------------------------

    def ha1(self, account_id: int, username: str, realm: str, algorithm: Algorithm) -> str:
        """RFC 7616 §3.4.2. Raises Failure("not-found") without account or password."""
        return self.passwords.ha1(account_id, username, realm, algorithm)

    def secret(self, account_id: int, kind: str) -> str:
        """In clear: `password` or `pin`. Raises Failure("not-found")."""
        return self.passwords.secret(account_id, kind)

    def check_password(self, account_id: int, password: str) -> bool:
        """Compare in a time that tells nothing; of NOBODY, whatever comes out."""
        return self.passwords.check(account_id, password)

    async def set_password(self, account_id: int, password: str) -> None:
        await self.passwords.set(self._existing(account_id), password)

    def has_pin(self, account_id: int) -> bool:
        """Whether the mailbox asks for digits when it is heard by phone."""
        return self.passwords.has_pin(account_id)

    def check_pin(self, account_id: int, digits: str) -> bool:
        """False when there is no PIN."""
        return self.passwords.check_pin(account_id, digits)

    async def set_pin(self, account_id: int, digits: str | None) -> None:
        """1 to 16 digits; None removes it. Raises Failure("invalid")."""
        await self.passwords.set_pin(self._existing(account_id), digits)

    # ---- settings ------------------------------------------------------------------------------------------------

    def setting(self, account_id: int, key: str) -> Value:
        """The account's value, else its domain's, the server's, the default; None for what nobody knows."""
        return self.found_setting(key, account_id=account_id).value

    def domain_setting(self, domain: str, key: str) -> Value:
        """The domain's value, else the server's, else the default."""
        return self.values.found(key, self.values.of_domain(domain), SERVER).value

    def found_setting(self, key: str, *, account_id: int | None = None, domain: str | None = None) -> Found:
        """As it counts for an account, for a domain, or for the server, and where it comes from."""
        if account_id is not None:
            account = self._existing(account_id)
            return self.values.found(key, ("account", account_id), self.values.of_domain(account.domain), SERVER)
        if domain is not None:
            return self.values.found(key, self.values.of_domain(domain), SERVER)
        return self.values.found(key, SERVER)

    def own_settings(self, account_id: int) -> dict[str, Value]:
        """What is set at the account itself."""
        return self.values.own(("account", account_id))

    def own_domain_settings(self, domain: str) -> dict[str, Value]:
        """What is set at the domain itself."""
        return self.values.own(self.values.of_domain(self.domain_book.existing(domain)))

    def own_server_settings(self) -> dict[str, Value]:
        """What is set for the server: network settings, rules and the Router's text are among it."""
        return self.values.own(SERVER)

    async def set_setting(self, account_id: int, key: str, value: Value) -> None:
        """Set at the account; None goes back to what is inherited. `PIN` is sealed. Raises Failure("invalid")."""
        self._existing(account_id)
        if key == "PIN":
            await self.set_pin(account_id, None if value is None else str(value))
        else:
            await self.values.put(("account", account_id), key, value)

    async def set_domain_setting(self, domain: str, key: str, value: Value) -> None:
        await self.values.put(self.values.of_domain(self.domain_book.existing(domain)), key, value)

    async def set_server_setting(self, key: str, value: Value) -> None:
        await self.values.put(SERVER, key, value)

    # ---- calls ---------------------------------------------------------------------------------------------------

    def call_rules(self, account_id: int, occasion: Occasion | None = None) -> tuple[CallRule, ...]:
        """What happens to this call of the account (pbx-apps §10, §11), by the clock on its wall."""
        domain = self._image.domain_ids[self._existing(account_id).domain]
        return self._rule_book.call_rules(
            account_id, domain, lambda key: self.setting(account_id, key), occasion or Occasion()
        )

    def rules(self, *, account_id: int | None = None, domain: str | None = None) -> Value:
        """The free rules as they are stored: of an account, of a domain, or of the server."""
        return self.values.own(self._owner(account_id, domain)).get(RULES) or []

    async def set_rules(self, value: Value, *, account_id: int | None = None, domain: str | None = None) -> None:
        """All rules of one owner at once. Raises Failure("invalid") that names the rule and its fault."""
        await self.values.put(self._owner(account_id, domain), RULES, value or None)

    def _owner(self, account_id: int | None, domain: str | None) -> Owner:
        if account_id is not None:
            return ("account", self._existing(account_id).id)
        return SERVER if domain is None else self.values.of_domain(self.domain_book.existing(domain))

    def resolve(
        self,
        address: Address,
        *,
        caller: Caller | None,
        services: bool = True,
        use: Use = Use.SIGNAL,
        hides: bool = False,
        found: bool = False,
    ) -> Resolution:
        """Where an address leads: the one numbering plan (decision 5). `caller` None means this server itself, which
        may name programs; nobody else may. `services` false: `;services=no` of the Request-URI. `hides`: whoever asks
        heeds `hidden` of the answer; where nobody does, `*67` leads nowhere. `found`: the Router had it looked up, so
        that its records for any domain have had their say."""
        return self._resolver.resolve(address, caller=caller, services=services, use=use, hides=hides, found=found)

    def resolve_target(
        self, target: str, account: Account, *, caller: Caller | None = None, services: bool = True
    ) -> Resolution:
        """Where a target of an account's own rule or program leads: `#app`, `app{..}#account`, `name`,
        `name@domain`, `<sip:..>`. A bare name is in the account's domain."""
        return self._resolver.resolve_target(target, account, caller=caller, services=services)

    # ---- Router --------------------------------------------------------------------------------------------------

    @property
    def router(self) -> RouterTable:
        """The administrator's table as it is in use."""
        return self._resolver.table

    def check_router(self, text: str) -> tuple[RouterTable, list[Warning_]]:
        """A table that would be taken, and what is to be said of it. Raises Failure("invalid") with every fault."""
        table = parse_table(text, self.main_domain)
        surroundings = Surroundings(self.main_domain, self.local_domain, self.names(), self.emergency_numbers())
        return table, lint(table, surroundings)

    async def set_router(self, text: str) -> list[Warning_]:
        """All of it or nothing; the next request is routed by it. Raises Failure("invalid")."""
        _, warnings = self.check_router(text)
        await self._store.put_setting(SERVER, ROUTER, text or None)
        self._load_router()
        return warnings

    def _load_router(self) -> None:
        text = self._image.settings.get(SERVER, {}).get(ROUTER)
        self._resolver.table = parse_table(str(text or ""), self.main_domain)

    # ---- rehearsal -----------------------------------------------------------------------------------------------

    async def rehearsal(self, copy: Database) -> Directory:
        """The same directory over a copy of its tables."""
        store = self._store.over(copy)
        await store.load()
        rehearsed = Directory(store, (), self.network_settings.fixed)
        rehearsed.domain_book.share_hosts(self.domain_book)
        return rehearsed

    def adopt(self, rows: Rows, changes: Iterable[Change]) -> None:
        """The tables were written to by way of a rehearsal, which made these changes, and hold these rows."""
        self._store.adopt(rows, changes)
        self.passwords.forget()
        self._load_router()

    # ---- feed ----------------------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Be told after each commit; returns what ends it. A callback must not raise."""
        return self._store.subscribe(callback)


def _real_name(text: str) -> str:
    return " ".join(text.split())[:256]
