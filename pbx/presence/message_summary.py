"""The lamp: the package message-summary, and NOTIFYs to phones that never subscribe.

It neither counts nor knows mail: the counts come through a port, the news of a change through `changed`.

RFC 3842 §3, RFC 6665; decision 20.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.model import Account, AccountRoute, Caller, ProgramRoute, Resolution
from pbx.presence.documents import Document, News
from pbx.presence.notifier import Stack, own
from pbx.presence.summary import CONTENT_TYPE, EVENT, Counts, body
from pbx.presence.unsolicited import Unsolicited, outside_dialog
from pbx.registrar.bindings import Binding, BindingKey, Bindings
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Workarounds

CountVoice = Callable[[int], Awaitable[tuple[int, int]]]

MAILBOX_CODE = "*98"

_log = get_logger("pbx.presence")


class Accounts(Protocol):
    """What is needed of the directory."""

    def account(self, account_id: int) -> Account | None: ...


class MessageSummary:
    """All lamps of one server. Implements `Package`."""

    event = EVENT
    content_type = CONTENT_TYPE
    gap = 0.0  # counting already takes changes together
    lists = False

    def __init__(
        self,
        entropy: Entropy,
        metrics: Metrics,
        stack: Stack,
        accounts: Accounts,
        bindings: Bindings,
        counts: CountVoice,
        workarounds: Workarounds | None = None,
    ) -> None:
        self._entropy = entropy
        self._metrics = metrics
        self._stack = stack
        self._accounts = accounts
        self._bindings = bindings
        self._counts = counts
        self._workarounds = workarounds or Workarounds()
        self._news: News | None = None
        self._known: dict[int, Counts] = {}
        self._unsolicited: dict[BindingKey, Unsolicited] = {}
        self._shown: dict[BindingKey, tuple[float, Counts]] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._again: dict[int, bool] = {}
        bindings.listen(self.changed)

    def attach(self, news: News) -> None:
        self._news = news

    async def close(self) -> None:
        """Stop counting and notifying."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    # --- the package

    def whose(self, caller: Caller, resolution: Resolution) -> Account | None:
        """Decision 20: the voicemail number, any program, or one's own address means one's own account."""
        match resolution.route:
            case AccountRoute(account=account):
                return account
            case ProgramRoute():
                return caller.account
            case _:
                return None

    def permits(self, caller: Caller, account: Account) -> bool:
        return own(caller, account)

    def open(self, caller: Caller, account: Account, version: int = 0) -> LampView:
        return LampView(self, account)

    # --- news

    def changed(self, account_id: int) -> None:
        """Voice messages came, were heard or deleted; or a phone of the account registered."""
        if self._subscribers(account_id) or self._bindings.contacts(account_id):
            self.count(account_id)

    def counts(self, account_id: int) -> Counts | None:
        """None while they are being counted."""
        return None if account_id in self._running else self._known.get(account_id)

    def count(self, account_id: int) -> None:
        """Ask for the counts; what changes while we ask makes us ask once more, however often it changes."""
        if account_id in self._running:
            self._again[account_id] = True
            return
        self._running[account_id] = asyncio.get_running_loop().create_task(self._count_and_tell(account_id))

    async def _count_and_tell(self, account_id: int) -> None:
        counts: Counts | None = None
        try:
            again = True
            while again:
                self._again.pop(account_id, None)
                counts = Counts(*await self._counts(account_id))
                again = self._again.pop(account_id, False)
        except Failure as failure:
            _log.warning("voice messages not counted", account=account_id, cause=str(failure))
        finally:
            self._running.pop(account_id, None)
        if counts is not None:
            self._tell(account_id, counts)

    def _tell(self, account_id: int, counts: Counts) -> None:
        covered = self._subscribers(account_id)
        if covered and self._news is not None:
            self._known[account_id] = counts
            self._news.changed(EVENT, account_id)
        else:
            self._known.pop(account_id, None)
        account = self._accounts.account(account_id)
        for binding in self._bindings.contacts(account_id):
            if account is not None and binding.flow not in covered and self._is_news(binding, counts):
                self._tell_contact(account, binding, counts)

    def _subscribers(self, account_id: int) -> Collection[Flow]:
        return () if self._news is None else self._news.flows(EVENT, account_id)

    # --- phones that never subscribe

    def _is_news(self, binding: Binding, counts: Counts) -> bool:
        """Whether this registration has not been shown these counts yet, and wants to be."""
        if Workaround.NO_UNSOLICITED_NOTIFY in self._workarounds.for_(binding.user_agent, binding.flow.remote[0]):
            return False
        key, shown = (binding.account_id, binding.key), (binding.registered_at, counts)
        if self._shown.get(key) == shown:
            return False
        if len(self._shown) > 2 * len(self._bindings) + 100:
            live = {(each.account_id, each.key) for each in self._bindings.all()}
            self._shown = {known: value for known, value in self._shown.items() if known in live}
        self._shown[key] = shown
        return True

    def _tell_contact(self, account: Account, binding: Binding, counts: Counts) -> None:
        key = (binding.account_id, binding.key)
        lamp = self._unsolicited.get(key)
        if lamp is None:
            lamp = self._unsolicited[key] = Unsolicited(
                self._stack,
                lambda now: self._loose(account, binding, now),
                lambda: self._dark(key),
            )
        lamp.update(counts)

    def _dark(self, key: BindingKey) -> None:
        self._unsolicited.pop(key, None)

    def _loose(self, account: Account, binding: Binding, counts: Counts) -> tuple[Request, Flow]:
        """A NOTIFY to a contact, outside any dialog (conventions: many phones never subscribe)."""
        request = outside_dialog(self._entropy, self._stack, account, binding)
        request.add("Event", EVENT)
        request.add("Subscription-State", "active")
        request.set_body(body(counts, mailbox(account)), CONTENT_TYPE)
        self._metrics.count("pbx.presence.unsolicited")
        return request, binding.flow


class LampView:
    """One phone's lamp. Implements `View`."""

    def __init__(self, lamps: MessageSummary, account: Account) -> None:
        self._lamps = lamps
        self._account = account
        self._shown: Counts | None = None

    @property
    def accounts(self) -> Collection[int]:
        return (self._account.id,)

    def prepare(self) -> None:
        self._lamps.count(self._account.id)

    def full(self) -> Document | None:
        counts = self._lamps.counts(self._account.id)
        if counts is None:
            return None
        self._shown = counts
        return Document(CONTENT_TYPE, body(counts, mailbox(self._account)))

    def news(self) -> Document | None:
        return None if self._lamps.counts(self._account.id) == self._shown else self.full()


def mailbox(account: Account) -> str:
    """The address that the phone's message key dials."""
    return f"sip:{MAILBOX_CODE}@{account.domain}"
