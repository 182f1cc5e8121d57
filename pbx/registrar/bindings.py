"""Where accounts can be reached now: the table of bindings in memory, its limits and its one expiry timer.

It speaks no SIP and writes no database: `pbx.registrar.register` decides, `pbx.registrar.server` stores. RFC 3261 §10,
RFC 5626 §6 (instances), RFC 3327 (Path).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from base.clock import Clock, Timer
from pbx.sipcore.flow import Flow

BindingKey = tuple[int, str]
Listener = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an account.

    `contact` is the address exactly as sent, fit for a Request-URI; `header` the whole Contact value as sent without
    its `expires`; `flow` is where requests for it go; `key` makes it the same contact again; `expires_at` is wall time.
    """

    account_id: int
    key: str
    contact: str
    header: str
    flow: Flow
    expires_at: float
    call_id: str
    cseq: int
    path: tuple[str, ...] = ()
    user_agent: str = ""
    instance: str = ""
    q: float = 1.0
    registered_at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Health:
    """What asking a phone told: how often in a row it did not answer, and the last round-trip time in seconds."""

    failures: int
    reachable: bool
    rtt: float | None = None


class Bindings:
    """All bindings, by account. Reads are from memory; expired ones are never given out.

    Expiry: one timer and a heap with one entry for each binding. A refresh leaves its entry alone; an entry that comes
    up too early goes back with the real time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._table: dict[int, dict[str, Binding]] = {}
        self._by_flow: dict[Flow, set[BindingKey]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._due: dict[BindingKey, float] = {}
        self._listeners: list[Listener] = []
        self._watchers: list[Listener] = []
        self._health: dict[BindingKey, Health] = {}
        self._timer: Timer | None = None
        self._wake_at = float("inf")
        self.on_expired: Callable[[Sequence[Binding]], None] | None = None

    def contacts(self, account_id: int) -> Sequence[Binding]:
        """The live bindings of one account, those preferred (higher q) first."""
        now = self._clock.wall()
        live = [binding for binding in self._table.get(account_id, {}).values() if binding.expires_at > now]
        return live if len(live) < 2 else sorted(live, key=lambda binding: -binding.q)

    def ringable(self, account_id: int) -> Sequence[Binding]:
        """The bindings to ring: those known to be unreachable only when there are no others."""
        live = self.contacts(account_id)
        if len(live) < 2 or not self._health:
            return live
        return [binding for binding in live if self._answers(binding)] or live

    def _answers(self, binding: Binding) -> bool:
        health = self.health(binding)
        return health is None or health.reachable

    def health(self, binding: Binding) -> Health | None:
        """What is known of it; None when it was never asked since it registered."""
        return self._health.get((binding.account_id, binding.key))

    def judge(self, binding: Binding, health: Health) -> None:
        """Note what asking a phone told."""
        self._health[binding.account_id, binding.key] = health

    @property
    def unreachable(self) -> int:
        return sum(1 for health in self._health.values() if not health.reachable)

    def all(self) -> Sequence[Binding]:
        """Every live binding, for listings."""
        return [binding for account_id in self._table for binding in self.contacts(account_id)]

    def find(self, account_id: int, key: str) -> Binding | None:
        binding = self._table.get(account_id, {}).get(key)
        return binding if binding is not None and binding.expires_at > self._clock.wall() else None

    def put(self, binding: Binding) -> None:
        """Add a binding or replace the one of the same key."""
        contacts = self._table.setdefault(binding.account_id, {})
        key = (binding.account_id, binding.key)
        before = contacts.get(binding.key)
        self._unlink(before)
        contacts[binding.key] = binding
        if self._health and not self._answers(binding):
            del self._health[key]  # it has just spoken
        if binding.flow.reliable:
            self._by_flow.setdefault(binding.flow, set()).add(key)
        if binding.expires_at < self._due.get(key, float("inf")):
            self._due[key] = binding.expires_at
            heapq.heappush(self._heap, (binding.expires_at, *key))
            self._wake_by(binding.expires_at)
        if before is None or (before.contact, before.flow) != (binding.contact, binding.flow):
            self._moved(binding.account_id)

    def drop(self, account_id: int, key: str) -> None:
        contacts = self._table.get(account_id)
        if contacts is not None:
            before = contacts.pop(key, None)
            self._unlink(before)
            self._health.pop((account_id, key), None)
            if not contacts:
                del self._table[account_id]
            if before is not None:
                self._moved(account_id)

    def _unlink(self, binding: Binding | None) -> None:
        if binding is None or not binding.flow.reliable:
            return
        keys = self._by_flow.get(binding.flow, set())
        keys.discard((binding.account_id, binding.key))
        if not keys:
            self._by_flow.pop(binding.flow, None)

    def drop_flow(self, flow: Flow) -> Sequence[Binding]:
        """Forget what was reached over a connection that is gone; gives what was dropped (RFC 5626 §4.2.2)."""
        lost = [self._table[account_id][key] for account_id, key in self._by_flow.get(flow, set())]
        for binding in lost:
            self.drop(binding.account_id, binding.key)
        return lost

    def drop_account(self, account_id: int) -> None:
        for key in list(self._table.get(account_id, {})):
            self.drop(account_id, key)

    def load(self, bindings: Iterable[Binding]) -> None:
        for binding in bindings:
            self.put(binding)

    def __len__(self) -> int:
        return sum(len(contacts) for contacts in self._table.values())

    def listen(self, callback: Listener) -> None:
        """Be told the account whenever a contact registers anew or after an absence, once it is safely stored."""
        self._listeners.append(callback)

    def announce(self, account_id: int) -> None:
        for listener in self._listeners:
            listener(account_id)

    def watch(self, callback: Listener) -> None:
        """Be told the account whenever a contact of it comes, moves or goes; a mere refresh is not told."""
        self._watchers.append(callback)

    def _moved(self, account_id: int) -> None:
        for watcher in self._watchers:
            watcher(account_id)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_by(self, when: float) -> None:
        if when >= self._wake_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = when
        self._timer = self._clock.call_later(max(0.05, when - self._clock.wall()), self._expire)

    def _expire(self) -> None:
        self._timer, self._wake_at = None, float("inf")
        now = self._clock.wall()
        over: list[Binding] = []
        while self._heap and self._heap[0][0] <= now:
            due, account_id, key = heapq.heappop(self._heap)
            if self._due.get((account_id, key)) != due:
                continue
            del self._due[account_id, key]
            binding = self._table.get(account_id, {}).get(key)
            if binding is None:
                continue
            if binding.expires_at <= now:
                over.append(binding)
                self.drop(account_id, key)
            else:
                self._due[account_id, key] = binding.expires_at
                heapq.heappush(self._heap, (binding.expires_at, account_id, key))
        if self._heap:
            self._wake_by(max(self._heap[0][0], now + 1.0))
        if over and self.on_expired is not None:
            self.on_expired(over)
