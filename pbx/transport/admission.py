"""Who is served when more comes than can be done: the order, the patience, and the refusals of new work. A machine.

All that comes in waits here until the server has a hand free; in quiet times that is no time at all. How long new work
has to wait tells how loaded we are, whatever the load is made of: while the queue has not once been empty for `LONG`
seconds, nothing new may wait for longer than `SHORT`, so what is served is served in time, and the rest is told at once
(the rule of CoDel, RFC 8289 §4, with refusing in the place of dropping). RFC 3261 §21.5.4, RFC 7339 §5.9 (priorities).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.transport.glance import Glance, Rank
from pbx.transport.waiting import FairQueue

LONG = 0.5
"""Seconds that new work may wait in a burst; RFC 3261 §17.1.1.1: after T1, 0.5 s, it would come again."""
SHORT = 0.1
"""Seconds that it may wait under lasting load."""
STALE = 4.0
"""Seconds after which also a message within a dialog is too old: T2, by then it has come again."""
LIFE = 32.0
"""RFC 3261 §17.2.1: seconds (64*T1) in which a request may come again and must find the same fate."""
TURN = 16
"""Every so many turns go to what has waited at the lowest rank: a flood within dialogs must not starve the rest."""
SOURCES = 4096
"""Limit: sources whose refusals are counted."""
QUIET = 5.0
"""Seconds without a refusal after which an overload is over."""


class Fate(Enum):
    """What becomes of a message."""

    WAIT = "wait"
    TAKE = "take"
    REFUSE = "refuse"
    """Say 503, statelessly."""
    DROP = "drop"
    REPEAT = "repeat"
    """Nothing to do: the same one waits here already."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Limit: `waiting` messages and `octets` in each rank; `refusals` a second in all, of which one source has half
    (a refusal costs 50 µs, so the budget is a twentieth of a core); `remembered` requests for `LIFE` seconds.

    `rate`: new requests a second that are let in at most, 0: as many as can be served. Not `active`: everything is.
    """

    active: bool = True
    rate: float = 0.0
    waiting: int = 8192
    octets: int = 16 * 1024 * 1024
    refusals: float = 1000.0
    remembered: int = 32_768


@dataclass(slots=True)
class Arrival:
    """One message as it came: octets of a datagram, or what a stream has delivered parsed."""

    payload: bytes | Request | Response
    flow: Flow
    glance: Glance
    since: float = 0.0
    source: str = ""
    size: int = 0

    def __post_init__(self) -> None:
        self.source = self.flow.remote[0]
        self.size = len(self.payload) if isinstance(self.payload, bytes) else 1024 + len(self.payload.body)


class Bucket:
    """A number of things a second, and as many at once."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._full = max(1.0, rate)
        self._left = self._full
        self._at = now

    def take(self, now: float) -> bool:
        self._left = min(self._full, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Admission:
    """Tell it of each message by `arrive`, and ask with `next` what to do now."""

    def __init__(self, limits: AdmissionLimits, now: float) -> None:
        self._limits = limits
        self._queues: list[FairQueue[Arrival]] = [FairQueue(limits.waiting, limits.octets) for _ in Rank]
        self._fates: OrderedDict[str, _Known] = OrderedDict()
        self._refusals = Bucket(limits.refusals, now)
        self._refusals_of: OrderedDict[str, Bucket] = OrderedDict()
        self._rate = Bucket(limits.rate, now)
        self._turn = 0
        self._empty = now
        self._refused_at: float | None = None
        self._second = now
        self._served = 0
        self.capacity = 0.0
        """New requests served a second while overloaded, as last seen; 0 before the first overload."""
        self.delay = 0.0
        """Seconds that the last new request has waited."""

    def __len__(self) -> int:
        """How many wait."""
        return sum(len(queue) for queue in self._queues)

    @property
    def remembered(self) -> int:
        return len(self._fates)

    def overloaded(self, now: float) -> bool:
        """True while new work is being refused."""
        return self._refused_at is not None and now - self._refused_at < QUIET

    # --- what comes --------------------------------------------------------------------------------------------------

    def arrive(self, arrival: Arrival, now: float) -> Fate:
        """WAIT, REPEAT, REFUSE or DROP."""
        arrival.since = now
        rank, key = arrival.glance.rank, arrival.glance.key
        known = self._known(key, now)
        if known is not None:
            if rank is not Rank.WITHIN and known.fate is not Fate.TAKE:
                return Fate.REPEAT if known.fate is Fate.WAIT else self._refuse(arrival, now)
            # A CANCEL waits behind its INVITE; what has its transaction already finds the answer there
            rank = known.rank if known.fate is Fate.WAIT else Rank.WITHIN
        elif rank is not Rank.WITHIN and self._limits.rate and not self._rate.take(now):
            return self._refuse(arrival, now)
        if not self._queues[rank].push(arrival):
            return Fate.DROP if rank is Rank.WITHIN else self._refuse(arrival, now)
        if known is None and rank is not Rank.WITHIN:
            self._remember(key, Fate.WAIT, rank, now)
        return Fate.WAIT

    def _refuse(self, arrival: Arrival, now: float) -> Fate:
        """REFUSE within the budget, else DROP."""
        self._refused_at = now
        key, source = arrival.glance.key, arrival.source
        own = self._refusals_of.get(source)
        if own is None:
            own = self._refusals_of[source] = Bucket(self._limits.refusals / 2, now)
            if len(self._refusals_of) > SOURCES:
                self._refusals_of.popitem(last=False)
        if own.take(now) and self._refusals.take(now):
            self._remember(key, Fate.REFUSE, Rank.NEW, now)
            return Fate.REFUSE
        if key is not None:
            self._fates.pop(key, None)  # it may try again
        return Fate.DROP

    # --- what to do now ----------------------------------------------------------------------------------------------

    def next(self, now: float) -> tuple[Fate, Arrival] | None:
        """TAKE, REFUSE or DROP, and what; None when nothing waits."""
        self._measure(now)
        arrival = self._pop(now)
        if arrival is None:
            return None
        age, rank, active = now - arrival.since, arrival.glance.rank, self._limits.active
        if rank is Rank.WITHIN:
            stale = active and age > STALE and not arrival.flow.reliable
            return (Fate.DROP if stale else Fate.TAKE), arrival
        self.delay = age
        if active and age > self._patience(rank, now):
            return self._refuse(arrival, now), arrival
        known = self._known(arrival.glance.key, now)
        if known is None or known.fate is Fate.WAIT:
            self._served += 1
            self._remember(arrival.glance.key, Fate.TAKE, rank, now)
        return Fate.TAKE, arrival

    def _pop(self, now: float) -> Arrival | None:
        within, soon, new = self._queues
        if not soon and not new:
            self._empty = now
        self._turn = (self._turn + 1) % TURN
        order = (within, soon, new) if self._turn else (new, soon, within)
        return next((queue.pop() for queue in order if queue), None)

    def _patience(self, rank: Rank, now: float) -> float:
        return SHORT if rank is Rank.NEW and now - self._empty > LONG else LONG

    def _measure(self, now: float) -> None:
        """Once a second: how many were served, if there were more than could be."""
        if now - self._second >= 1.0:
            served = self._served / (now - self._second)
            if self._refused_at is not None and now - self._refused_at < 1.0:
                self.capacity = served if not self.capacity else 0.7 * self.capacity + 0.3 * served
            self._second, self._served = now, 0

    # --- what was before ---------------------------------------------------------------------------------------------

    def _known(self, key: str | None, now: float) -> _Known | None:
        known = None if key is None else self._fates.get(key)
        return known if known is not None and now - known.at < LIFE else None

    def _remember(self, key: str | None, fate: Fate, rank: Rank, now: float) -> None:
        if key is None:
            return
        self._fates[key] = _Known(now, fate, rank)
        self._fates.move_to_end(key)
        while len(self._fates) > self._limits.remembered:
            self._fates.popitem(last=False)
        for _ in range(2):  # the oldest go as new ones come
            oldest = next(iter(self._fates))
            if now - self._fates[oldest].at < LIFE:
                break
            del self._fates[oldest]


class _Known(NamedTuple):
    """What became of a request, and when."""

    at: float
    fate: Fate
    rank: Rank
