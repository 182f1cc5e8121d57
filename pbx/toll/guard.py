"""Toll fraud: what an account may spend outside, and the lock when it is tried again and again.

A machine: it reads the account's settings each time, counts calls, and says yes or why not. When more calls are refused
than `CallOutLockAfter` allows, the account's calls out are locked until an administrator unlocks them; the alarm tells
him. Not here: who may call out at all (`pbx.policy.relaying`), and what a refusal looks like (`pbx.b2bua`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from base.clock import Clock
from base.failures import Failure
from base.log import get_logger
from base.logins import tell
from base.metrics import Metrics
from base.values.kinds import Value
from directory import pace
from directory.model import Account, Address
from directory.pace import Pace
from directory.rules.control import is_now
from directory.rules.occasion import local_time
from directory.settings import targets
from pbx.policy.tally import Tally
from pbx.toll.destinations import fits

_log = get_logger("pbx.toll")


class People(Protocol):
    """The part of the directory that is asked."""

    def setting(self, account_id: int, key: str) -> Value: ...


class Alarm(Protocol):
    """Who is told of a lock, keeps it, and tells people."""

    def locked(self, account: Account, reason: str, target: str) -> None:
        """The account's calls out are locked from now on; `reason` is one word, `target` what was called last."""


class Ticket:
    """One call out that counts for an account until it is `close`d."""

    def __init__(self, counts: Counter[int], account_id: int) -> None:
        self._counts = counts
        self._account_id: int | None = account_id
        counts[account_id] += 1

    def close(self) -> None:
        account_id, self._account_id = self._account_id, None
        if account_id is not None:
            self._counts[account_id] -= 1
            if self._counts[account_id] <= 0:
                del self._counts[account_id]


class TollGuard:
    """One for all calls. Its tables are bounded by the calls under way and by the accounts there are."""

    def __init__(self, clock: Clock, metrics: Metrics, people: People, alarm: Alarm) -> None:
        self._clock = clock
        self._metrics = metrics
        self._people = people
        self._alarm = alarm
        self._live: Counter[int] = Counter()
        self._calls: Tally[int] = Tally(clock, size=20_000)
        self._refusals: Tally[int] = Tally(clock, size=20_000)
        self._locking: set[int] = set()  # until the directory says it

    def refuses(
        self,
        account: Account,
        ways: Sequence[Address],
        source: tuple[str, int],
        *,
        another: bool = True,
        instead: bool = False,
    ) -> str:
        """Why `account` may not make this call out, in one word; empty when it may. `ways`: where it leads, and how it
        was dialled if that is something else. `another`: it has no ticket for this call yet. `instead`: it goes another
        way for one that was not taken, so that its pace is counted already."""
        try:
            reason = self._reason(account, ways, another, instead)
        except Failure:  # removed this instant
            return "gone"
        if reason:
            self._note(account, reason, str(ways[0]), source)
        return reason

    def ticket(self, account: Account) -> Ticket:
        """Count a call that was not refused."""
        return Ticket(self._live, account.id)

    def longest(self, account: Account) -> float:
        """Seconds that its calls out may last; 0: no limit."""
        try:
            return float(self._number(account, "CallOutLongest"))
        except Failure:
            return 0.0

    def forget(self, account_id: int) -> None:
        """Its lock was set or lifted, or the account removed: what was counted before is settled."""
        self._locking.discard(account_id)
        self._calls.forget(account_id)
        self._refusals.forget(account_id)

    def _reason(self, account: Account, ways: Sequence[Address], another: bool, instead: bool) -> str:
        """Each check is one line; what a call costs is counted last, so that a refused one costs nothing."""
        setting = self._people.setting
        if account.id in self._locking or setting(account.id, "CallOutLocked") == "YES":
            return "locked"
        if any(fits(way, self._patterns(account, "CallOutDenied")) for way in ways):
            return "denied"
        if not any(fits(way, self._patterns(account, "CallOutAllowed")) for way in ways):
            return "not-allowed"
        if not self._is_time(account):
            return "hours"
        if another and self._live[account.id] >= self._number(account, "CallOutLimit"):
            return "parallel"
        if not instead and self._calls.passes(account.id, self._paces(account, "CallOutFlow")):
            return "pace"
        return ""

    def _note(self, account: Account, reason: str, target: str, source: tuple[str, int]) -> None:
        self._metrics.count(f"calls.toll.{reason}")
        _log.info("call out refused", account=account.address, reason=reason, target=target)
        if reason == "locked" or not self._refusals.passes(account.id, self._paces(account, "CallOutLockAfter")):
            return
        self._locking.add(account.id)
        self._metrics.count("calls.toll.locks")
        tell(_log, "toll-fraud", "sip", source, account.address, reason)
        self._alarm.locked(account, reason, target)

    # --- settings

    def _is_time(self, account: Account) -> bool:
        """By the clock of the account's TimeZone."""
        moment = local_time(self._clock.wall(), str(self._people.setting(account.id, "TimeZone") or ""))
        when = str(self._people.setting(account.id, "CallOutHours") or "always").strip().lower()
        return is_now(when, lambda key: self._people.setting(account.id, key), moment)

    def _patterns(self, account: Account, key: str) -> tuple[str, ...]:
        return targets(self._people.setting(account.id, key))

    def _paces(self, account: Account, key: str) -> tuple[Pace, ...]:
        return pace.parse(str(self._people.setting(account.id, key) or ""))

    def _number(self, account: Account, key: str) -> int:
        value = self._people.setting(account.id, key)
        return value if isinstance(value, int) else 0
