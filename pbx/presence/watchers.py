"""Who may watch whom, and listen to whose calls: an account's settings, read each time somebody subscribes.

RFC 3856 §6.6 (authorisation of watchers); RFC 4235 §3.6 (what a watcher of calls may learn).
"""

from __future__ import annotations

from typing import Protocol

from directory.model import Account, Address, Caller, GroupRoute, Resolution
from directory.settings import targets

DOMAIN, SERVER, NOBODY = "domain", "server", "nobody"
"""Words of the settings `WatchedBy` and `MonitoredBy`, beside names of accounts and
groups."""


class People(Protocol):
    """What is needed of the directory."""

    def account(self, account_id: int) -> Account | None: ...

    def setting(self, account_id: int, key: str) -> object: ...

    def find_account(self, domain: str, local: str) -> Account | None: ...

    def resolve(self, address: Address, *, caller: Caller | None, services: bool = True) -> Resolution: ...


class Watchers:
    """Answers for one directory."""

    def __init__(self, people: People) -> None:
        self._people = people

    def may_watch(self, caller: Caller, account: Account) -> bool:
        """`WatchedBy`: accounts of the same domain unless set otherwise; oneself always, strangers never. A
        place of the parking lot is its domain's."""
        watcher = caller.account
        if watcher is None:
            return False
        if account.id < 0:
            return watcher.domain == account.domain
        return watcher.id == account.id or self._admitted(watcher, account, "WatchedBy")

    def may_monitor(self, caller: Caller, account: Account) -> bool:
        """`MonitoredBy`: nobody unless set otherwise, the account itself neither."""
        return caller.account is not None and self._admitted(caller.account, account, "MonitoredBy")

    def may_see_peers(self, caller: Caller, account: Account) -> bool:
        """`ShowPeers`: whether watchers learn with whom somebody speaks. One's own calls are one's own; nobody learns
        who is parked."""
        if caller.account is not None and caller.account.id == account.id:
            return True
        if account.id < 0:
            return False
        return self._people.setting(account.id, "ShowPeers") == "YES"

    def _admitted(self, watcher: Account, account: Account, key: str) -> bool:
        value = self._people.setting(account.id, key)
        words = targets(value) if isinstance(value, str | list) else ()
        return any(self._admits(word, watcher, account) for word in words)

    def _admits(self, word: str, watcher: Account, account: Account) -> bool:
        match word.lower():
            case "domain":
                return watcher.domain == account.domain
            case "server":
                return True
            case "nobody":
                return False
            case name:
                local, _, domain = name.partition("@")
                return self._is_named(watcher, Address(local, domain or account.domain))

    def _is_named(self, watcher: Account, address: Address) -> bool:
        """Whether he has that name, or is of the group that has it."""
        found = self._people.find_account(address.domain, address.local)
        if found is not None:
            return found.id == watcher.id
        route = self._people.resolve(address, caller=None, services=False).route
        members = route.members if isinstance(route, GroupRoute) else ()
        accounts = (self._people.find_account(each.domain, each.local) for each in members)
        return any(each is not None and each.id == watcher.id for each in accounts)
