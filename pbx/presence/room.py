"""All event packages of one server, joined to one notifier. Only making; nothing is decided here.

RFC 6665 §5.
"""

from __future__ import annotations

from typing import Protocol

from base.clock import Clock
from base.entropy import Entropy
from base.metrics import Metrics
from base.storage.database import Database
from directory.model import Account, Address, Caller, Resolution
from pbx.presence.dialog_info import DialogPackage
from pbx.presence.lines import Lines
from pbx.presence.message_summary import CountVoice, MessageSummary
from pbx.presence.notifier import Bounds, Notifier, Stack
from pbx.presence.presence import PresencePackage
from pbx.presence.publications import Publications
from pbx.presence.publishing import Publisher
from pbx.presence.reginfo import RegistrationPackage
from pbx.presence.store import SubscriptionStore
from pbx.presence.watchers import Watchers
from pbx.registrar.bindings import Bindings
from pbx.registrar.gruu import Gruus
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.workarounds.rows import Workarounds


class People(Protocol):
    """What is needed of the directory."""

    def account(self, account_id: int) -> Account | None: ...

    def setting(self, account_id: int, key: str) -> object: ...

    def find_account(self, domain: str, local: str) -> Account | None: ...

    def resolve(self, address: Address, *, caller: Caller | None, services: bool = True) -> Resolution: ...


class Events:
    """Implements `pbx.policy.ports.Subscriptions`. `lines` is told by calls, `lamps` by the mail store."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        stack: Stack,
        people: People,
        bindings: Bindings,
        counts: CountVoice,
        database: Database,
        bounds: Bounds | None = None,
        workarounds: Workarounds | None = None,
        gruus: Gruus | None = None,
    ) -> None:
        watchers, publications = Watchers(people), Publications(clock, entropy, database)
        self.lines = Lines()
        self._publications = publications
        self.lamps = MessageSummary(entropy, metrics, stack, people, bindings, counts, workarounds)
        self._publisher = Publisher(metrics, publications)
        self._notifier = Notifier(
            clock,
            entropy,
            metrics,
            stack,
            people,
            (
                self.lamps,
                DialogPackage(self.lines, watchers),
                PresencePackage(self.lines, bindings, publications, watchers),
                RegistrationPackage(clock, bindings, gruus),
            ),
            SubscriptionStore(clock, database),
            bounds,
        )
        bindings.listen(lambda account_id: self._notifier.registered(account_id, bindings.way))

    async def start(self) -> None:
        """Take up what was subscribed and published before a crash."""
        await self._notifier.start()
        await self._publications.start()

    def wake(self) -> None:
        """Requests can be sent: tell those who have been waiting since the crash."""
        self._notifier.wake()

    def subscribe(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        self._notifier.subscribe(transaction, caller, resolution)

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        return self._notifier.in_dialog(transaction)

    def publish(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        self._publisher.publish(transaction, caller, resolution)

    def review(self, account_id: int | None) -> None:
        """Who may watch an account, or any, was changed."""
        self._notifier.review(account_id)

    def gone(self, account_id: int) -> None:
        """The account was removed."""
        self._notifier.gone(account_id)

    def logged_out(self, account_id: int) -> None:
        """The account has a new password."""
        self._notifier.logged_out(account_id)

    def farewell(self) -> None:
        """Before the doors close: subscribers are told to come again."""
        self._notifier.farewell()

    async def close(self) -> None:
        await self._publisher.close()
        await self._notifier.close()
