"""The notifier: takes SUBSCRIBEs for all event packages, keeps the subscriptions, and passes news on to them.

What a package shows and to whom is the package's; what one subscription does is `subscription`'s. Subscriptions are
not stored: after a clean stop phones are told to come again, after a crash their next refresh gets 481 and they
subscribe anew (RFC 6665 §4.4.1, §4.1.3).

RFC 6665 §4.2.1 (checks of a SUBSCRIBE), RFC 4662 §4 (lists).
Missing: rates that a subscriber asks for (RFC 6446), since news are gathered at the pace of each package already.
Missing: subscriptions that outlive a crash (RFC 6665 §4.4.1), as the next refresh of a telephone begins a new one;
until then its lamps stand still.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from base.clock import Clock
from base.entropy import Entropy
from base.metrics import Metrics
from directory.model import Account, Address, Caller, GroupRoute, Resolution, UnknownRoute
from pbx.presence.documents import Package, View
from pbx.presence.lists import open_list
from pbx.presence.subscription import Requests, Subscription
from pbx.sipcore.dialog import Dialog, DialogId, id_of_request
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, response_to
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.uri import Uri


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


class Stack(Requests, Protocol):
    """What is needed of the SIP stack."""

    def contact_for(self, flow: Flow, user: str = "") -> Uri: ...


class People(Protocol):
    """What is needed of the directory."""

    def resolve(self, address: Address, *, caller: Caller | None, services: bool = True) -> Resolution: ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """A subscription and how it is found."""

    subscription: Subscription
    event: str
    caller: Caller
    account: Account | None
    first: tuple[str, str, int]

    @property
    def watcher(self) -> str:
        return _name(self.caller)


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
        bounds: Bounds | None = None,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics
        self._stack = stack
        self._people = people
        self._packages = {package.event: package for package in packages}
        self._bounds = bounds or Bounds()
        self._kept: dict[DialogId, _Kept] = {}
        self._watching: dict[tuple[str, int], dict[DialogId, Subscription]] = {}
        self._watchers: Counter[str] = Counter()
        self._first: set[tuple[str, str, int]] = set()
        for package in packages:
            package.attach(self)
        metrics.gauge("pbx.presence.subscriptions", lambda: len(self._kept))

    async def close(self) -> None:
        """Stop gathering; nothing is sent any more."""
        await asyncio.gather(*(package.close() for package in self._packages.values()))

    def farewell(self) -> None:
        """The server stops: tell subscribers to come again a little later (RFC 6665 §4.1.3, probation)."""
        for kept in list(self._kept.values()):
            kept.subscription.end("probation", retry_after=self._bounds.comeback)

    def review(self, account_id: int | None) -> None:
        """Who may watch this account (None: anybody) was changed: end what is allowed no more (RFC 6665 §4.1.3)."""
        for kept in list(self._kept.values()):
            if account_id is not None and account_id not in kept.subscription.view.accounts:
                continue
            if kept.account is None:
                kept.subscription.end("deactivated")  # a list: the phone comes again, and is shown what it may see
            elif not self._packages[kept.event].permits(kept.caller, kept.account):
                kept.subscription.end("rejected")

    def gone(self, account_id: int) -> None:
        """The account was removed: nobody watches it, and it watches nobody."""
        for kept in list(self._kept.values()):
            if kept.caller.account is not None and kept.caller.account.id == account_id:
                kept.subscription.end("rejected")
            elif account_id in kept.subscription.view.accounts:
                kept.subscription.end("deactivated" if kept.account is None else "noresource")

    def logged_out(self, account_id: int) -> None:
        """The account has a new password: whoever watches on the old one proves himself again (RFC 6665 §4.1.3)."""
        for kept in list(self._kept.values()):
            if kept.caller.account is not None and kept.caller.account.id == account_id:
                kept.subscription.end("deactivated")

    # --- news

    def changed(self, event: str, account_id: int) -> None:
        watching = self._watching.get((event, account_id))
        if watching is not None:
            for subscription in list(watching.values()):
                subscription.news()

    def flows(self, event: str, account_id: int) -> Collection[Flow]:
        return {subscription.flow for subscription in self._watching.get((event, account_id), {}).values()}

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
            view = package.open(caller, account)
            self._begin(transaction, caller, package, view, account)

    def _refusal(self, request: Request, caller: Caller) -> tuple[int, tuple[tuple[str, str], ...]] | None:
        """What is wrong with a new subscription, whatever its package."""
        if 0 < self._lifetime(request) < self._bounds.shortest:
            return 423, (("Min-Expires", str(self._bounds.shortest)),)
        if _first(request) in self._first:  # RFC 3261 §8.2.2.2: forked on its way, and here by a second path
            return 482, ()
        if len(self._kept) >= self._bounds.all or self._watchers[_name(caller)] >= self._bounds.each:
            return 503, (("Retry-After", "60"),)
        return None

    def _subscribe_list(
        self, transaction: ServerTransaction, caller: Caller, package: Package, route: GroupRoute
    ) -> None:
        """RFC 4662 §4.1, §4.4: only for who says that he understands lists."""
        if "eventlist" not in transaction.request.tokens("Supported"):
            transaction.reply(421, headers=(("Require", "eventlist"),))
            return

        def find(address: Address) -> Resolution:
            return self._people.resolve(address, caller=caller, services=False)

        uri = f"sip:{Uri.parse(transaction.request.uri).user}@{transaction.request.to.uri.host}"
        view = open_list(uri, route, caller, package, find, self._entropy)
        self._begin(transaction, caller, package, view, None, (("Require", "eventlist"),))

    def _begin(
        self,
        transaction: ServerTransaction,
        caller: Caller,
        package: Package,
        view: View,
        account: Account | None,
        extras: tuple[tuple[str, str], ...] = (),
    ) -> None:
        request, flow = transaction.request, transaction.flow
        dialog = Dialog.uas(
            request, transaction.local_tag, f"<{self._stack.contact_for(flow, Uri.parse(request.uri).user)}>"
        )
        subscription = Subscription(
            self._clock, self._stack, dialog, flow, _event_value(request, package.event), view, self._ended,
            gap=package.gap, extras=extras,
        )  # fmt: skip
        kept = _Kept(subscription, package.event, caller, account, _first(request))
        self._kept[dialog.id] = kept
        self._first.add(kept.first)
        self._watchers[kept.watcher] += 1
        for account_id in view.accounts:
            self._watching.setdefault((package.event, account_id), {})[dialog.id] = subscription
        self._accept(transaction, subscription, extras)

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        """A refresh, or the end of a subscription (RFC 6665 §4.2.1.1, §4.2.1.4)."""
        request = transaction.request
        kept = self._kept.get(id_of_request(request))
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
            self._accept(transaction, kept.subscription, ())
        return True

    def _accept(
        self, transaction: ServerTransaction, subscription: Subscription, extras: tuple[tuple[str, str], ...]
    ) -> None:
        """200, then at once a NOTIFY (RFC 6665 §4.2.1.2)."""
        seconds = self._lifetime(transaction.request)
        response = response_to(transaction.request, 200, headers=extras)
        response.add("Contact", subscription.dialog.contact or "")
        response.add("Expires", str(seconds))
        transaction.respond(response)
        self._metrics.count("pbx.presence.subscribes")
        subscription.extend(seconds)

    def _lifetime(self, request: Request) -> int:
        seconds = request.number("Expires")
        return self._bounds.default if seconds is None else min(seconds, self._bounds.longest)

    def _ended(self, subscription: Subscription) -> None:
        kept = self._kept.pop(subscription.dialog.id, None)
        if kept is None:
            return
        self._first.discard(kept.first)
        self._watchers[kept.watcher] -= 1
        if not self._watchers[kept.watcher]:
            del self._watchers[kept.watcher]
        for account_id in subscription.view.accounts:
            watching = self._watching.get((kept.event, account_id), {})
            watching.pop(subscription.dialog.id, None)
            if not watching:
                self._watching.pop((kept.event, account_id), None)


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


def _first(request: Request) -> tuple[str, str, int]:
    return request.call_id, request.from_tag, request.cseq.number


def _name(caller: Caller) -> str:
    return caller.source[0] if caller.account is None else caller.account.address


def _acceptable(request: Request, content_type: str) -> bool:
    """RFC 3261 §8.2.3, RFC 6665 §4.2.1.1; without Accept the package's own type is meant."""
    kinds = {value.partition(";")[0].strip().lower() for value in request.get_all("Accept")}
    general = f"{content_type.partition('/')[0]}/*"
    return not kinds or not kinds.isdisjoint({content_type, general, "*/*"})


def own(caller: Caller, account: Account) -> bool:
    """Whether somebody asks for his own."""
    return caller.account is not None and caller.account.id == account.id
