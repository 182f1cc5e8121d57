"""What the handlers of acts work with, cut to what the actor may see and change.

Names of accounts and domains reach a handler through the desk only, so that each act asks the same questions: is that
in his reach, and has that account rights that he has not?
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from admin.configuration.configuration import Configuration
from admin.ports import Blocks, CertificateStore, Mailboxes, Monitor, Phones, PromptStore, Server
from admin.rights import LOCAL, Actor, Reach
from base.clock import Clock
from base.failures import Failure
from directory.directory import Directory
from directory.model import Account, Right
from pbx.lookup.lookups import LookUps
from pbx.policy.relaying import GATEWAYS
from pbx.recordings.library import Library
from pbx.trunk.trunks import Trunks
from pbx.workarounds.server import WorkaroundStore


@dataclass(frozen=True, slots=True)
class Desk:
    """The rooms of the server, and who stands before it. `reach` is that of the act that is performed."""

    directory: Directory
    prompts: PromptStore
    monitor: Monitor
    mailboxes: Mailboxes
    server: Server
    clock: Clock
    certificates: CertificateStore | None = None
    trunks: Trunks | None = None
    blocks: Blocks | None = None
    workarounds: WorkaroundStore | None = None
    configuration: Configuration | None = None
    phones: Phones | None = None
    recordings: Library | None = None
    lookups: LookUps | None = None
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by acts that read, change and write: of two at once the second sees what the first has written."""
    actor: Actor = LOCAL
    reach: Reach = Reach.SERVER

    @property
    def _home(self) -> str:
        """The domain beyond which nothing is seen; empty: there is none."""
        return "" if self.reach is Reach.SERVER or self.actor.account is None else self.actor.account.domain

    def domain(self, name: str) -> str:
        """The domain of that name; for the empty one the main domain, or the actor's own where he sees no other.

        Raises Failure("denied" | "not-found").
        """
        found = self.directory.local_domain(name) if name else self._home or self.directory.main_domain
        if self._home and found != self._home:
            raise Failure("denied", f"{self.actor.name} may look at {self._home} only")
        if found is None:
            raise Failure("not-found", f"there is no domain {name}")
        return found

    def domains(self, name: str = "") -> tuple[str, ...]:
        """The one of that name, or all that the actor sees."""
        return (self.domain(name),) if name or self._home else self.directory.domains()

    def account(self, name: str, domain: str = "") -> Account:
        """`alice`, `201`, or `alice@domain`, to look at. Raises Failure("denied" | "not-found")."""
        local, _, of = name.partition("@")
        found = self.directory.find_account(self.domain(of or domain), local)
        if self.reach is Reach.ACCOUNT and found != self.actor.account:
            raise Failure("denied", f"{self.actor.name} may do that for himself only")
        if found is None:
            raise Failure("not-found", f"there is no account {name}{f' in {domain}' if domain else ''}")
        return found

    def account_to_change(self, name: str, domain: str = "") -> Account:
        """The same, when the actor has all rights that it has, and it is no gateway of others: a password opens them.
        Raises Failure("denied" | "not-found")."""
        found = self.account(name, domain)
        if not self.actor.outranks(self.directory.rights.of(found.id)):
            raise Failure("denied", f"{found.address} has rights that {self.actor.name} has not")
        if found != self.actor.account and self.directory.groups.is_member(GATEWAYS, found):
            self.whole_server()
        return found

    def name_to_give(self, domain: str, name: str) -> str:
        """A name that an account is to get: one that the group of gateways has makes it a gateway, which calls in under
        any name. Raises Failure("denied")."""
        if self.directory.groups.lists(GATEWAYS, domain, name):
            self.whole_server()
        return name

    def sees(self, account: Account | None) -> bool:
        """Whether what belongs to it is in the actor's reach."""
        return not self._home or (account is not None and account.domain == self._home)

    def accounts(self) -> frozenset[int] | None:
        """Those that the actor sees, by id; None: all."""
        return frozenset(account.id for account in self.directory.accounts(self._home)) if self._home else None

    def needs(self, right: Right) -> None:
        """In his own domain the actor must have this right as well. Raises Failure("denied")."""
        if self.reach is not Reach.SERVER and right not in self.actor.rights:
            raise Failure("denied", f"that needs the right {right.value} in {self._home}")

    def whole_server(self, right: Right | None = None) -> None:
        """What is the server's needs a hand that goes so far, and that right. Raises Failure("denied")."""
        if self._home:
            raise Failure("denied", f"that is for administrators of the server; yours is {self._home}")
        if right is not None and not self.actor.may(right):
            raise Failure("denied", f"that needs the right {right.value}")
