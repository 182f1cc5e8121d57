"""What one call does outside this server: on whose rights it leaves, for whose account it counts, how long it may last.

Every way out comes by here: dialled, diverted, forked, transferred, placed by a program. The rules are
`pbx.policy.relaying`'s and `pbx.toll`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from base.clock import Timer
from base.log import get_logger
from directory import names
from directory.model import Account, Address, Caller, ForeignRoute, Route
from pbx.b2bua.proxied_talk import LONGEST
from pbx.policy.relaying import may_relay
from pbx.signal.branch import Branch
from pbx.toll.guard import Ticket

if TYPE_CHECKING:
    from pbx.b2bua.call import Call
    from pbx.b2bua.exchange import Exchange

_log = get_logger("pbx.calls")


def kept_in(exchange: Exchange, account: Account, target: str) -> bool:
    """Whether a target, as that account would dial it, leads out of this server: a program may not lead an outside
    caller there (decision 4)."""
    if not isinstance(exchange.people.resolve_target(target, account).route, ForeignRoute):
        return False
    exchange.metrics.count("calls.outside-refused")
    _log.warning("outside caller kept in", account=account.address, target=target)
    return True


def is_limited(exchange: Exchange, caller: Caller, route: Route) -> bool:
    """Whether a call out will have to be cut before a proxied call counts as over by itself (`proxied_talk`)."""
    payer, guard = caller.payer, exchange.toll
    if payer is None or guard is None or not isinstance(route, ForeignRoute) or route.emergency:
        return False
    return 0 < guard.longest(payer) < LONGEST


class Outside:
    """Of one call; `close` it when the call ends."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._exchange = call.exchange
        self._tickets: dict[int, Ticket] = {}
        self._longest: Timer | None = None

    def allows(self, branch: Branch, route: ForeignRoute) -> bool:
        """Whether this branch may leave; then it counts."""
        caller = self._call.origin.caller
        if not may_relay(self._exchange.people, caller, route, branch.account):
            self._exchange.metrics.count("calls.outside-refused")
            _log.warning("call kept in", call=self._call.id, caller=caller.uri, target=str(route.address))
            return False
        payer, guard, lookups = self._payer(branch), self._exchange.toll, self._exchange.lookups
        if payer is None or guard is None or route.emergency or (lookups is not None and lookups.serves(route)):
            return True
        another = payer.id not in self._tickets
        ways = self._ways(branch, route)
        instead = branch.instead and not another  # what was looked up is the first that counts
        if guard.refuses(payer, ways, caller.source, another=another, instead=instead):
            return False
        if another:
            self._tickets[payer.id] = guard.ticket(payer)
        return True

    def _payer(self, branch: Branch) -> Account | None:
        """Who sends a call elsewhere pays for it, else who placed it."""
        return branch.account or self._call.origin.caller.payer

    def _ways(self, branch: Branch, route: ForeignRoute) -> list[Address]:
        """What was dialled counts beside what the Router made of it."""
        people = self._exchange.people
        dialled = names.parse_target(self._call.record.dialled, people.main_domain) if branch.account is None else None
        return [route.address] if dialled is None else [route.address, dialled]

    def connected(self, branch: Branch, route: ForeignRoute) -> None:
        """The branch has answered: from now on it costs."""
        payer, guard = self._payer(branch), self._exchange.toll
        seconds = 0.0 if payer is None or guard is None or route.emergency else guard.longest(payer)
        if seconds:
            if self._longest is not None:
                self._longest.cancel()
            self._longest = self._exchange.clock.call_later(seconds, self._too_long)

    def _too_long(self) -> None:
        _log.warning("call out has lasted too long", call=self._call.id)
        self._exchange.metrics.count("calls.toll.too-long")
        self._call.hang_up(cause="too long")

    def close(self) -> None:
        for ticket in self._tickets.values():
            ticket.close()
        self._tickets.clear()
        if self._longest is not None:
            self._longest.cancel()
            self._longest = None
