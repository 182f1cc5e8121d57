"""NOTIFYs outside any dialog. The lamp of a contact that never subscribes: one at a time and the latest only.

RFC 3842 knows subscriptions only; many phones never subscribe and light their lamp all the same.
"""

from __future__ import annotations

from collections.abc import Callable

from base.entropy import Entropy
from directory.model import Account
from pbx.presence.notifier import Stack
from pbx.presence.subscription import Requests
from pbx.presence.summary import Counts
from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.questions import lone_request
from pbx.sipcore.transaction_ports import Cause


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


def outside_dialog(entropy: Entropy, stack: Stack, account: Account, binding: Binding) -> Request:
    """A NOTIFY from the account to one of its own contacts; without Event and body."""
    own, contact = f"sip:{account.address}", stack.contact_for(binding.flow, account.name)
    return lone_request(entropy, "NOTIFY", binding.contact, sender=own, to=own, contact=contact, path=binding.path)
