"""The table of subscriptions: found by their dialog, by who watches and by who is watched. It sends nothing.

RFC 6665 §4.4.1 (dialogs), RFC 3261 §8.2.2.2 (requests that come twice).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from directory.model import Account, Caller
from pbx.presence.subscription import Subscription
from pbx.presence.tables import StoredSubscription
from pbx.sipcore.dialog import DialogId
from pbx.sipcore.message import Request

First = tuple[str, str, int]
"""Call-ID, From tag and CSeq number of the SUBSCRIBE that began it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A subscription and how it is found: `account` is who is watched, or `group` the address of a list."""

    subscription: Subscription
    event: str
    caller: Caller
    account: Account | None
    group: str
    first: First

    @property
    def watcher(self) -> str:
        return name_of(self.caller)

    def row(self, expires_at: float) -> StoredSubscription | None:
        """As it is stored; None for one that is nobody's: only accounts may see anything."""
        subscription, watcher = self.subscription, self.caller.account
        if watcher is None:
            return None
        dialog = subscription.dialog
        return StoredSubscription(
            *dialog.id,
            local=str(dialog.local),
            remote=str(dialog.remote),
            remote_target=dialog.remote_target,
            route_set=dialog.route_set,
            local_cseq=dialog.local_cseq,
            remote_cseq=dialog.remote_cseq,
            contact=dialog.contact,
            flow=replace(subscription.flow, connection=0),  # as the registrar stores flows
            package=self.event,
            event=subscription.event,
            watcher=watcher.id,
            account=None if self.account is None else self.account.id,
            group=self.group,
            expires_at=expires_at,
        )


class Table:
    """All subscriptions of one server."""

    def __init__(self) -> None:
        self._kept: dict[DialogId, Kept] = {}
        self._watching: dict[tuple[str, int], dict[DialogId, Kept]] = {}
        self._watchers: Counter[str] = Counter()
        self._first: set[First] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def all(self) -> Sequence[Kept]:
        return list(self._kept.values())

    def find(self, dialog_id: DialogId) -> Kept | None:
        return self._kept.get(dialog_id)

    def watching(self, event: str, account_id: int) -> Collection[Kept]:
        """Who is told of that account."""
        found = self._watching.get((event, account_id))
        return () if found is None else list(found.values())

    def count(self, caller: Caller) -> int:
        """How many one subscriber has."""
        return self._watchers[name_of(caller)]

    def knows(self, request: Request) -> bool:
        """Whether it has begun one already: it was forked on its way, and is here by a second path."""
        return first_of(request) in self._first

    def add(self, kept: Kept) -> None:
        dialog_id = kept.subscription.dialog.id
        self._kept[dialog_id] = kept
        self._first.add(kept.first)
        self._watchers[kept.watcher] += 1
        for account_id in kept.subscription.view.accounts:
            self._watching.setdefault((kept.event, account_id), {})[dialog_id] = kept

    def drop(self, dialog_id: DialogId) -> None:
        kept = self._kept.pop(dialog_id, None)
        if kept is None:
            return
        self._first.discard(kept.first)
        self._watchers[kept.watcher] -= 1
        if not self._watchers[kept.watcher]:
            del self._watchers[kept.watcher]
        for account_id in kept.subscription.view.accounts:
            watching = self._watching.get((kept.event, account_id), {})
            watching.pop(dialog_id, None)
            if not watching:
                self._watching.pop((kept.event, account_id), None)


def first_of(request: Request) -> First:
    return request.call_id, request.from_tag, request.cseq.number


def name_of(caller: Caller) -> str:
    return caller.source[0] if caller.account is None else caller.account.address
