"""The one question of relay protection: may this leave for a server that is not ours? Pure.

Decision 9, and CommuniGate's "Relay to Non-Clients for" (the guide, section V.D). How much an account may spend outside
is another question (`pbx.toll`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from base.failures import Failure
from directory.model import Account, Caller, ForeignRoute
from directory.network import Network

GATEWAYS = "ExternalGateways"
"""The group of a domain whose members call in for others, in any name (spec: pbx-apps §2)."""


class Memberships(Protocol):
    """The part of `directory.groups` that is asked."""

    def is_member(self, group: str, account: Account) -> bool: ...


class People(Protocol):
    """The part of the directory that is asked."""

    @property
    def network(self) -> Network: ...

    @property
    def groups(self) -> Memberships: ...

    def setting(self, account_id: int, key: str) -> object: ...

    def own_settings(self, account_id: int) -> Mapping[str, object]: ...


def may_relay(people: People, caller: Caller, route: ForeignRoute, diverting: Account | None = None) -> bool:
    """Whether a request of `caller` may go where `route` leads; on the rights of `diverting` when it is that account's
    rule or telephone that sends it there. A record of the Router that grants relaying opens the way to everybody, but
    to no account that is kept in."""
    payer = diverting or caller.payer
    if payer is not None and route.emergency:
        return True  # who is known may always call for help
    if payer is not None and not account_lets_out(people, payer):
        return False
    client = payer is not None or caller.client
    return route.relay or people.network.may_relay(route.address.domain, client=client)


def lets_out(people: People, caller: Caller) -> bool:
    """Whether he, or a program that he talks to, may use what leads out of this server (decision 4)."""
    payer = caller.payer
    return caller.client if payer is None else account_lets_out(people, payer)


def account_lets_out(people: People, account: Account) -> bool:
    """A gateway calls in; out it calls only where that was said of itself."""
    try:
        if people.setting(account.id, "CallOutLocked") == "YES":
            return False
        if is_gateway(people, account):
            return people.own_settings(account.id).get("OutsideCalls") == "YES"
        return people.setting(account.id, "OutsideCalls") != "NO"
    except Failure:  # removed this instant
        return False


def is_gateway(people: People, account: Account) -> bool:
    return people.groups.is_member(GATEWAYS, account)
