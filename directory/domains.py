"""The domains of this server and their other names; what host names and addresses of the machine mean one of them."""

from __future__ import annotations

from collections.abc import Iterable

from base.failures import Failure
from directory import names
from directory.store import Store


class Domains:
    """`hosts`: our own addresses and host names, which mean the main domain."""

    def __init__(self, store: Store, hosts: Iterable[str]) -> None:
        self._store = store
        self._image = store.image
        self._hosts = {names.plain_host(host) for host in hosts}

    @property
    def main(self) -> str:
        """The first domain; empty only before the first start has made one."""
        return self._image.main_domain

    def all(self) -> tuple[str, ...]:
        """The main one first."""
        others = sorted(name for name in self._image.domain_ids if name != self.main)
        return (self.main, *others) if self.main else tuple(others)

    def local(self, host: str) -> str | None:
        """The domain that `host` means: itself, its alias, or the main domain for our own addresses and `localhost`;
        None when it is foreign."""
        if host in self._image.domain_ids:
            return host
        plain = names.plain_host(host)
        if plain in self._image.domain_ids:
            return plain
        if plain in self._image.domain_aliases:
            return self._image.domain_aliases[plain]
        if plain in self._hosts or names.is_loopback(plain):
            return self._image.main_domain or None
        return None

    def existing(self, name: str) -> str:
        """The same of a name that must be ours. Raises Failure("not-found")."""
        domain = self.local(name)
        if domain is None:
            raise Failure("not-found", f"there is no domain {name}")
        return domain

    def add_host(self, host: str) -> None:
        """One more name or address of this machine (an interface that came up, an advertised address)."""
        self._hosts.add(names.plain_host(host))

    def remove_host(self, host: str) -> None:
        """This machine has that address no more."""
        self._hosts.discard(names.plain_host(host))

    def share_hosts(self, other: Domains) -> None:
        """Know the same names of the machine, from now on too."""
        self._hosts = other._hosts

    async def create(self, name: str) -> str:
        """Add a domain; the first one becomes the main domain. Returns its name as kept. Raises Failure("exists" |
        "invalid")."""
        domain = self._free(name)
        await self._store.add_domain(domain, main=not self._image.domain_ids)
        return domain

    async def add_alias(self, domain: str, alias: str) -> None:
        """One more name of a domain. Raises Failure("exists" | "invalid" | "not-found")."""
        await self._store.add_domain_alias(self.existing(domain), self._free(alias))

    def aliases(self, domain: str) -> tuple[str, ...]:
        """Other names of a domain, sorted."""
        return tuple(sorted(alias for alias, owner in self._image.domain_aliases.items() if owner == domain))

    async def remove(self, name: str) -> None:
        """Remove an empty domain, or only this name when it is an alias. Raises Failure("not-found" | "denied")."""
        plain = names.plain_host(name)
        if plain in self._image.domain_aliases:
            await self._store.remove_domain_alias(plain)
            return
        domain = self.existing(name)
        if domain == self.main:
            raise Failure("denied", "the main domain stays")
        if any(of_domain == domain for of_domain, _ in self._image.names):
            raise Failure("denied", f"{domain} still has accounts or groups: remove them first")
        await self._store.remove_domain(domain)

    async def set_main(self, name: str) -> None:
        """Make the main domain when there is none. Raises Failure("denied") when there is another one."""
        if not self.main:
            await self.create(name)
        elif name != self.main:
            raise Failure(
                "denied", f"the main domain of this data folder is {self.main}: start without --domain, or with it"
            )

    def _free(self, name: str) -> str:
        domain = names.checked_domain(name)
        if domain in self._image.domain_ids or domain in self._image.domain_aliases:
            raise Failure("exists", f"the domain {domain} is there already")
        return domain
