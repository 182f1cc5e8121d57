"""A 2xx of ours to an INVITE, repeated until its ACK. Pure; what follows when no ACK comes is the session's.

RFC 3261 §13.3.1.4: T1, 2*T1 … T2, for 64*T1 in all, over reliable transports too.
"""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Clock, Timer
from pbx.sipcore.message import Response
from pbx.sipcore.session_ports import SessionTimers
from pbx.sipcore.transactions import ServerTransaction


class Accepted:
    """`number` is the CSeq number of the INVITE; `given_up` is told when no ACK has come."""

    def __init__(
        self,
        clock: Clock,
        timers: SessionTimers,
        transaction: ServerTransaction,
        response: Response,
        given_up: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._longest = timers.t2
        self._transaction = transaction
        self._response = response
        self._interval = timers.t1
        self.number = response.cseq.number
        self._deadline: Timer = clock.call_later(timers.patience, given_up)
        self._repeat: Timer = clock.call_later(self._interval, self._again)
        transaction.respond(response)

    def stop(self) -> None:
        self._repeat.cancel()
        self._deadline.cancel()

    def _again(self) -> None:
        self._interval = min(2 * self._interval, self._longest)
        self._repeat = self._clock.call_later(self._interval, self._again)
        self._transaction.respond(self._response)
