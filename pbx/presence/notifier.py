"""The notifier: takes SUBSCRIBEs for all event packages, keeps the subscriptions, and passes news on to them.

What a package shows and to whom is the package's; what one subscription does is `subscription`'s. Subscriptions of
accounts are stored: after a crash each goes on in its dialog, and is told all at once; one whose connection is gone
sleeps until its phone is back. After a clean stop phones are told to come again (RFC 6665 §4.4.1, §4.1.3).

RFC 6665 §4.2.1 (checks of a SUBSCRIBE), RFC 4662 §4 (lists).
Missing: rates that a subscriber asks for (RFC 6446), since news are gathered at the pace of each package already.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from base.clock import Clock, Timer
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.model import Account, Address, Caller, GroupRoute, Resolution, UnknownRoute
from pbx.presence.documents import Package, View
from pbx.presence.lists import open_list
from pbx.presence.store import SubscriptionStore
from pbx.presence.subscription import Requests, Subscription
from pbx.presence.table import First, Kept, Table, first_of
from pbx.presence.tables import StoredSubscription
from pbx.sipcore.dialog import Dialog, id_of_request
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, response_to
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.uri import NameAddress, Uri

_EVENTLIST = (("Require", "eventlist"),)

_log = get_logger("pbx.presence")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds of a subscription, and how many there may be.

    Limit: an hour is what phones ask and RFC 3842 §3.4, RFC 3856 §6.4 name; 400 for one subscriber are the lamps of a
    large console on several phones.
    """

    shortest: int = 60
    longest: int = 7200
    default: int = 3600
    each: int = 400
    all: int = 20_000
    comeback: int = 10
    pace: int = 20
    """How many are told each tenth of a second after a restart."""


class Stack(Requests, Protocol):
    """What is needed of the SIP stack."""

    def contact_for(self, flow: Flow, user: str = "") -> Uri: ...


class People(Protocol):
    """What is needed of the directory."""

    def account(self, account_id: int) -> Account | None: ...

    def resolve(self, address: Address, *, caller: Caller | None, services: bool = True) -> Resolution: ...


class Notifier:
    """Implements `pbx.policy.ports.Subscriptions`, and `News` for the packages."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        stack: Stack,
        people: People,
        packages: Sequence[Package],
        store: SubscriptionStore,
        bounds: Bounds | None = None,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics
        self._stack = stack
        self._people = people
        self._packages = {package.event: package for package in packages}
        self._bounds = bounds or Bounds()
        self._table = Table()
        self._store = store
        self._storing: set[asyncio.Task[None]] = set()
        self._sleepers: deque[Kept] = deque()
        self._away: dict[int, list[Kept]] = {}
        self._waking: Timer | None = None
        for package in packages:
            package.attach(self)
        metrics.gauge("pbx.presence.subscriptions", lambda: len(self._table))

    async def start(self) -> None:
        """Take up what a former process has accepted; nothing is sent before `wake`."""
        for row in await self._store.load():
            kept = self._taken_up(row)
            if kept is None:
                self._store.forget(row.id)
            elif kept.subscription.flow.reliable:
                self._away.setdefault(row.watcher, []).append(kept)
            else:
                self._sleepers.append(kept)

    def wake(self) -> None:
        """The doors are open: subscribers that can be reached are told how things are, a few at a time."""
        for kept in [self._sleepers.popleft() for _ in range(min(self._bounds.pace, len(self._sleepers)))]:
            self._rouse(kept, kept.subscription.flow)
        self._waking = self._clock.call_later(0.1, self.wake) if self._sleepers else None

    def registered(self, account_id: int, way: Callable[[Flow], Flow]) -> None:
        """A phone of the account is there: what was told to it by a connection that is gone is told to it again."""
        away = self._away.pop(account_id, ())
        still = [kept for kept in away if way(kept.subscription.flow) == kept.subscription.flow]
        if still:
            self._away[account_id] = still
        for kept in away:
            if kept not in still:
                self._rouse(kept, way(kept.subscription.flow))

    def _rouse(self, kept: Kept, flow: Flow) -> None:
        if kept.subscription.asleep and self._table.find(kept.subscription.dialog.id) is kept:
            kept.subscription.wake(flow)
            self._remember(kept)

    async def close(self) -> None:
        """Stop gathering; nothing is sent any more."""
        if self._waking is not None:
            self._waking.cancel()
        while self._storing:
            await asyncio.wait(self._storing)
        await asyncio.gather(*(package.close() for package in self._packages.values()))
        await self._store.close()

    def farewell(self) -> None:
        """The server stops: tell subscribers to come again a little later (RFC 6665 §4.1.3, probation)."""
        for kept in self._table.all():
            kept.subscription.end("probation", retry_after=self._bounds.comeback)

    def review(self, account_id: int | None) -> None:
        """Who may watch this account (None: anybody) was changed: end what is allowed no more (RFC 6665 §4.1.3)."""
        for kept in self._table.all():
            if account_id is not None and account_id not in kept.subscription.view.accounts:
                continue
            if kept.account is None:
                kept.subscription.end("deactivated")  # a list: the phone comes again, and is shown what it may see
            elif not self._packages[kept.event].permits(kept.caller, kept.account):
                kept.subscription.end("rejected")

    def gone(self, account_id: int) -> None:
        """The account was removed: nobody watches it, and it watches nobody."""
        for kept in self._table.all():
            if kept.caller.account is not None and kept.caller.account.id == account_id:
                kept.subscription.end("rejected")
            elif account_id in kept.subscription.view.accounts:
                kept.subscription.end("deactivated" if kept.account is None else "noresource")

    def logged_out(self, account_id: int) -> None:
        """The account has a new password: whoever watches on the old one proves himself again (RFC 6665 §4.1.3)."""
        for kept in self._table.all():
            if kept.caller.account is not None and kept.caller.account.id == account_id:
                kept.subscription.end("deactivated")

    # --- news

    def changed(self, event: str, account_id: int) -> None:
        for kept in self._table.watching(event, account_id):
            kept.subscription.news()
            if self._store.spent(kept.subscription.dialog):
                self._remember(kept)

    def flows(self, event: str, account_id: int) -> Collection[Flow]:
        return {kept.subscription.flow for kept in self._table.watching(event, account_id)}

    # --- SUBSCRIBE

    def subscribe(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        """A SUBSCRIBE outside a dialog, from somebody who proved who he is."""
        request = transaction.request
        package = self._packages.get(event_of(request))
        if package is None:  # RFC 6665 §4.2.1.1
            transaction.reply(489, headers=(("Allow-Events", ", ".join(self._packages)),))
            return
        if (refusal := self._refusal(request, caller)) is not None:
            transaction.reply(refusal[0], headers=refusal[1])
            return
        if isinstance(resolution.route, GroupRoute) and package.lists:
            self._subscribe_list(transaction, caller, package, resolution.route)
            return
        account = package.whose(caller, resolution)
        if account is None or not package.permits(caller, account):
            transaction.reply(404 if isinstance(resolution.route, UnknownRoute) else 403)
        elif not _acceptable(request, package.content_type):
            transaction.reply(406)
        else:
            self._begin(transaction, caller, package, package.open(caller, account), account)

    def _refusal(self, request: Request, caller: Caller) -> tuple[int, tuple[tuple[str, str], ...]] | None:
        """What is wrong with a new subscription, whatever its package."""
        if 0 < self._lifetime(request) < self._bounds.shortest:
            return 423, (("Min-Expires", str(self._bounds.shortest)),)
        if self._table.knows(request):  # RFC 3261 §8.2.2.2
            return 482, ()
        if len(self._table) >= self._bounds.all or self._table.count(caller) >= self._bounds.each:
            return 503, (("Retry-After", "60"),)
        return None

    def _subscribe_list(
        self, transaction: ServerTransaction, caller: Caller, package: Package, route: GroupRoute
    ) -> None:
        """RFC 4662 §4.1, §4.4: only for who says that he understands lists."""
        if "eventlist" not in transaction.request.tokens("Supported"):
            transaction.reply(421, headers=(("Require", "eventlist"),))
            return

        uri = f"sip:{Uri.parse(transaction.request.uri).user}@{transaction.request.to.uri.host}"
        self._begin(transaction, caller, package, self._open_list(uri, route, caller, package), None, uri)

    def _open_list(self, uri: str, route: GroupRoute, caller: Caller, package: Package, version: int = 0) -> View:
        def find(address: Address) -> Resolution:
            return self._people.resolve(address, caller=caller, services=False)

        return open_list(uri, route, caller, package, find, self._entropy, version)

    def _begin(
        self,
        transaction: ServerTransaction,
        caller: Caller,
        package: Package,
        view: View,
        account: Account | None,
        group: str = "",
    ) -> None:
        request, flow = transaction.request, transaction.flow
        contact = f"<{self._stack.contact_for(flow, Uri.parse(request.uri).user)}>"
        dialog = Dialog.uas(request, transaction.local_tag, contact)
        event, first = _event_value(request, package.event), first_of(request)
        kept = self._keep(package, caller, account, group, dialog, flow, event, view, first)
        row = kept.row(self._clock.wall() + self._lifetime(request))
        if row is not None and self._lifetime(request):
            task = asyncio.get_running_loop().create_task(self._store_then_accept(transaction, kept, row))
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)
        else:
            self._accept(transaction, kept)

    def _keep(
        self, package: Package, caller: Caller, account: Account | None, group: str,
        dialog: Dialog, flow: Flow, event: str, view: View, first: First,
    ) -> Kept:  # fmt: skip
        subscription = Subscription(
            self._clock, self._stack, dialog, flow, event, view, self._ended,
            gap=package.gap, extras=_EVENTLIST if group else (),
        )  # fmt: skip
        kept = Kept(subscription, package.event, caller, account, group, first)
        self._table.add(kept)
        return kept

    async def _store_then_accept(self, transaction: ServerTransaction, kept: Kept, row: StoredSubscription) -> None:
        """What was acknowledged outlives a crash."""
        try:
            await self._store.store(row)
        except Failure as failure:
            _log.error("subscription not stored", watcher=kept.watcher, cause=str(failure))
            kept.subscription.end()
        if self._table.find(row.id) is kept:
            self._accept(transaction, kept)
        else:
            transaction.reply(503, headers=(("Retry-After", "10"),))

    def _remember(self, kept: Kept) -> None:
        row = kept.row(self._clock.wall() + kept.subscription.expires_at - self._clock.now())
        if row is not None:
            self._store.later(row)

    def _taken_up(self, row: StoredSubscription) -> Kept | None:
        """None when who watches or what is watched is there no more."""
        watcher, package = self._people.account(row.watcher), self._packages.get(row.package)
        if watcher is None or package is None:
            return None
        caller = Caller(f"sip:{watcher.address}", watcher.real_name, watcher)
        account = self._watched(row, caller, package)
        if row.group:
            uri = Uri.parse(row.group)
            route = self._people.resolve(Address(uri.user, uri.host), caller=caller, services=False).route
            if not isinstance(route, GroupRoute):
                return None
            view = self._open_list(row.group, route, caller, package, row.local_cseq)
        elif account is not None and package.permits(caller, account):
            view = package.open(caller, account, row.local_cseq)
        else:
            return None
        first = (row.call_id, row.remote_tag, 0)
        kept = self._keep(package, caller, account, row.group, row.dialog(), row.flow, row.event, view, first)
        kept.subscription.hold(row.expires_at - self._clock.wall())
        return kept

    def _watched(self, row: StoredSubscription, caller: Caller, package: Package) -> Account | None:
        """A parking place is known by its address only."""
        if row.account is None or row.account >= 0:
            return None if row.account is None else self._people.account(row.account)
        uri = NameAddress.parse(row.local).uri
        found = package.whose(caller, self._people.resolve(Address(uri.user, uri.host), caller=caller, services=False))
        return found if found is not None and found.id == row.account else None

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        """A refresh, or the end of a subscription (RFC 6665 §4.2.1.1, §4.2.1.4)."""
        request = transaction.request
        kept = self._table.find(id_of_request(request))
        if kept is None:
            return False
        if request.method != "SUBSCRIBE":
            transaction.reply(405, headers=(("Allow", "SUBSCRIBE"),))
        elif not kept.subscription.dialog.accepts(request):
            transaction.reply(500, "Out of order")
        elif _event_value(request, event_of(request)) != kept.subscription.event:
            # RFC 6665 §4.5.2: dialogs are not shared by several subscriptions any more
            transaction.reply(489, headers=(("Allow-Events", kept.event),))
        elif 0 < self._lifetime(request) < self._bounds.shortest:
            transaction.reply(423, headers=(("Min-Expires", str(self._bounds.shortest)),))
        else:
            kept.subscription.flow = transaction.flow
            self._accept(transaction, kept)
            self._remember(kept)
        return True

    def _accept(self, transaction: ServerTransaction, kept: Kept) -> None:
        """200, then at once a NOTIFY (RFC 6665 §4.2.1.2)."""
        seconds, subscription = self._lifetime(transaction.request), kept.subscription
        response = response_to(transaction.request, 200, headers=_EVENTLIST if kept.group else ())
        response.add("Contact", subscription.dialog.contact or "")
        response.add("Expires", str(seconds))
        transaction.respond(response)
        self._metrics.count("pbx.presence.subscribes")
        subscription.extend(seconds)

    def _lifetime(self, request: Request) -> int:
        seconds = request.number("Expires")
        return self._bounds.default if seconds is None else min(seconds, self._bounds.longest)

    def _ended(self, subscription: Subscription) -> None:
        self._table.drop(subscription.dialog.id)
        self._store.forget(subscription.dialog.id)


def event_of(request: Request) -> str:
    """The name of the event package that a request is about."""
    return (request.get("Event") or "").partition(";")[0].strip().lower()


def _event_value(request: Request, event: str) -> str:
    """The Event of our NOTIFYs: the package and the `id` of the SUBSCRIBE (RFC 6665 §4.1.2, §8.2.1)."""
    for parameter in (request.get("Event") or "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "id" and len(value) <= 128:
            return f"{event};id={value.strip()}"
    return event


def _acceptable(request: Request, content_type: str) -> bool:
    """RFC 3261 §8.2.3, RFC 6665 §4.2.1.1; without Accept the package's own type is meant."""
    kinds = {value.partition(";")[0].strip().lower() for value in request.get_all("Accept")}
    general = f"{content_type.partition('/')[0]}/*"
    return not kinds or not kinds.isdisjoint({content_type, general, "*/*"})


def own(caller: Caller, account: Account) -> bool:
    """Whether somebody asks for his own."""
    return caller.account is not None and caller.account.id == account.id
