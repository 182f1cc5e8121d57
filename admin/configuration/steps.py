"""From one state to another: what is to be done, in an order in which each step can be taken. Pure but for the steps.

A step is words for people and an act on the rooms; the acts check what they are given, as for every other door.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from admin.configuration.rooms import Rooms
from admin.configuration.state import AccountState, DomainState, State
from base.failures import Failure
from base.values.kinds import Value
from base.values.text import ValueTextError, format_value, parse_value
from directory.directory import Directory
from directory.domains import Domains
from directory.model import Account, Ring
from directory.rights import parse_rights
from directory.settings import known
from pbx.trunk.model import Trunk
from pbx.workarounds.kinds import workaround
from pbx.workarounds.rows import whose

Do = Callable[[Rooms], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Step:
    """`removes`: names an account that ends with it, with its mail. `path`: the file that asks for it."""

    words: str
    do: Do
    path: str = ""
    removes: str = ""


@dataclass(slots=True)
class Passwords:
    """Passwords of new accounts: those of the tree, else ones that are made; the latter are told once."""

    given: Mapping[str, str]
    make: Callable[[], str]
    made: dict[str, str] = field(default_factory=dict)

    def of(self, address: str) -> str:
        if address not in self.given:
            self.made.setdefault(address, self.make())
        return self.given.get(address) or self.made[address]


def steps(before: State, after: State, passwords: Passwords) -> Iterator[Step]:
    """Names are freed before others take them; domains end when they are empty."""
    yield from _new_domains(before, after)
    for domain, old in before.domains.items():
        yield from _freed(domain, old, after.domains.get(domain, DomainState()))
    for domain, new in after.domains.items():
        yield from _named(domain, before.domains.get(domain, DomainState()), new, passwords)
    yield from _all_settings(before, after)
    yield from _secrets(before, after, passwords)
    yield from _trunks(before, after)
    yield from _workarounds(before, after)
    if before.router != after.router:
        yield Step("change the Router", lambda rooms: rooms.directory.set_router(after.router), "router.txt")
    for domain in before.domains:
        if domain not in after.domains:
            yield Step(f"remove the domain {domain}", _on_domains(Domains.remove, domain))


def _on_directory(method: Callable[..., Awaitable[object]], *arguments: object) -> Do:
    return lambda rooms: method(rooms.directory, *arguments)


def _on_domains(method: Callable[..., Awaitable[object]], *arguments: object) -> Do:
    return lambda rooms: method(rooms.directory.domain_book, *arguments)


def _on_account(domain: str, name: str, act: Callable[[Directory, Account], Awaitable[object]]) -> Do:
    """The account may be made by an earlier step: it is looked up when the step is taken."""

    async def do(rooms: Rooms) -> None:
        account = rooms.directory.find_account(domain, name)
        if account is None:
            raise Failure("not-found", f"there is no account {name}@{domain}")
        await act(rooms.directory, account)

    return do


# --- domains and names


def _new_domains(before: State, after: State) -> Iterator[Step]:
    for domain, new in after.domains.items():
        path = f"domains/{domain}/domain.toml"
        old = before.domains.get(domain)
        if old is None:
            yield Step(f"make the domain {domain}", _on_domains(Domains.create, domain), path)
        for alias in old.aliases if old is not None else ():
            if alias not in new.aliases:
                yield Step(f"{domain} is not {alias} any more", _on_domains(Domains.remove, alias), path)
    for domain, new in after.domains.items():
        for alias in new.aliases:
            if domain not in before.domains or alias not in before.domains[domain].aliases:
                add = _on_domains(Domains.add_alias, domain, alias)
                yield Step(f"{domain} is {alias} as well", add, f"domains/{domain}/domain.toml")
    if before.main_domain != after.main_domain:
        yield Step(f"make {after.main_domain} the main domain", _stays(before.main_domain), "server.toml")


def _stays(domain: str) -> Do:
    async def do(rooms: Rooms) -> None:
        raise Failure("denied", f"the main domain stays {domain}")

    return do


def _freed(domain: str, old: DomainState, new: DomainState) -> Iterator[Step]:
    path = f"domains/{domain}/domain.toml"
    for name, account in old.accounts.items():
        address, there = f"{name}@{domain}", new.accounts.get(name)
        if there is None:
            remove = _on_account(domain, name, lambda directory, found: directory.remove_account(found.id))
            yield Step(f"remove the account {address} and its mail", remove, removes=address)
            continue
        for alias in account.aliases:
            if alias not in there.aliases:
                yield Step(f"{address} loses {alias}", _on_account(domain, name, _losing(alias)), _file(domain, name))
        kept = tuple(number for number in account.telnums if number in there.telnums)
        if kept != account.telnums:
            words = f"{address} loses {', '.join(number for number in account.telnums if number not in kept)}"
            yield Step(words, _on_account(domain, name, _numbering(kept)), _file(domain, name))
    for name, members in old.groups.items():
        if name not in new.groups:
            words = f"remove the group {name}@{domain} ({', '.join(members)})"
            yield Step(words, _on_directory(Directory.remove_name, domain, name), path)
    for name, target in old.forwarders.items():
        if new.forwarders.get(name) != target:
            words = f"remove the forwarder {name}@{domain} to {target}"
            yield Step(words, _on_directory(Directory.remove_name, domain, name), path)


def _losing(alias: str) -> Callable[[Directory, Account], Awaitable[object]]:
    return lambda directory, account: directory.remove_alias(account.id, alias)


def _gaining(alias: str) -> Callable[[Directory, Account], Awaitable[object]]:
    return lambda directory, account: directory.add_alias(account.id, alias)


def _renaming(real_name: str) -> Callable[[Directory, Account], Awaitable[object]]:
    return lambda directory, account: directory.set_real_name(account.id, real_name)


def _entitling(rights: tuple[str, ...]) -> Callable[[Directory, Account], Awaitable[object]]:
    return lambda directory, account: directory.rights.set(account, parse_rights(rights))


def _numbering(numbers: tuple[str, ...]) -> Callable[[Directory, Account], Awaitable[object]]:
    return lambda directory, account: directory.telnums.set(account, numbers)


def _file(domain: str, name: str) -> str:
    return f"domains/{domain}/accounts/{name}.toml"


def _named(domain: str, old: DomainState, new: DomainState, passwords: Passwords) -> Iterator[Step]:
    for name, account in new.accounts.items():
        yield from _account(domain, name, old.accounts.get(name), account, passwords)
    path = f"domains/{domain}/domain.toml"
    for name, members in new.groups.items():
        if name not in old.groups:
            words = f"make the group {name}@{domain}: {', '.join(members)}"
            yield Step(words, _on_directory(Directory.create_group, domain, name, members), path)
        elif old.groups[name] != members:
            words = f"the group {name}@{domain} is {', '.join(members) or 'empty'}"
            yield Step(words, _members(domain, name, members), path)
        before = old.rings.get(name, Ring()) if name in old.groups else Ring()
        if new.rings.get(name, Ring()) != before:
            yield Step(f"the group {name}@{domain} rings otherwise", _ringing(domain, name, new), path)
    for name, target in new.forwarders.items():
        if old.forwarders.get(name) != target:
            words = f"{name}@{domain} leads to {target}"
            yield Step(words, _on_directory(Directory.create_forwarder, domain, name, target), path)


def _ringing(domain: str, name: str, new: DomainState) -> Do:
    return lambda rooms: rooms.directory.groups.set_ring(domain, name, new.rings.get(name, Ring()))


def _members(domain: str, name: str, members: tuple[str, ...]) -> Do:
    return lambda rooms: rooms.directory.groups.set_members(domain, name, members)


def _account(
    domain: str, name: str, old: AccountState | None, new: AccountState, passwords: Passwords
) -> Iterator[Step]:
    address, path = f"{name}@{domain}", _file(domain, name)
    if old is None:

        async def create(rooms: Rooms) -> None:
            await rooms.directory.create_account(domain, name, passwords.of(address), real_name=new.real_name)

        yield Step(f"make the account {address}", create, path)
        old = AccountState(new.real_name)
    for alias in new.aliases:
        if alias not in old.aliases:
            yield Step(f"{address} gets {alias}", _on_account(domain, name, _gaining(alias)), path)
    if {*old.rights} != {*new.rights}:
        words = f"{address} administers: {', '.join(new.rights) or 'nothing'}"
        yield Step(words, _on_account(domain, name, _entitling(new.rights)), path)
    if tuple(number for number in old.telnums if number in new.telnums) != new.telnums:
        words = f"{address} has the numbers {', '.join(new.telnums) or '(none)'}"
        yield Step(words, _on_account(domain, name, _numbering(new.telnums)), path)
    if old.real_name != new.real_name:
        words = f"{address} is called {new.real_name or 'nothing'}"
        yield Step(words, _on_account(domain, name, _renaming(new.real_name)), path)


# --- settings and rules


def _all_settings(before: State, after: State) -> Iterator[Step]:
    for key, value in _changes(before.network, after.network):
        text = None if value is None else str(value)
        yield Step(f"network {key}: {'the default' if text is None else text}", _network(key, text), "server.toml")
    for key, value in _changes(before.settings, after.settings):
        yield Step(f"server: {_told(key, value)}", _on_directory(_put_server, key, value), "server.toml")
    yield from _rules("server", before.rules, after.rules, "rules.txt", lambda rooms: (None, None))
    for domain, new in after.domains.items():
        yield from _domain_settings(domain, before.domains.get(domain, DomainState()), new)


def _network(key: str, value: str | None) -> Do:
    return lambda rooms: rooms.directory.network_settings.set(key, value)


def _domain_settings(domain: str, old: DomainState, new: DomainState) -> Iterator[Step]:
    path = f"domains/{domain}/domain.toml"
    for key, value in _changes(old.settings, new.settings):
        yield Step(f"{domain}: {_told(key, value)}", _on_directory(_put_domain, domain, key, value), path)
    yield from _rules(domain, old.rules, new.rules, f"domains/{domain}/rules.txt", lambda rooms: (None, domain))
    for name, account in new.accounts.items():
        before = old.accounts.get(name, AccountState())
        for key, value in _changes(before.settings, account.settings):
            words = f"{name}@{domain}: {_told(key, value)}"
            yield Step(words, _on_account(domain, name, _setting(key, value)), _file(domain, name))
        rules_path = f"domains/{domain}/accounts/{name}.rules.txt"
        yield from _rules(f"{name}@{domain}", before.rules, account.rules, rules_path, _owner(domain, name))


def _owner(domain: str, name: str) -> Callable[[Rooms], tuple[int | None, str | None]]:
    def owner(rooms: Rooms) -> tuple[int | None, str | None]:
        account = rooms.directory.find_account(domain, name)
        return (None if account is None else account.id), None

    return owner


def _changes(old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield key, new.get(key)


def _told(key: str, value: Value) -> str:
    if value is None:
        return f"{key} goes back to the default"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        shown = ", ".join(str(item) for item in value)
    else:
        shown = str(value) if isinstance(value, str | int) else format_value(value)
    return f"{key} is {shown or '(empty)'}"


def _setting(key: str, value: Value) -> Callable[[Directory, Account], Awaitable[object]]:
    return lambda directory, account: directory.set_setting(account.id, key, value)


async def _put_server(directory: Directory, key: str, value: Value) -> None:
    await directory.set_server_setting(known(key).key, value)


async def _put_domain(directory: Directory, domain: str, key: str, value: Value) -> None:
    await directory.set_domain_setting(domain, known(key).key, value)


def _rules(
    whose_rules: str, old: str, new: str, path: str, owner: Callable[[Rooms], tuple[int | None, str | None]]
) -> Iterator[Step]:
    if _same_rules(old, new):
        return

    async def do(rooms: Rooms) -> None:
        account, domain = owner(rooms)
        await rooms.directory.set_rules(_parsed(new), account_id=account, domain=domain)

    yield Step(f"change the rules of {whose_rules}" if new.strip() else f"{whose_rules} has no rules", do, path)


def _same_rules(old: str, new: str) -> bool:
    try:
        return _parsed(old) == _parsed(new)
    except Failure:
        return False


def _parsed(text: str) -> Value:
    try:
        return parse_value(text.strip() or "()")
    except ValueTextError as error:
        raise Failure("invalid", f"line {error.line}, column {error.column}: {error.message}") from error


# --- secrets, trunks, workarounds


def _secrets(before: State, after: State, passwords: Passwords) -> Iterator[Step]:
    """A secret that the tree does not name stays as it is."""
    there = before.addresses()
    for address, password in after.secrets.passwords.items():
        if address in there and before.secrets.passwords.get(address) != password:
            yield Step(f"another password for {address}", _secret(address, "password", password), "secrets.toml")
    for address, pin in after.secrets.pins.items():
        if before.secrets.pins.get(address) != pin:
            yield Step(f"another PIN for {address}", _secret(address, "pin", pin), "secrets.toml")


def _secret(address: str, kind: str, text: str) -> Do:
    name, _, domain = address.rpartition("@")
    if kind == "pin":
        return _on_account(domain, name, lambda directory, account: directory.set_pin(account.id, text))
    return _on_account(domain, name, lambda directory, account: directory.set_password(account.id, text))


def _trunks(before: State, after: State) -> Iterator[Step]:
    for name in before.trunks:
        if name not in after.trunks:
            yield Step(f"remove the trunk {name}", _without_trunk(name))
    for name, trunk in after.trunks.items():
        password = after.secrets.trunks.get(name)
        if before.trunks.get(name) != trunk:
            words = f"{'change' if name in before.trunks else 'make'} the trunk {name}"
            yield Step(words, _trunk(trunk, password), f"trunks/{name}.toml")
        elif password is not None and before.secrets.trunks.get(name) != password:
            yield Step(f"another password for the trunk {name}", _trunk(trunk, password), "secrets.toml")


def _trunk(trunk: Trunk, password: str | None) -> Do:
    return lambda rooms: rooms.trunks.put(trunk, password)


def _without_trunk(name: str) -> Do:
    return lambda rooms: rooms.trunks.remove(name)


def _workarounds(before: State, after: State) -> Iterator[Step]:
    wanted = {_workaround(key): value for key, value in after.workarounds.items()}
    for key in sorted({*before.workarounds, *wanted}):
        if before.workarounds.get(key) == wanted.get(key):
            continue
        was, shall = before.workarounds.get(key), wanted.get(key)
        # A row that switches a stock one off is taken back by adding it, and made by removing it.
        if was is not None:
            yield Step(f"workaround {key[1]} for {key[0]}: as it was", _row(key, "", add=not was[0]), "server.toml")
        if shall is not None:
            words = f"workaround {key[1]} for {key[0]}: {'yes' if shall[0] else 'no'}"
            yield Step(words, _row(key, shall[1], add=shall[0]), "server.toml")


def _workaround(key: tuple[str, str]) -> tuple[str, str]:
    """As the table keeps it; what it would refuse stays, to be refused there."""
    found = workaround(key[1].strip().lower())
    try:
        return whose(key[0]), key[1] if found is None else found.value
    except Failure:
        return key


def _row(key: tuple[str, str], note: str, *, add: bool) -> Do:
    who, what = key
    return lambda rooms: rooms.workarounds.add(who, what, note) if add else rooms.workarounds.remove(who, what)
