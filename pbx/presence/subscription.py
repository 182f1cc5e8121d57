"""One message-summary subscription as its notifier sees it: at most one NOTIFY under way, and the latest wins.

It counts no messages and authenticates nobody.

RFC 6665 §4.2 (notifier), §4.2.2 (NOTIFY and its failures), RFC 3842 §4.

    PENDING -counts-> ACTIVE -Expires 0, end of time, refusal of a NOTIFY-> TERMINATED
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from base.clock import Clock, Timer
from pbx.presence import summary
from pbx.presence.summary import Counts
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.transaction_ports import Cause, ClientUser


class Requests(Protocol):
    """Who sends requests in transactions (the SIP stack)."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> object: ...


class State(enum.Enum):
    PENDING = "pending"
    ACTIVE = "active"
    TERMINATED = "terminated"


GONE = frozenset({404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604})
"""Answers to a NOTIFY that end the subscription (RFC 5057 §5.1, RFC 6665 §4.2.2)."""


class Subscription:
    """One phone's subscription to one account's lamp."""

    def __init__(
        self,
        clock: Clock,
        stack: Requests,
        dialog: Dialog,
        flow: Flow,
        account_id: int,
        mailbox: str,
        event: str,
        on_end: Callable[[Subscription], None],
    ) -> None:
        self._clock = clock
        self._stack = stack
        self.dialog = dialog
        self.flow = flow
        self.account_id = account_id
        self.state = State.PENDING
        self.expires_at = 0.0
        self._mailbox = mailbox
        self._event = event
        self._on_end = on_end
        self._counts: Counts | None = None
        self._sent: Counts | None = None
        self._reason = "timeout"
        self._in_flight = False
        self._due = False
        self._timer: Timer | None = None

    def extend(self, seconds: int) -> None:
        """SUBSCRIBE or its refresh: live for `seconds` more; 0 ends it after one last NOTIFY (RFC 6665 §4.4.3)."""
        if self._timer is not None:
            self._timer.cancel()
        self.expires_at = self._clock.now() + seconds
        self._due = True
        self._timer = self._clock.call_later(seconds, self._expire) if seconds else None
        if not seconds:
            self.state = State.TERMINATED

    def update(self, counts: Counts) -> None:
        """The counts as they are now. Sends when they differ from what was sent, or when a NOTIFY is due anyway."""
        self._counts = counts
        if self.state is State.PENDING:
            self.state = State.ACTIVE
        if self._due or counts != self._sent:
            self._due = True
            self._send()

    def end(self, reason: str = "deactivated") -> None:
        """We end it: tell the phone to subscribe again elsewhere or later (RFC 6665 §4.2.2)."""
        if self.state is not State.TERMINATED:
            self._reason = reason
            self._expire()

    def _expire(self) -> None:
        self._timer = None
        self.state = State.TERMINATED
        self._due = True
        self._send()

    def _send(self) -> None:
        """One in flight; what changes meanwhile goes out after it, the latest only."""
        if self._in_flight or not self._due or self._counts is None:
            return
        self._due, self._in_flight, self._sent = False, True, self._counts
        self._stack.request(self._notify(self._counts), self.flow, self)

    def _notify(self, counts: Counts) -> Request:
        request = self.dialog.new_request("NOTIFY")
        left = max(0, round(self.expires_at - self._clock.now()))
        over = self.state is State.TERMINATED
        state = f"terminated;reason={self._reason}" if over else f"active;expires={left}"
        request.add("Event", self._event)
        request.add("Subscription-State", state)
        request.set_body(summary.body(counts, self._mailbox), summary.CONTENT_TYPE)
        return request

    def on_response(self, response: Response) -> None:
        """The answer to a NOTIFY."""
        if response.status < 200:
            return
        self._in_flight = False
        self.dialog.take(response)
        if response.status in GONE:
            self._drop()
        else:
            self._go_on()

    def on_failure(self, cause: Cause) -> None:
        """No answer to a NOTIFY counts as 408: the phone is gone."""
        self._in_flight = False
        self._drop()

    def _go_on(self) -> None:
        if self._due:
            self._send()
        elif self.state is State.TERMINATED:
            self._drop()

    def _drop(self) -> None:
        self.state = State.TERMINATED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_end(self)


class Unsolicited:
    """The lamp of a contact that never subscribes: NOTIFY outside any dialog. Interop: phones expect it."""

    def __init__(
        self, stack: Requests, compose: Callable[[Counts], tuple[Request, Flow]], on_idle: Callable[[], None]
    ) -> None:
        self._stack = stack
        self._compose = compose
        self._on_idle = on_idle
        self._in_flight = False
        self._next: Counts | None = None

    def update(self, counts: Counts) -> None:
        """Send, or remember the latest while one is in flight."""
        self._next = counts
        if not self._in_flight:
            self._send()

    def _send(self) -> None:
        counts, self._next = self._next, None
        if counts is None:
            self._on_idle()
            return
        self._in_flight = True
        request, flow = self._compose(counts)
        self._stack.request(request, flow, self)

    def on_response(self, response: Response) -> None:
        if response.status >= 200:
            self._in_flight = False
            self._send()

    def on_failure(self, cause: Cause) -> None:
        self._in_flight = False
        self._next = None
        self._on_idle()
