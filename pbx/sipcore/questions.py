"""Requests that are sent once: how one outside any dialog is made, and who waits for what is answered. Pure.

RFC 3261 §8.1.1 (what a request says), §8.1.3 (its answers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from base.entropy import Entropy
from pbx.sipcore.message import Request, Response
from pbx.sipcore.transaction_ports import Cause
from pbx.sipcore.uri import Uri


def lone_request(
    entropy: Entropy, method: str, target: str, *, sender: str, to: str, contact: Uri, path: Iterable[str] = ()
) -> Request:
    """A request outside any dialog, to `target`. `sender` and `to` are addresses without brackets; `path` is the way on
    which a telephone has registered (RFC 3327 §5.3)."""
    request = Request(method, target)
    for route in path:
        request.add("Route", route)
    request.add("Max-Forwards", "70")
    request.add("From", f"<{sender}>;tag={entropy.token(8)}")
    request.add("To", f"<{to}>")
    request.add("Call-ID", entropy.token(12))
    request.add("CSeq", f"1 {method}")
    request.add("Contact", f"<{contact}>")
    return request


class Final:
    """Waits for the final response to one request that is no INVITE; `done` is told None when none will come."""

    def __init__(self, done: Callable[[Response | None], None]) -> None:
        self._done = done

    def on_response(self, response: Response) -> None:
        if response.is_final:
            self._done(response)

    def on_failure(self, cause: Cause) -> None:
        self._done(None)


class Unheard:
    """Nobody waits for the answer."""

    def on_response(self, response: Response) -> None: ...

    def on_failure(self, cause: Cause) -> None: ...
