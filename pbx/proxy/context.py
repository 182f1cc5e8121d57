"""One request being forwarded to one or more places, until one answer has gone back. The response context of RFC 3261.

A machine: it sends through the stack's transactions and has no timers of its own (Timer C is the client transaction's).

RFC 3261 §16.7 (which answer), §16.10 (CANCEL), RFC 6026 (every 2xx of an INVITE goes back).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pbx.signal.answer import COMPLETED_ELSEWHERE, rank
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.transaction_ports import Cause, ClientUser

_CHALLENGES = (401, 407)


class Sent(Protocol):
    """A client transaction."""

    def cancel(self, reason_header: str | None = None) -> None: ...


class Requests(Protocol):
    """The SIP stack."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> Sent: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request ready to leave, less our Via."""

    request: Request
    flow: Flow


class _Branch:
    """One of the places."""

    def __init__(self, context: ResponseContext) -> None:
        self._context = context
        self.sent: Sent | None = None
        self.final: Response | None = None

    def on_response(self, response: Response) -> None:
        if response.is_final and self.final is None:
            self.final = response
        self._context.answered(response)

    def on_failure(self, cause: Cause) -> None:
        # RFC 3261 §16.7: a timeout counts as 408, a dead transport as 503 (§16.9)
        response = response_to(self._context.request, 408 if cause == "timeout" else 503)
        self.final = response
        self._context.finished()


class ResponseContext:
    """Forwards answers of its branches to one server transaction."""

    def __init__(
        self,
        transaction: ServerTransaction,
        stack: Requests,
        on_end: Callable[[], None],
        passing: Callable[[Response], None] | None = None,
    ) -> None:
        """`passing` may change each response on its way back."""
        self._transaction = transaction
        self._passing = passing
        self._stack = stack
        self._on_end = on_end
        self._branches: list[_Branch] = []
        self._over = False
        transaction.on_cancel = self._cancelled
        transaction.on_end = on_end

    @property
    def request(self) -> Request:
        return self._transaction.request

    def start(self, outgoing: Sequence[Outgoing]) -> None:
        """Send to all places at once."""
        self._branches = [_Branch(self) for _ in outgoing]
        for branch, one in zip(self._branches, outgoing, strict=True):
            branch.sent = self._stack.request(one.request, one.flow, branch)

    def answered(self, response: Response) -> None:
        """A response of any branch."""
        if response.is_success:
            self._send(response)
            self._cancel_rest(COMPLETED_ELSEWHERE)
            self._over = True
        elif response.is_provisional:
            if response.status != 100 and not self._over and self._transaction.is_invite:
                self._send(response)  # RFC 3261 §16.7 step 5; RFC 4320 §4.1: none for other methods
        else:
            if response.status >= 600:
                self._cancel_rest(None)
            self.finished()

    def finished(self) -> None:
        """A branch has its final; when it is the last one, the best goes back."""
        finals = [branch.final for branch in self._branches]
        if self._over or any(final is None for final in finals):
            return
        self._over = True
        refusals = [final for final in finals if final is not None]
        best = min(refusals, key=lambda response: rank(response.status))
        self._send(self._prepared(best, refusals))

    def _prepared(self, best: Response, refusals: Sequence[Response]) -> Response:
        """RFC 3261 §16.7: 503 does not travel (step 6); all challenges go in one answer (step 7)."""
        if best.status == 503:
            return response_to(self.request, 500)
        return with_all_challenges(best, refusals)

    def _send(self, response: Response) -> None:
        """Back the way it came: the Vias are those of the request as we got it."""
        back = response.copy()
        back.remove("Via")
        back.copy_from(self.request, "Via")
        if self._passing is not None:
            self._passing(back)
        self._transaction.respond(back)

    def _cancelled(self, cancel: Request) -> None:
        """RFC 3261 §16.10: the branches answer 487, and the best of their answers goes back."""
        for branch in self._branches:
            if branch.sent is not None and branch.final is None:
                branch.sent.cancel(cancel.get("Reason"))

    def _cancel_rest(self, reason: str | None) -> None:
        if not self._transaction.is_invite:
            return
        for branch in self._branches:
            if branch.sent is not None and branch.final is None:
                branch.sent.cancel(reason)


def with_all_challenges(best: Response, refusals: Sequence[Response]) -> Response:
    """A 401 or 407 with the challenges of all branches (RFC 3261 §16.7 step 7); anything else as it is."""
    if best.status not in _CHALLENGES:
        return best
    answer = best.copy()
    for other in refusals:
        if other is not best and other.status in _CHALLENGES:
            for name in ("WWW-Authenticate", "Proxy-Authenticate"):
                for value in other.get_all(name):
                    answer.add(name, value)
    return answer
