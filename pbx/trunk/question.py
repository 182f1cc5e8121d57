"""The driver of a trunk's health: one OPTIONS, to the servers of the trunk one after another until one answers.

When to ask, and what an answer means, is decided by `health`. RFC 3261 §11.1, RFC 3263 §4.3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from base.entropy import Entropy
from base.failures import Failure
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.questions import lone_request
from pbx.sipcore.transaction_ports import Cause
from pbx.trunk.explain import IN_NEED
from pbx.trunk.health import Health
from pbx.trunk.model import Trunk
from pbx.trunk.ports import Stack


class Question:
    """`begin` it; the health hears how it ends, unless it is `close`d. `found` is told each server that is asked."""

    def __init__(
        self, entropy: Entropy, stack: Stack, trunk: Trunk, health: Health, found: Callable[[Flow], None]
    ) -> None:
        self._entropy = entropy
        self._stack = stack
        self._trunk = trunk
        self._health = health
        self._found = found
        self._tried: set[tuple[str, str, int]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._cause = ""
        self._refused: Response | None = None
        self._over = False

    def begin(self) -> None:
        """At its first server, or the next one."""
        self._looking = asyncio.get_running_loop().create_task(self._ask())

    def close(self) -> None:
        """Whatever is still answered is not told."""
        self._over = True
        if self._looking is not None:
            self._looking.cancel()

    async def _ask(self) -> None:
        try:
            flow = await self._stack.flow_to(self._trunk.next_hop, configured=True)
        except Failure as failure:
            self._end(self._refused, failure.public)
            return
        place = (flow.transport, *flow.remote)
        if place in self._tried:
            self._end(self._refused, self._cause)
            return
        self._tried.add(place)
        self._found(flow)
        self._stack.request(self._options(flow), flow, self)

    def _options(self, flow: Flow) -> Request:
        contact, trunk = self._stack.contact_for(flow), self._trunk
        sender, to = str(trunk.identity if trunk.user else contact), str(trunk.registrar)
        request = lone_request(self._entropy, "OPTIONS", to, sender=sender, to=to, contact=contact)
        request.add("Accept", "application/sdp")
        return request

    def _end(self, response: Response | None, cause: str = "") -> None:
        if self._over:
            return
        self._over = True
        if response is None:
            self._health.unanswered(cause)
        else:
            self._health.answered(response)

    # --- told by the transaction

    def on_response(self, response: Response) -> None:
        if not response.is_final or self._over:
            return
        if response.status in IN_NEED:  # RFC 3263 §4.3: another server may be better off
            self._refused = response
            self.begin()
        else:
            self._end(response)

    def on_failure(self, cause: Cause) -> None:
        if not self._over:
            self._cause = cause
            self.begin()
