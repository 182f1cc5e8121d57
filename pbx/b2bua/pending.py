"""What a program's leg holds while a call is pending, and what it may read of the INVITE that brought it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from directory.model import Account, Caller
from pbx.b2bua.asserted import NOBODY, seen
from pbx.programs import RequestData
from pbx.sipcore.message import Request, Response
from pbx.sipcore.questions import Final

if TYPE_CHECKING:
    from pbx.b2bua.call import Call


class Pending(Protocol):
    """The branch that a program has not answered yet (`program_branch`)."""

    @property
    def call(self) -> Call: ...

    def accept(self) -> bool: ...

    def refuse(self, status: int, reason: str) -> None: ...

    def redirect(self, targets: tuple[str, ...]) -> None: ...

    def fork(self, targets: tuple[str, ...]) -> None: ...

    def caller_gone(self) -> None: ...

    def connected(self) -> None:
        """The program answers."""


class Placed(Protocol):
    """A call that a program has placed and that nobody has answered (`program_call`)."""

    def cancel(self) -> None: ...


def waits_for(outcome: asyncio.Future[str | None]) -> Final:
    """Who waits for the final response to one request: the outcome is None for a success, else the refusal."""

    def told(response: Response | None) -> None:
        if outcome.done():
            return
        if response is None:
            outcome.set_result("408 Request Timeout")
        else:
            outcome.set_result(None if response.is_success else f"{response.status} {response.reason}")

    return Final(told)


_IMPERSONAL = frozenset(
    {"to", "call-id", "cseq", "max-forwards", "content-type", "content-length", "accept", "allow", "supported", "date"}
)
"""RFC 3323 §5.1: headers that tell nothing of a caller."""


def seen_by(caller: Caller, account: Account) -> Caller:
    """The caller as a program of an account sees him: one who asks for privacy only if it is his own."""
    return caller if caller.account == account else seen(caller)


def request_data(request: Request, caller: Caller) -> RequestData:
    """What a program may read of an INVITE; `caller` as it sees him."""
    headers: dict[str, tuple[str, ...]] = {}
    hidden = caller == NOBODY
    for kind, value in request.headers():
        if not hidden or kind in _IMPERSONAL:
            headers[kind] = (*headers.get(kind, ()), value)
    to = str(request.to.uri)
    if hidden:
        return RequestData(request.call_id, request.uri, caller.uri, caller.name, to, headers)
    from_ = request.from_
    return RequestData(request.call_id, request.uri, str(from_.uri), from_.display, to, headers)
