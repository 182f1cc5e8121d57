"""The gate between the sockets and the transactions: hands on what `Admission` takes, and refuses what it refuses.

It works in short turns, so that timers, programs and other sockets get theirs. Not here: who is refused and why
(`admission`), nor what a refusal looks like (`refusal`).
"""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Clock, Timer
from base.entropy import Entropy
from base.log import get_logger
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.transport.admission import Admission, AdmissionLimits, Arrival, Fate
from pbx.transport.glance import Preferences, glance, glance_at
from pbx.transport.refusal import Refusals

_log = get_logger("pbx.transport")

EFFORT = {Fate.TAKE: 8, Fate.REFUSE: 1, Fate.DROP: 1}
TURN = 64
"""Limit: effort in one turn of the loop, some 10 ms of new calls."""
RETRY = (5, 30)
"""Seconds of Retry-After, drawn by lot, so that those who were refused together do not come back together."""
TOLD_EACH = 60.0
"""Seconds between two lines of the log."""

Send = Callable[[Flow, bytes], None]


class Intake:
    """`handle` gets what is taken; `send` carries refusals."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        limits: AdmissionLimits,
        handle: Callable[[bytes | Request | Response, Flow], None],
        send: Send,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics
        self._handle = handle
        self._send = send
        self.preferences = Preferences()
        self._refusals = Refusals(entropy.token(4))
        self._admission = Admission(limits, clock.now())
        self._turn: Timer | None = None
        self._overload = False
        metrics.gauge("sip.admission.waiting", lambda: len(self._admission))
        metrics.gauge("sip.admission.delay_ms", lambda: round(self._admission.delay * 1000, 1))
        metrics.gauge("sip.admission.capacity", lambda: round(self._admission.capacity, 1))
        metrics.gauge("sip.admission.overloaded", lambda: int(self._admission.overloaded(clock.now())))

    def datagram(self, data: bytes, flow: Flow) -> None:
        if data[:4] == b"ACK " and self._refusals.answered(data):
            self._metrics.count("sip.admission.acknowledged")
            return
        self._arrive(Arrival(data, flow, glance(data, flow, self.preferences)))

    def message(self, message: Request | Response, flow: Flow) -> None:
        """One that a stream has delivered."""
        self._arrive(Arrival(message, flow, glance_at(message, flow, self.preferences)))

    def close(self) -> None:
        if self._turn is not None:
            self._turn.cancel()

    def _arrive(self, arrival: Arrival) -> None:
        fate = self._admission.arrive(arrival, self._clock.now())
        if fate is Fate.WAIT:
            if self._turn is None:
                self._turn = self._clock.call_later(0.0, self._work)
        else:
            self._turn_away(fate, arrival)

    def _work(self) -> None:
        """One turn."""
        self._turn = None
        effort = 0
        while effort < TURN:
            step = self._admission.next(self._clock.now())
            if step is None:
                return
            fate, arrival = step
            effort += EFFORT[fate]
            if fate is Fate.TAKE:
                self._handle(arrival.payload, arrival.flow)
            else:
                self._turn_away(fate, arrival)
        self._turn = self._clock.call_later(0.0, self._work)

    def _turn_away(self, fate: Fate, arrival: Arrival) -> None:
        match fate:
            case Fate.REPEAT:
                self._metrics.count("sip.admission.repeated")
            case Fate.REFUSE:
                self._metrics.count("sip.admission.refused")
                self._refuse(arrival)
            case _:
                self._metrics.count("sip.admission.dropped")
        if not self._overload and self._admission.overloaded(self._clock.now()):
            self._overload = True
            self._tell()

    def _refuse(self, arrival: Arrival) -> None:
        retry_after = self._entropy.number(*RETRY)
        payload, flow = arrival.payload, arrival.flow
        if isinstance(payload, Request):
            self._send(flow, self._refusals.of_request(payload, retry_after))
        elif isinstance(payload, bytes):
            answer = self._refusals.of_octets(payload, flow, retry_after)
            if answer is not None:
                self._send(*answer)

    # --- for the log -------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Say that there is an overload, and once a minute that it goes on or has ended."""
        admission, metrics = self._admission, self._metrics
        figures = {
            "refused": metrics.value("sip.admission.refused"),
            "dropped": metrics.value("sip.admission.dropped"),
            "capacity": round(admission.capacity, 1),
        }
        self._overload = admission.overloaded(self._clock.now())
        _log.warning("overload" if self._overload else "overload over", **figures)
        if self._overload:
            self._clock.call_later(TOLD_EACH, self._tell)
