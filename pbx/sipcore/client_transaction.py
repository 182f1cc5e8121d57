"""The two client machines: one request that we sent, until its last answer has been absorbed.

They are told of responses and timers and speak through their host; they open nothing and resolve nothing.

RFC 3261 §17.1 and §9.1 (CANCEL), RFC 6026 §7.2 (Accepted).

    INVITE       CALLING -1xx-> PROCEEDING -2xx-> ACCEPTED  -M-> TERMINATED
                                           -3xx+> COMPLETED -D-> TERMINATED
    others       CALLING -1xx-> PROCEEDING -2xx+> COMPLETED -K-> TERMINATED
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import assert_never

from base.clock import Timer
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Message, Request, Response
from pbx.sipcore.transaction_ports import Cause, ClientUser, Host


class ClientState(Enum):
    CALLING = "calling"  # the RFC says Trying for all but INVITE
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class ClientTransaction:
    """One request on its way, already sent when it is handed out."""

    __slots__ = (
        "_ack",
        "_cancel_reason",
        "_cancel_wanted",
        "_cancelled",
        "_data",
        "_host",
        "_interval",
        "_limit",
        "_retransmit",
        "_user",
        "flow",
        "key",
        "request",
        "state",
    )

    def __init__(self, host: Host, key: tuple[str, str], request: Request, flow: Flow, user: ClientUser) -> None:
        self.key = key
        self.request = request
        self.flow = flow
        self.state = ClientState.CALLING
        self._host = host
        self._user = user
        self._data = request.encode()
        self._ack: bytes | None = None
        self._cancel_wanted = False
        self._cancelled = False
        self._cancel_reason: str | None = None
        self._interval = host.timers.t1
        self._retransmit: Timer | None = None
        self._limit: Timer | None = None

    @property
    def is_invite(self) -> bool:
        return self.request.method == "INVITE"

    @property
    def unheard(self) -> bool:
        """True until the first response."""
        return self.state is ClientState.CALLING

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was asked for."""
        return self._cancel_wanted

    def start(self) -> None:
        """Send it and start timers A or E, and B or F (RFC 3261 §17.1.1.2, §17.1.2.2)."""
        host = self._host
        self._limit = host.clock.call_later(host.timers.give_up, self._timed_out)
        if not self.flow.reliable:
            self._retransmit = host.clock.call_later(self._interval, self._again)
        host.send(self.flow, self._data)

    def cancel(self, reason_header: str | None = None) -> None:
        """Ask the other side to give up (RFC 3261 §9.1): at once when it has answered provisionally, else when it does.

        Only INVITE is cancelled, and only before its final response; otherwise nothing happens.
        """
        if not self.is_invite or self._cancel_wanted:
            return
        self._cancel_wanted = True
        self._cancel_reason = reason_header
        if self.state is ClientState.PROCEEDING:
            self._send_cancel()

    def receive(self, response: Response) -> None:
        """A response that matches this transaction (RFC 3261 §17.1.3)."""
        match self.state:
            case ClientState.CALLING | ClientState.PROCEEDING:
                if response.status < 200:
                    self._provisional(response)
                else:
                    self._final(response)
            case ClientState.ACCEPTED:
                if response.is_success:  # RFC 6026 §7.2: each goes up, the user sends the ACK
                    self._user.on_response(response)
            case ClientState.COMPLETED:
                if self._ack is not None and response.status >= 300:
                    self._host.send(self.flow, self._ack)
            case ClientState.TERMINATED:
                pass
            case _:
                assert_never(self.state)

    def transport_failed(self) -> None:
        """The flow is gone (RFC 3261 §17.1.4)."""
        self._fail("transport")

    def _provisional(self, response: Response) -> None:
        first = self.state is ClientState.CALLING
        self.state = ClientState.PROCEEDING
        if self.is_invite:
            if first and self._retransmit is not None:
                self._retransmit.cancel()
                self._retransmit = None
            if not self._cancelled and (first or response.status > 100):
                self._arm(self._host.timers.c, self._ring_limit)  # RFC 3261 §16.7 step 2
        self._user.on_response(response)
        # Asked again, for the user may have cancelled just now
        if self._cancel_wanted and self.state is ClientState.PROCEEDING:
            self._send_cancel()

    def _final(self, response: Response) -> None:
        self._stop()
        timers = self._host.timers
        if not self.is_invite:
            self.state = ClientState.COMPLETED
            self._arm(0 if self.flow.reliable else timers.t4, self._end)  # Timer K
        elif response.is_success:
            self.state = ClientState.ACCEPTED
            self._arm(timers.give_up, self._end)  # Timer M
        else:
            self.state = ClientState.COMPLETED
            self._ack = ack_of_refusal(self.request, response).encode()
            self._host.send(self.flow, self._ack)
            self._arm(0 if self.flow.reliable else timers.d, self._end)  # Timer D
        self._user.on_response(response)

    def _again(self) -> None:
        """Timers A and E: A doubles without bound, E up to T2, and at T2 once a provisional is there."""
        timers = self._host.timers
        self._interval *= 2
        if not self.is_invite:
            self._interval = timers.t2 if self.state is ClientState.PROCEEDING else min(self._interval, timers.t2)
        self._retransmit = self._host.clock.call_later(self._interval, self._again)
        self._host.metrics.count("sip.retransmitted.requests")
        self._host.send(self.flow, self._data)

    def _timed_out(self) -> None:
        self._host.metrics.count("sip.timeouts.client")
        self._fail("timeout")

    def _ring_limit(self) -> None:
        """Timer C: nobody answered for three minutes and more (RFC 3261 §16.8)."""
        self.cancel('SIP;cause=408;text="Request Timeout"')

    def _send_cancel(self) -> None:
        if self._cancelled:
            return
        self._cancelled = True
        # RFC 3261 §9.1: without a final answer in 64*T1 the INVITE counts as cancelled
        self._arm(self._host.timers.give_up, self._timed_out)
        self._host.send_cancel(self, cancel_of(self.request, self._cancel_reason))

    def _fail(self, cause: Cause) -> None:
        tell = self.state in (ClientState.CALLING, ClientState.PROCEEDING)
        self._end()
        if tell:
            self._user.on_failure(cause)

    def _arm(self, delay: float, callback: Callable[[], None]) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self._host.clock.call_later(delay, callback)

    def _stop(self) -> None:
        if self._retransmit is not None:
            self._retransmit.cancel()
            self._retransmit = None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _end(self) -> None:
        if self.state is not ClientState.TERMINATED:
            self.state = ClientState.TERMINATED
            self._stop()
            self._host.client_ended(self)


def _hop_request(method: str, request: Request, to: Message) -> Request:
    """A request of the same hop: top Via, Route, From, Call-ID, Request-URI and CSeq number of `request`."""
    twin = Request(method, request.uri)
    twin.add("Via", str(request.top_via))
    twin.copy_from(request, "Route")
    twin.add("Max-Forwards", "70")
    twin.copy_from(request, "From")
    twin.copy_from(to, "To")
    twin.copy_from(request, "Call-ID")
    twin.add("CSeq", f"{request.cseq.number} {method}")
    return twin


def ack_of_refusal(request: Request, response: Response) -> Request:
    """The ACK of a final response other than 2xx (RFC 3261 §17.1.1.3)."""
    return _hop_request("ACK", request, response)


def cancel_of(request: Request, reason_header: str | None = None) -> Request:
    """The CANCEL of a request (RFC 3261 §9.1), with a Reason (RFC 3326) if given."""
    cancel = _hop_request("CANCEL", request, request)
    if reason_header:
        cancel.add("Reason", reason_header)
    return cancel
