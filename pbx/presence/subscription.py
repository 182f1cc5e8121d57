"""One subscription as its notifier sees it: at most one NOTIFY under way, the latest wins, news are not sent too often.

It knows no event package but by its view, and authenticates nobody.

RFC 6665 §4.2 (notifier), §4.2.2 (NOTIFY and its failures), §4.1.3 (reasons), §4.4.1 (dialog).

    PENDING -first state-> ACTIVE -Expires 0, end of time, refusal of a NOTIFY-> TERMINATED

One that is not accepted yet, or whose phone has to come back after a restart, sleeps: it sends nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from base.clock import Clock, Timer
from pbx.presence.documents import Document, View
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

PATIENCE = 5.0
"""Limit: seconds that the last NOTIFY waits for a state that is being gathered; then it goes without a body."""


class Subscription:
    """One phone's subscription. `event` is the Event value of its NOTIFYs, `gap` the seconds between two of news."""

    def __init__(
        self,
        clock: Clock,
        stack: Requests,
        dialog: Dialog,
        flow: Flow,
        event: str,
        view: View,
        on_end: Callable[[Subscription], None],
        *,
        gap: float = 0.0,
        extras: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._clock = clock
        self._stack = stack
        self.dialog = dialog
        self.flow = flow
        self.event = event
        self.view = view
        self.state = State.PENDING
        self.expires_at = 0.0
        self._on_end = on_end
        self._gap = gap
        self._extras = extras
        self._reason = "timeout"
        self.asleep = True
        self._in_flight = False
        self._due = False
        self._whole = True
        self._hurry = False
        self._sent_at = float("-inf")
        self._timer: Timer | None = None
        self._gap_timer: Timer | None = None

    def extend(self, seconds: int) -> None:
        """SUBSCRIBE or its refresh: live for `seconds` more; 0 ends it after one last NOTIFY (RFC 6665 §4.4.3)."""
        self._stop_timers()
        self.expires_at = self._clock.now() + seconds
        self._due = self._whole = True
        self.asleep = False
        if not seconds:
            self.state = State.TERMINATED
        self._timer = self._clock.call_later(seconds or PATIENCE, self._expire)
        self.view.prepare()
        self._send()

    def hold(self, seconds: float) -> None:
        """It is left from a former process and has so long to live: it sleeps until `wake`, or a refresh."""
        self.expires_at = self._clock.now() + seconds
        self._timer = self._clock.call_later(seconds, self._expire)

    def wake(self, flow: Flow) -> None:
        """Its phone is there: tell it all."""
        self.flow, self.asleep = flow, False
        self._due = self._whole = True
        self.view.prepare()
        self._send()

    def news(self) -> None:
        """Something that is watched may have changed."""
        self._due = True
        self._send()

    def end(self, reason: str = "deactivated", retry_after: int | None = None) -> None:
        """We end it; the reason tells the phone whether to come again (RFC 6665 §4.1.3)."""
        if self.state is not State.TERMINATED:
            self._reason = reason if retry_after is None else f"{reason};retry-after={retry_after}"
            self._expire()

    def _expire(self) -> None:
        if self.asleep:
            self._drop()
            return
        self._stop_timers()
        self.state = State.TERMINATED
        self._due = self._whole = self._hurry = True
        self._send()

    def _send(self) -> None:
        """One in flight; what changes meanwhile goes out after it, the latest only."""
        if self.asleep or self._in_flight or not self._due or self._too_soon():
            return
        document = self.view.full() if self._whole else self.view.news()
        if document is None and self._whole and not self._hurry:
            return  # being gathered: `news` will come
        if document is not None or self._whole:
            self._notify(document)
        self._due = False

    def _too_soon(self) -> bool:
        """RFC 6665 §4.2.2: changes that follow each other closely go out together."""
        wait = self._sent_at + self._gap - self._clock.now()
        if self._whole or wait <= 0:
            return False
        if self._gap_timer is None:
            self._gap_timer = self._clock.call_later(wait, self._gap_over)
        return True

    def _gap_over(self) -> None:
        self._gap_timer = None
        self._send()

    def _notify(self, document: Document | None) -> None:
        if self.state is State.PENDING:
            self.state = State.ACTIVE
        request = self.dialog.new_request("NOTIFY")
        left = max(0, round(self.expires_at - self._clock.now()))
        over = self.state is State.TERMINATED
        request.add("Event", self.event)
        request.add("Subscription-State", f"terminated;reason={self._reason}" if over else f"active;expires={left}")
        for name, value in self._extras:
            request.add(name, value)
        if document is not None:
            request.set_body(document.body, document.content_type)
        self._whole, self._in_flight, self._sent_at = False, True, self._clock.now()
        self._stack.request(request, self.flow, self)

    def on_response(self, response: Response) -> None:
        """The answer to a NOTIFY."""
        if response.status < 200:
            return
        self._in_flight = False
        self.dialog.take(response)
        if response.status in GONE:
            self._drop()
            return
        if not response.is_success:
            self._whole = True  # what it refused it does not know: next time it is told all
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
        self._due = False
        self._stop_timers()
        self._on_end(self)

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._gap_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._gap_timer = None
