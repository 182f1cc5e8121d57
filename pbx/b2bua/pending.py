"""What a program's leg holds while a call is pending, and what it may read of the INVITE that brought it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from pbx.programs import RequestData
from pbx.sipcore.message import Request, Response


class Pending(Protocol):
    """The branch that a program has not answered yet (`program_branch`)."""

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


class Outcome:
    """Waits for the final response to one request."""

    def __init__(self, outcome: asyncio.Future[str | None]) -> None:
        self._outcome = outcome

    def on_response(self, response: Response) -> None:
        if response.is_final and not self._outcome.done():
            self._outcome.set_result(None if response.is_success else f"{response.status} {response.reason}")

    def on_failure(self, cause: str) -> None:
        if not self._outcome.done():
            self._outcome.set_result("408 Request Timeout")


def request_data(request: Request) -> RequestData:
    """What a program may read of an INVITE."""
    headers: dict[str, tuple[str, ...]] = {}
    for kind, value in request.headers():
        headers[kind] = (*headers.get(kind, ()), value)
    from_, to = request.from_, request.to
    return RequestData(request.call_id, request.uri, str(from_.uri), from_.display, str(to.uri), headers)
