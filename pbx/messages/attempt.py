"""One message to all phones of an account at once: accepted by the first that says so. A machine without timers.

RFC 3428 §7 (answers), RFC 3261 §16.7 (which counts), RFC 3327 §5.3 (Path).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Protocol

from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.questions import Final
from pbx.sipcore.transaction_ports import ClientUser


class Requests(Protocol):
    """Who sends requests in transactions (the SIP stack)."""

    def request(self, request: Request, flow: Flow, user: ClientUser) -> object: ...


class Outcome(enum.Enum):
    """ACCEPTED: a phone has it. REFUSED: phones answered and none took it. SILENT: none was there."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    SILENT = "silent"


_ABSENT = frozenset({408, 430, 480, 481, 500, 503, 504})
"""Answers after which a later try makes sense."""


class Attempt:
    """`start` it; `on_done` is told once: at the first acceptance, or when all have answered."""

    def __init__(self, stack: Requests, request: Request, on_done: Callable[[Attempt], None]) -> None:
        self._stack = stack
        self._request = request
        self._on_done = on_done
        self._open = 0
        self._statuses: list[int] = []
        self.outcome: Outcome | None = None

    def start(self, phones: Sequence[Binding]) -> None:
        """To a `sips:` address: by telephones that registered by TLS only (RFC 5630 §5.3)."""
        fit = [phone for phone in phones if phone.fits(self._request.uri)]
        self._open = len(fit)
        for phone in fit:
            copy = self._request.copy()
            copy.uri = phone.contact
            for path in phone.path:
                copy.add("Route", path)
            self._stack.request(copy, phone.flow, Final(self._told))
        if not fit:
            self._finish(Outcome.REFUSED if phones else Outcome.SILENT)

    def _told(self, response: Response | None) -> None:
        """The final answer of one phone, or none."""
        status = 408 if response is None else response.status
        self._open -= 1
        self._statuses.append(status)
        if status < 300:
            self._finish(Outcome.ACCEPTED)
        elif not self._open:
            silent = all(each in _ABSENT for each in self._statuses)
            self._finish(Outcome.SILENT if silent else Outcome.REFUSED)

    def _finish(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome
            self._on_done(self)

    @property
    def declined(self) -> int:
        """The status by which its user, or the content itself, was refused for good; 0 when none was."""
        final = [status for status in self._statuses if status >= 600 or status in (400, 403, 413)]
        return max(final, default=0)
