"""The lamp: message-summary subscriptions and unsolicited NOTIFYs, driven by changes of the voice message counts.

It neither counts nor knows mail: the counts come through a port, the news of a change through `changed`.

RFC 3842, RFC 6665; decision 20.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.model import Account, AccountRoute, Caller, ProgramRoute, Resolution
from pbx.presence.subscription import Subscription, Unsolicited
from pbx.presence.summary import CONTENT_TYPE, EVENT, Counts, body
from pbx.registrar.bindings import Binding, BindingKey, Bindings
from pbx.sipcore.dialog import Dialog, DialogId, id_of_request
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, response_to
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.transaction_ports import ClientUser
from pbx.sipcore.uri import Uri

CountVoice = Callable[[int], Awaitable[tuple[int, int]]]

MAILBOX_CODE = "*97"
SHORTEST, LONGEST, DEFAULT = 60, 7200, 3600
"""Limit: seconds of a subscription; RFC 3842 §3.4 leaves the default to us, an hour is what phones ask."""
PER_ACCOUNT = 30
"""Limit: subscriptions of one account, far above the phones that one person has."""

_log = get_logger("pbx.presence")


class Stack(Protocol):
    """What is needed of the SIP stack."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> object: ...

    def contact_for(self, flow: Flow, user: str = "") -> Uri: ...


class Accounts(Protocol):
    """What is needed of the directory."""

    def account(self, account_id: int) -> Account | None: ...


class MessageSummary:
    """All lamps of one server."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        stack: Stack,
        accounts: Accounts,
        bindings: Bindings,
        counts: CountVoice,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics
        self._stack = stack
        self._accounts = accounts
        self._bindings = bindings
        self._counts = counts
        self._by_dialog: dict[DialogId, Subscription] = {}
        self._by_account: dict[int, dict[DialogId, Subscription]] = {}
        self._unsolicited: dict[BindingKey, Unsolicited] = {}
        self._shown: dict[BindingKey, tuple[float, Counts]] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._again: dict[int, bool] = {}
        bindings.listen(self.changed)
        metrics.gauge("pbx.presence.subscriptions", lambda: len(self._by_dialog))

    async def close(self) -> None:
        """Stop counting and notifying."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    # --- SUBSCRIBE ---------------------------------------------------------------------------------------------------

    def subscribe(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        """A SUBSCRIBE outside a dialog, authenticated and for our event package."""
        account = self._whose(caller, resolution)
        if account is None:
            transaction.reply(403)
            return
        seconds = _lifetime(transaction.request)
        if 0 < seconds < SHORTEST:
            transaction.reply(423, headers=(("Min-Expires", str(SHORTEST)),))
            return
        if len(self._by_account.get(account.id, {})) >= PER_ACCOUNT:
            transaction.reply(503, headers=(("Retry-After", "60"),))
            return
        subscription = self._new(transaction, account)
        self._accept(transaction, subscription, seconds)

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        """A refresh, or the end of a subscription."""
        subscription = self._by_dialog.get(id_of_request(transaction.request))
        if subscription is None:
            return False
        if transaction.request.method != "SUBSCRIBE":
            transaction.reply(405, headers=(("Allow", "SUBSCRIBE"),))
        elif not subscription.dialog.accepts(transaction.request):
            transaction.reply(500, "Out of order")
        else:
            seconds = _lifetime(transaction.request)
            if 0 < seconds < SHORTEST:
                transaction.reply(423, headers=(("Min-Expires", str(SHORTEST)),))
            else:
                subscription.flow = transaction.flow
                self._accept(transaction, subscription, seconds)
        return True

    @staticmethod
    def _whose(caller: Caller, resolution: Resolution) -> Account | None:
        """Decision 20: the voicemail number, any program, or one's own address means one's own account."""
        match resolution.route:
            case AccountRoute(account=account) if caller.account is not None and account.id == caller.account.id:
                return account
            case ProgramRoute():
                return caller.account
            case _:
                return None

    def _new(self, transaction: ServerTransaction, account: Account) -> Subscription:
        request, flow = transaction.request, transaction.flow
        contact = f"<{self._stack.contact_for(flow, account.name)}>"
        dialog = Dialog.uas(request, transaction.local_tag, contact)
        subscription = Subscription(
            self._clock,
            self._stack,
            dialog,
            flow,
            account.id,
            _mailbox(account),
            request.get("Event") or EVENT,
            self._ended,
        )
        self._by_dialog[dialog.id] = subscription
        self._by_account.setdefault(account.id, {})[dialog.id] = subscription
        return subscription

    def _accept(self, transaction: ServerTransaction, subscription: Subscription, seconds: int) -> None:
        """200, then at once a NOTIFY (RFC 6665 §4.2.1.2)."""
        response = response_to(transaction.request, 200)
        response.add("Contact", subscription.dialog.contact or "")
        response.add("Expires", str(seconds))
        transaction.respond(response)
        subscription.extend(seconds)
        self._metrics.count("pbx.presence.subscribes")
        self._count(subscription.account_id)

    def _ended(self, subscription: Subscription) -> None:
        key = subscription.dialog.id
        self._by_dialog.pop(key, None)
        mine = self._by_account.get(subscription.account_id, {})
        mine.pop(key, None)
        if not mine:
            self._by_account.pop(subscription.account_id, None)

    # --- news --------------------------------------------------------------------------------------------------------

    def changed(self, account_id: int) -> None:
        """Voice messages came, were heard or deleted; or a phone of the account registered."""
        if account_id in self._by_account or self._bindings.contacts(account_id):
            self._count(account_id)

    def _count(self, account_id: int) -> None:
        """Ask for the counts; what changes while we ask makes us ask once more, however often it changes."""
        if account_id in self._running:
            self._again[account_id] = True
            return
        self._running[account_id] = asyncio.get_running_loop().create_task(self._count_and_tell(account_id))

    async def _count_and_tell(self, account_id: int) -> None:
        try:
            again = True
            while again:
                self._again.pop(account_id, None)
                new, old = await self._counts(account_id)
                self._tell(account_id, Counts(new, old))
                again = self._again.pop(account_id, False)
        except Failure as failure:
            _log.warning("voice messages not counted", account=account_id, cause=str(failure))
        finally:
            self._running.pop(account_id, None)

    def _tell(self, account_id: int, counts: Counts) -> None:
        subscriptions = list(self._by_account.get(account_id, {}).values())
        for subscription in subscriptions:
            subscription.update(counts)
        covered = {subscription.flow for subscription in subscriptions}
        account = self._accounts.account(account_id)
        for binding in self._bindings.contacts(account_id):
            if account is not None and binding.flow not in covered and self._is_news(binding, counts):
                self._tell_contact(account, binding, counts)

    def _is_news(self, binding: Binding, counts: Counts) -> bool:
        """Whether this registration has not been shown these counts yet."""
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
        request = Request("NOTIFY", binding.contact)
        for path in binding.path:
            request.add("Route", path)  # RFC 3327 §5.3
        request.add("Max-Forwards", "70")
        request.add("From", f"<sip:{account.address}>;tag={self._entropy.token(8)}")
        request.add("To", f"<sip:{account.address}>")
        request.add("Call-ID", self._entropy.token(12))
        request.add("CSeq", "1 NOTIFY")
        request.add("Contact", f"<{self._stack.contact_for(binding.flow, account.name)}>")
        request.add("Event", EVENT)
        request.add("Subscription-State", "active")
        request.set_body(body(counts, _mailbox(account)), CONTENT_TYPE)
        self._metrics.count("pbx.presence.unsolicited")
        return request, binding.flow


def _mailbox(account: Account) -> str:
    return f"sip:{MAILBOX_CODE}@{account.domain}"


def _lifetime(request: Request) -> int:
    seconds = request.number("Expires")
    return DEFAULT if seconds is None else min(seconds, LONGEST)
