"""Where accounts can be reached now: the table of bindings in memory, its limits and its one expiry timer.

It speaks no SIP and writes no database: `pbx.registrar.register` decides, `pbx.registrar.server` stores. RFC 3261 §10,
RFC 5626 §6 (instances), RFC 3327 (Path).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from base.clock import Clock, Timer
from pbx.sipcore.flow import Flow
from pbx.sipcore.uri import wants_tls

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
    reg_id: int = 0
    """Which of several flows to one instance (RFC 5626); 0 when the phone did not ask for that."""
    first_cseq: int = field(default=0, compare=False)
    """The CSeq number of the first REGISTER under this Call-ID: its temporary GRUUs hold since then (RFC 5627 §3.2)."""

    def fits(self, uri: str) -> bool:
        """Whether a request to that Request-URI may go there: to a `sips:` address by TLS only (RFC 5630 §5.3)."""
        return self.flow.secure or not wants_tls(uri)


@dataclass(frozen=True, slots=True)
class Health:
    """What asking a phone told: how often in a row it did not answer, and the last round-trip time in seconds."""

    failures: int
    reachable: bool
    rtt: float | None = None


# Limit: former ways to phones that are remembered; each is needed as long as a call begun by it.
FORMER = 10_000
EXPECTED = 30.0
PATIENCE = 8.0
"""Seconds after the loss of a connection in which its phone is expected back, and that a request waits for it."""


def one_of_each(bindings: Iterable[Binding], away: Callable[[Binding], bool]) -> Sequence[Binding]:
    """Of several flows to one instance only that which is there and registered last (RFC 5626 §5.3)."""
    best: dict[str, Binding] = {}
    for binding in bindings:
        device = binding.instance if binding.reg_id else binding.key
        other = best.get(device)
        if other is None or (not away(binding), binding.expires_at) > (not away(other), other.expires_at):
            best[device] = binding
    return list(best.values())


def same_device(one: Binding, other: Binding) -> bool:
    """Whether two bindings are of the same phone: by instance, or, as it does not say, by all else that it shows."""
    if one.instance or other.instance:
        return one.instance == other.instance
    return one.key == other.key or (one.flow.remote[0], one.user_agent, one.flow.transport) == (
        other.flow.remote[0],
        other.user_agent,
        other.flow.transport,
    )


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
        self._away: dict[BindingKey, float] = {}
        self._waiting: dict[int, set[asyncio.Future[Binding]]] = {}
        self._successors: dict[Flow, Flow] = {}
        self._timer: Timer | None = None
        self._wake_at = float("inf")
        self.on_expired: Callable[[Sequence[Binding]], None] | None = None

    def contacts(self, account_id: int) -> Sequence[Binding]:
        """The bindings of one account that can be reached, those preferred (higher q) first."""
        known = self.known(account_id)
        if not self._away:
            return known
        return [binding for binding in known if (account_id, binding.key) not in self._away]

    def known(self, account_id: int) -> Sequence[Binding]:
        """The bindings that have not expired, also those whose connection is gone: their phones may come back."""
        now = self._clock.wall()
        live = [binding for binding in self._table.get(account_id, {}).values() if binding.expires_at > now]
        return live if len(live) < 2 else sorted(live, key=lambda binding: -binding.q)

    def away(self, account_id: int) -> frozenset[str]:
        """The keys of bindings whose connection is gone."""
        return frozenset(key for owner, key in self._away if owner == account_id)

    def silent(self, account_id: int) -> frozenset[str]:
        """The keys of bindings that do not answer OPTIONS any more."""
        return frozenset(
            key for (owner, key), health in self._health.items() if owner == account_id and not health.reachable
        )

    def ringable(self, account_id: int) -> Sequence[Binding]:
        """The bindings to ring: one flow for each phone; those known to be unreachable only when there are no others;
        and phones that have just lost their connection, as they are on their way back (`reach` waits for them)."""
        live = self.contacts(account_id)
        if self._away:
            live = [*live, *self._coming(account_id)]
        if len(live) < 2:
            return live
        live = one_of_each(live, self.is_away)
        return [binding for binding in live if self._answers(binding)] or live

    def _coming(self, account_id: int) -> Sequence[Binding]:
        now = self._clock.now()
        return [
            binding
            for binding in self.known(account_id)
            if now - self._away.get((account_id, binding.key), -EXPECTED) < EXPECTED
        ]

    def is_away(self, binding: Binding) -> bool:
        return (binding.account_id, binding.key) in self._away

    async def reach(self, account_id: int, contact: str) -> Binding | None:
        """The binding of a contact that `ringable` gave. For a phone that has lost its connection: the one with which
        it comes back within `PATIENCE` seconds (requests to it wait so long), else None."""
        found = [binding for binding in self.known(account_id) if binding.contact == contact]
        live = one_of_each((binding for binding in found if not self.is_away(binding)), self.is_away)
        if live or not found:
            return live[0] if live else None
        return await self._back(found[0])

    async def _back(self, lost: Binding) -> Binding | None:
        waiting: asyncio.Future[Binding] = asyncio.get_running_loop().create_future()
        futures = self._waiting.setdefault(lost.account_id, set())
        futures.add(waiting)
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    back = await asyncio.shield(waiting)
                    if same_device(lost, back):
                        return back
                    futures.discard(waiting)
                    waiting = asyncio.get_running_loop().create_future()
                    futures.add(waiting)
        except TimeoutError:
            return None
        finally:
            futures.discard(waiting)
            if not futures:
                self._waiting.pop(lost.account_id, None)

    def other_flow(self, account_id: int, tried: Collection[Flow], instance: str) -> Binding | None:
        """Another flow to the same phone, when one has failed (RFC 5626 §5.3)."""
        if not instance:
            return None
        found = [
            binding
            for binding in self.contacts(account_id)
            if binding.reg_id and binding.instance == instance and binding.flow not in tried
        ]
        return max(found, key=lambda binding: binding.expires_at, default=None)

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
        self._away.pop(key, None)
        contacts[binding.key] = binding
        if self._health and not self._answers(binding):
            del self._health[key]  # it has just spoken
        if binding.flow.reliable:
            self._by_flow.setdefault(binding.flow, set()).add(key)
        if binding.expires_at < self._due.get(key, float("inf")):
            self._due[key] = binding.expires_at
            heapq.heappush(self._heap, (binding.expires_at, *key))
            self._tidy()
            self._wake_by(binding.expires_at)
        if before is None or (before.contact, before.flow) != (binding.contact, binding.flow):
            self._moved(binding.account_id)

    def _tidy(self) -> None:
        """Limit: entries of the heap, two for each binding and 1,000 more; phones that come and go with ever new
        contacts would leave one behind each time, until its hour has come."""
        if len(self._heap) > 2 * len(self._due) + 1000:
            self._heap = [(due, *key) for key, due in self._due.items()]
            heapq.heapify(self._heap)

    def drop(self, account_id: int, key: str) -> None:
        contacts = self._table.get(account_id)
        if contacts is not None:
            before = contacts.pop(key, None)
            self._unlink(before)
            self._health.pop((account_id, key), None)
            self._away.pop((account_id, key), None)
            self._due.pop((account_id, key), None)
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

    def has_flow(self, flow: Flow) -> bool:
        """Whether a registered phone is reached there."""
        return flow in self._by_flow

    def lose_flow(self, flow: Flow) -> None:
        """A connection is gone: what was reached over it cannot be, until its phone comes back (RFC 5626 §4.2.2)."""
        for account_id, key in self._by_flow.pop(flow, set()):
            self._away[account_id, key] = self._clock.now()
            self._moved(account_id)

    def follow(self, former: Flow, now: Flow) -> None:
        """A phone that was reached by one flow has registered by another: what belongs to it goes there."""
        self._successors.pop(now, None)
        self._successors.pop(former, None)
        self._successors[former] = now
        if len(self._successors) > FORMER:
            del self._successors[next(iter(self._successors))]

    def way(self, flow: Flow) -> Flow:
        """Where the phone is now that was reached by this flow, as a call may outlive a connection or what a router
        remembers (RFC 5626 §5.3: a request must not be sent by a flow that has failed)."""
        while (now := self._successors.get(flow)) is not None:
            flow = now
        return flow

    def drop_account(self, account_id: int) -> None:
        for key in list(self._table.get(account_id, {})):
            self.drop(account_id, key)

    def load(self, bindings: Iterable[Binding]) -> None:
        """Take up what a former process knew; the connections among them are gone."""
        for binding in bindings:
            self.put(binding)
        for flow in list(self._by_flow):
            self.lose_flow(flow)

    def __len__(self) -> int:
        return sum(len(contacts) for contacts in self._table.values())

    def listen(self, callback: Listener) -> None:
        """Be told the account whenever a contact registers anew or after an absence, once it is safely stored."""
        self._listeners.append(callback)

    def welcome(self, bindings: Iterable[Binding]) -> None:
        """These have registered, and it is safely stored: requests that wait for them may go."""
        for binding in bindings if self._waiting else ():
            for waiting in self._waiting.get(binding.account_id, ()):
                if not waiting.done():
                    waiting.set_result(binding)

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
