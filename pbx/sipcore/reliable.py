"""Reliable provisional responses of one INVITE: those of ours until their PRACK, and the order of the peer's. Pure.

What they say and what a PRACK carries is the session's business. RFC 3262 §3 (UAS), §4 (UAC).

    us ──180 RSeq 1──> peer      repeated at T1, 3*T1, 7*T1 … for 64*T1
       <──PRACK 1 1──
       ──183 RSeq 2──>           never before the PRACK of the one before

Missing: preconditions (RFC 3312), as nothing is reserved on the way of audio; who requires them gets 420.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable

from base.clock import Clock, Timer
from pbx.sipcore.headers import RAck
from pbx.sipcore.message import Response
from pbx.sipcore.offers import describes
from pbx.sipcore.session_ports import SessionTimers

EXTENSION = "100rel"
MOST_WAITING = 10
"""Limit: provisional responses that wait for the PRACK of another; those behind them are not sent."""


class ReliableResponses:
    """Ours. `transmit` sends one, `given_up` is told when none of its copies was acknowledged."""

    def __init__(
        self,
        clock: Clock,
        timers: SessionTimers,
        tag: str,
        transmit: Callable[[Response], None],
        given_up: Callable[[], None],
        heard: Callable[[], None],
    ) -> None:
        """`tag` is our random To tag: the first RSeq is drawn from it. `heard` is told when none is open any more."""
        self._clock = clock
        self._timers = timers
        self._transmit = transmit
        self._given_up = given_up
        self._heard = heard
        # RFC 3262 §3: uniformly from 1 to 2**31-1; the upper half is left to count in
        self._number = zlib.crc32(tag.encode()) & 0x3FFF_FFFF or 1
        self._waiting: deque[Response] = deque()
        self._open: Response | None = None
        self._interval = timers.t1
        self._repeat: Timer | None = None
        self._deadline: Timer | None = None
        self._final = False

    @property
    def describing(self) -> bool:
        """One that carries a description is not acknowledged: no 2xx may be sent (RFC 3262 §3)."""
        return self._open is not None and describes(self._open)

    def send(self, response: Response) -> bool:
        """Send it now, or after the PRACK of the one before; false when too many wait."""
        if self._final or len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(response)
        self.go_on()
        return True

    def go_on(self) -> None:
        """Send the next one, when none is open."""
        if self._open is not None or self._final:
            return
        if not self._waiting:
            self._heard()
            return
        response = self._open = self._waiting.popleft()
        self._number += 1
        response.add("Require", EXTENSION)
        response.set("RSeq", str(self._number))
        self._interval = self._timers.t1
        self._deadline = self._clock.call_later(self._timers.patience, self._unheard)
        self._repeat = self._clock.call_later(self._interval, self._again)
        self._transmit(response)

    def acknowledged(self, rack: RAck) -> bool:
        """A PRACK came: whether it is that of the open one. Then call `go_on`."""
        response = self._open
        if response is None or rack.rseq != self._number or rack.cseq != response.cseq:
            return False
        self._open = None
        self._quiet()
        return True

    def skip(self) -> None:
        """Forget those that wait: a 2xx is coming."""
        self._waiting.clear()

    def finish(self) -> None:
        """A final response is sent: no more copies and nothing new, but a PRACK may still come (RFC 3262 §3)."""
        self._final = True
        self._waiting.clear()
        self._quiet()

    def _again(self) -> None:
        if self._open is not None:
            self._interval *= 2
            self._repeat = self._clock.call_later(self._interval, self._again)
            self._transmit(self._open)

    def _unheard(self) -> None:
        self._quiet()
        self._given_up()

    def _quiet(self) -> None:
        for timer in (self._repeat, self._deadline):
            if timer is not None:
                timer.cancel()
        self._repeat = self._deadline = None


class ReliableOrder:
    """The peer's, in one early dialog."""

    def __init__(self) -> None:
        self._last: int | None = None

    def accepts(self, response: Response) -> bool:
        """Whether it is the next one. A copy, or one whose predecessor is missing, is neither acknowledged nor read
        (RFC 3262 §4)."""
        number = response.number("RSeq")
        if not number or (self._last is not None and number != self._last + 1):
            return False
        self._last = number
        return True


def is_reliable(response: Response) -> bool:
    """Whether a provisional response wants a PRACK."""
    return 100 < response.status < 200 and response.has("RSeq") and EXTENSION in response.tokens("Require")
