"""What a server has, as a `State`."""

from __future__ import annotations

from collections.abc import Mapping

from admin.configuration.rooms import Rooms
from admin.configuration.state import AccountState, DomainState, Secrets, Settings, State
from base.values.kinds import Value
from base.values.text import format_value
from directory.directory import ROUTER, Directory
from directory.firststart import DONE
from directory.model import Account, Ring
from directory.network import NETWORK
from directory.rights import words
from directory.rules.book import RULES


def present(rooms: Rooms, *, secrets: bool = False) -> State:
    """`secrets`: with passwords and PINs in clear."""
    directory = rooms.directory
    own = directory.own_server_settings()
    return State(
        main_domain=directory.main_domain,
        settings={key: value for key, value in _free(own).items() if key not in NETWORK},
        network={key: str(own[key]) for key in NETWORK if key in own},
        rules=rules_text(own.get(RULES)),
        router=directory.router.text,
        domains={domain: _domain(directory, domain) for domain in directory.domains()},
        trunks={row.trunk.name: row.trunk for row in rooms.trunks.rows()},
        workarounds={(row.who, row.what.value): (not row.off, row.note) for row in rooms.workarounds.table.own()},
        secrets=_secrets(rooms) if secrets else Secrets(),
    )


def rules_text(rules: Value) -> str:
    """One rule a line, so that changes are seen; empty when there are none."""
    if not isinstance(rules, list) or not rules:
        return ""
    return "(\n" + ",\n".join(f"  {format_value(rule)}" for rule in rules) + "\n)\n"


def _free(settings: Mapping[str, Value]) -> Settings:
    """Those that have no place of their own."""
    return {key: value for key, value in settings.items() if key not in (ROUTER, RULES, DONE)}


def _domain(directory: Directory, domain: str) -> DomainState:
    own = directory.own_domain_settings(domain)
    return DomainState(
        directory.domain_book.aliases(domain),
        _free(own),
        rules_text(own.get(RULES)),
        {account.name: _account(directory, account) for account in directory.accounts(domain)},
        {name: group.members for name, group in directory.groups.groups(domain)},
        _rings(directory, domain),
        {name: forwarder.target for name, forwarder in directory.groups.forwarders(domain)},
    )


def _rings(directory: Directory, domain: str) -> dict[str, Ring]:
    rings = {name: directory.groups.ring(group) for name, group in directory.groups.groups(domain)}
    return {name: ring for name, ring in rings.items() if ring != Ring()}


def _account(directory: Directory, account: Account) -> AccountState:
    own = directory.own_settings(account.id)
    return AccountState(
        account.real_name,
        directory.aliases(account.id),
        _free(own),
        rules_text(own.get(RULES)),
        directory.telnums.of(account.id),
        tuple(words(directory.rights.of(account.id))),
    )


def _secrets(rooms: Rooms) -> Secrets:
    found = Secrets(trunks={row.trunk.name: rooms.trunks.line(row.trunk.name).password for row in rooms.trunks.rows()})
    for account in rooms.directory.accounts():
        found.passwords[account.address] = rooms.directory.secret(account.id, "password")
        if rooms.directory.has_pin(account.id):
            found.pins[account.address] = rooms.directory.secret(account.id, "pin")
    return found
