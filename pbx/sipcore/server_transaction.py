"""The two server machines: one request that came in, until its answer has safely left.

They retransmit what is theirs to retransmit; the 2xx of an INVITE is the session's (RFC 6026 §7.1).

RFC 3261 §17.2, §26.3.2.4, RFC 6026 §7.1, RFC 4320 (no late answers and no 408 to other methods).

    INVITE       PROCEEDING -2xx-> ACCEPTED  -L-> TERMINATED
                            -3xx+> COMPLETED -ACK-> CONFIRMED -I-> TERMINATED   (-H-> TERMINATED)
    others       TRYING -1xx-> PROCEEDING -2xx+> TERMINATED   (the layer repeats the answer until Timer J)
    strangers    as others, also with an INVITE (`refuse`)
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import assert_never

from base.clock import Timer
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to, tag_to
from pbx.sipcore.transaction_ports import Host


class ServerState(Enum):
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class ServerTransaction:
    """One request to answer; `weight` octets are counted for it by the layer.

    `flow` is the way back, which may differ from where the request came from (RFC 3261 §18.2.2); set `on_cancel` to
    hear of a CANCEL (already answered; the INVITE then wants its 487 from the user) and `on_end` of the end, which for
    other methods comes with the final response.
    """

    __slots__ = (
        "_host",
        "_interval",
        "_last",
        "_limit",
        "_local_tag",
        "_once",
        "_retransmit",
        "cancelled",
        "flow",
        "key",
        "on_cancel",
        "on_end",
        "request",
        "state",
        "weight",
    )

    def __init__(self, host: Host, key: tuple[str, ...], request: Request, flow: Flow, weight: int = 0) -> None:
        self.key = key
        self.request = request
        self.flow = flow
        self.weight = weight
        self.state = ServerState.PROCEEDING if request.method == "INVITE" else ServerState.TRYING
        self.on_cancel: Callable[[Request], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.cancelled = False
        self._host = host
        self._local_tag: str | None = None
        self._last: bytes | None = None
        self._interval = host.timers.t1
        self._retransmit: Timer | None = None
        self._limit: Timer | None = None
        self._once = False

    @property
    def is_invite(self) -> bool:
        return self.request.method == "INVITE"

    @property
    def local_tag(self) -> str:
        """The tag that our answers to this request carry: that of its To, else one of our own, always the same."""
        if self._local_tag is None:
            self._local_tag = self.request.to_tag or self._host.entropy.token(8)
        return self._local_tag

    @property
    def is_answered(self) -> bool:
        """True once a final response has been sent."""
        return self.state not in (ServerState.TRYING, ServerState.PROCEEDING)

    @property
    def takes_success(self) -> bool:
        """Whether a 2xx would still go to the client; after a refusal none does."""
        return self.state in (ServerState.TRYING, ServerState.PROCEEDING, ServerState.ACCEPTED)

    def start(self) -> None:
        """Arm the 100 Trying of an INVITE; bound the life of anything else."""
        timers = self._host.timers
        if not self.is_invite:
            # RFC 4320 §4: after 64*T1 the client is gone, and an answer would only do harm
            self._limit = self._host.clock.call_later(timers.give_up, self._end)
        elif timers.trying <= 0:
            self._send_trying()
        else:
            self._retransmit = self._host.clock.call_later(timers.trying, self._send_trying)

    def reply(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answer without a body."""
        self.respond(response_to(self.request, status, reason, headers=headers))

    def refuse(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answer one who has proved nothing: once, and forget his request but for the answer.

        Nobody can have us repeat an answer to an address that is not his (RFC 3261 §26.3.2.4). Who did not get it
        repeats his INVITE, unless a 100 has told him not to: then it is repeated as always.
        """
        self._once = self._last is None and not self.flow.reliable
        self.reply(status, reason, headers)

    def respond(self, response: Response) -> None:
        """Send a response; our tag is put on its To when it has none.

        What comes after a final response is ignored, except another 2xx after a 2xx, which the session repeats. A 408
        to anything but INVITE is never sent (RFC 4320 §4.2): who asked has found out by himself.
        """
        if response.status == 408 and not self.is_invite:
            self._host.metrics.count("sip.responses.late")
            return
        if response.status > 100:
            tag_to(response, self.local_tag)
        match self.state:
            case ServerState.TRYING | ServerState.PROCEEDING:
                if response.status < 200:
                    self._provisional(response)
                else:
                    self._final(response)
            case ServerState.ACCEPTED:
                if response.is_success:
                    self._host.send(self.flow, response.encode())
            case ServerState.COMPLETED | ServerState.CONFIRMED | ServerState.TERMINATED:
                self._host.metrics.count("sip.responses.late")
            case _:
                assert_never(self.state)

    def receive_again(self, flow: Flow) -> None:
        """The same request once more (RFC 3261 §17.2.1, §17.2.2). A router may have moved its sender meanwhile: answers
        go to where it is now, as RFC 3581 §4 would have it."""
        self.flow = flow
        self._host.metrics.count("sip.requests.repeated")
        if self.state in (ServerState.PROCEEDING, ServerState.COMPLETED) and self._last is not None:
            self._host.send(self.flow, self._last)

    def receive_ack(self, request: Request) -> None:
        """An ACK with the branch of this INVITE."""
        match self.state:
            case ServerState.COMPLETED:
                self._stop()
                self.state = ServerState.CONFIRMED
                self._arm(0 if self.flow.reliable else self._host.timers.t4, self._end)  # Timer I
            case ServerState.ACCEPTED:
                # Interop: some phones keep the branch of the INVITE for the ACK of its 2xx
                self._host.on_ack(request, self.flow)
            case ServerState.TRYING | ServerState.PROCEEDING | ServerState.CONFIRMED | ServerState.TERMINATED:
                pass
            case _:
                assert_never(self.state)

    def receive_cancel(self, cancel: Request) -> None:
        """A CANCEL of this request, which the layer has answered (RFC 3261 §9.2)."""
        if not self.is_invite or self.is_answered or self.cancelled:
            return
        self.cancelled = True
        if self.on_cancel is None:
            self.reply(487)
        else:
            self.on_cancel(cancel)

    def transport_failed(self) -> None:
        """The flow is gone; nothing that we sent or send would arrive."""
        self._end()

    def _send_trying(self) -> None:
        if self._last is None and self.state is ServerState.PROCEEDING:
            self.respond(response_to(self.request, 100))

    def _provisional(self, response: Response) -> None:
        self.state = ServerState.PROCEEDING
        self._last = response.encode()
        self._host.send(self.flow, self._last)

    def _final(self, response: Response) -> None:
        self._stop()
        timers = self._host.timers
        self._last = response.encode()
        if not self.is_invite or self._once:
            self._host.server_answered(self, self._last)
            self._host.send(self.flow, self._last)
            self._end()
            return
        if response.is_success:
            self.state = ServerState.ACCEPTED
            self._arm(timers.give_up, self._end)  # Timer L
        else:
            self.state = ServerState.COMPLETED
            self._arm(timers.give_up, self._unacknowledged)  # Timer H
            if not self.flow.reliable:
                self._retransmit = self._host.clock.call_later(self._interval, self._again)  # Timer G
        self._host.send(self.flow, self._last)

    def _again(self) -> None:
        self._interval = min(2 * self._interval, self._host.timers.t2)
        self._retransmit = self._host.clock.call_later(self._interval, self._again)
        self._host.metrics.count("sip.retransmitted.responses")
        if self._last is not None:
            self._host.send(self.flow, self._last)

    def _unacknowledged(self) -> None:
        self._host.metrics.count("sip.timeouts.server")
        self._end()

    def _arm(self, delay: float, callback: Callable[[], None]) -> None:
        self._limit = self._host.clock.call_later(delay, callback)

    def _stop(self) -> None:
        if self._retransmit is not None:
            self._retransmit.cancel()
            self._retransmit = None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _end(self) -> None:
        if self.state is ServerState.TERMINATED:
            return
        self.state = ServerState.TERMINATED
        self._stop()
        self._host.server_ended(self)
        if self.on_end is not None:
            self.on_end()
