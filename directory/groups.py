"""Groups and forwarders: names of a domain that stand for other addresses. Looked up in memory; changed after a commit.

Making and removing one is `directory.py`'s, which knows what names are free; where it leads is `resolver.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable

from base.failures import Failure
from directory import names
from directory.image import Forwarder, Group, Image
from directory.model import Account, Ring, RingOrder
from directory.store import Store

_MEMBERS = 1000  # Limit: members of a group.
MOST_SECONDS = 600
"""Limit: of the step from one member to the next."""
_ORDER, _STEP, _THEN = "RingOrder", "RingStep", "RingThen"
"""Settings of a group, kept as those of an account are."""


class Groups:
    """Of all domains; a domain is given by the name that `Directory.local_domain` gave."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._image = store.image

    def find(self, domain: str, name: str) -> Account | Group | Forwarder | None:
        """Whatever has that name, in any case."""
        found = self._image.names.get((domain, name.strip().lower()))
        return None if found is None else self._image.objects[found.object_id]

    def groups(self, domain: str) -> tuple[tuple[str, Group], ...]:
        """Name and group, in the order of their names."""
        return tuple((local, found) for local, found in self._all(domain) if isinstance(found, Group))

    def group(self, domain: str, name: str) -> Group:
        """Raises Failure("not-found")."""
        found = self.find(domain, name)
        if not isinstance(found, Group):
            raise Failure("not-found", f"there is no group {name} in {domain}")
        return found

    def forwarders(self, domain: str) -> tuple[tuple[str, Forwarder], ...]:
        """Name and forwarder, in the order of their names."""
        return tuple((local, found) for local, found in self._all(domain) if isinstance(found, Forwarder))

    def forwarder(self, domain: str, name: str) -> Forwarder:
        """Raises Failure("not-found")."""
        found = self.find(domain, name)
        if not isinstance(found, Forwarder):
            raise Failure("not-found", f"there is no forwarder {name} in {domain}")
        return found

    def is_member(self, group: str, account: Account) -> bool:
        """Whether `account` is named, by any of its names, in the group of that name in its own domain."""
        found = self.find(account.domain, group)
        if not isinstance(found, Group):
            return False
        members = (names.parse_target(member, account.domain) for member in found.members)
        return any(member and self.find(member.domain, member.local) == account for member in members)

    def lists(self, group: str, domain: str, name: str) -> bool:
        """Whether the group of that name in the domain has that name of the domain as a member, whoever bears it."""
        found = self.find(domain, group)
        members = found.members if isinstance(found, Group) else ()
        wanted = names.parse_target(name.strip().lower(), domain)
        return wanted in (names.parse_target(member.lower(), domain) for member in members)

    async def set_members(self, domain: str, name: str, members: Iterable[str]) -> None:
        """Raises Failure("not-found" | "invalid")."""
        await self._store.put_members(self.group(domain, name), member_list(members, domain))

    def ring(self, group: Group) -> Ring:
        """How calls ring its members."""
        return ring_of(self._image, group)

    async def set_ring(self, domain: str, name: str, ring: Ring) -> None:
        """Raises Failure("not-found" | "invalid")."""
        group = self.group(domain, name)
        if not 1 <= ring.step <= MOST_SECONDS:
            raise Failure("invalid", f"a step is 1 to {MOST_SECONDS} seconds")
        if ring.then and names.parse_target(ring.then, domain) is None:
            raise Failure("invalid", f"{ring.then!r} is no address")
        usual = Ring()
        for key, value, default in (
            (_ORDER, ring.order.value, usual.order.value),
            (_STEP, ring.step, usual.step),
            (_THEN, ring.then, usual.then),
        ):
            await self._store.put_setting(("account", group.id), key, None if value == default else value)

    def _all(self, domain: str) -> list[tuple[str, Account | Group | Forwarder]]:
        found = [(local, name) for (of, local), name in self._image.names.items() if of == domain and not name.alias]
        return [(local, self._image.objects[name.object_id]) for local, name in sorted(found, key=lambda each: each[0])]


def ring_of(image: Image, group: Group) -> Ring:
    """What is kept of it, else the default."""
    kept, usual = image.settings.get(("account", group.id), {}), Ring()
    step = kept.get(_STEP)
    return Ring(
        RingOrder(kept.get(_ORDER, usual.order.value)),
        step if isinstance(step, int) else usual.step,
        str(kept.get(_THEN, usual.then)),
    )


def member_list(members: Iterable[str], domain: str) -> str:
    """Members as they are kept, with commas between. Raises Failure("invalid")."""
    found = [member.strip() for member in members if member.strip()]
    for member in found:
        if "," in member or names.parse_target(member, domain) is None:
            raise Failure("invalid", f"{member!r} is no address")
    if len(found) > _MEMBERS:
        raise Failure("invalid", f"a group has at most {_MEMBERS} members")
    return ",".join(found)
