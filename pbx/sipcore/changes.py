"""Our own changes of a session: the client sides of re-INVITE and UPDATE, of a refresh, and of PRACK. Pure.

When one may be sent is the session's business. RFC 3261 §14.1, RFC 3311 §5.1, RFC 4028 §7.4, §10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pbx.sipcore.message import Request, Response
from pbx.sipcore.session_ports import ChangeUser

if TYPE_CHECKING:
    from pbx.sipcore.session import Session

GONE = (408, 481)
"""Answers after which the dialog is no more (RFC 3261 §12.2.1.2)."""


class Change:
    """One re-INVITE or UPDATE under way. `before` is what we had described until then."""

    def __init__(self, session: Session, request: Request, user: ChangeUser, before: tuple[bytes, str]) -> None:
        self._session = session
        self._user = user
        self._final = False
        self._number = request.cseq.number
        self.method = request.method
        self.negotiates = request.method == "INVITE" or bool(request.body)
        self.before = before

    def on_response(self, response: Response) -> None:
        if response.is_provisional:
            return
        if self._final:
            if response.is_success:
                self._session.repeat_ack(self._number)
            return
        self._final = True
        if response.is_success:
            self._session.change_taken(self, response)
            self._user.change_answered(self._session, response)
        else:
            self._refused(response.status)

    def on_failure(self, cause: str) -> None:
        if not self._final:
            self._final = True
            self._refused(408)

    def _refused(self, status: int) -> None:
        self._session.change_undone(self, status)
        self._user.change_refused(self._session, status)
        if status in GONE:
            self._session.lost("no answer")


class Refresh:
    """Waits for the outcome of a change that changes nothing, and tells the status of a refusal to who wants it."""

    def __init__(self, refused: Callable[[int], None] = lambda _status: None) -> None:
        self._refused = refused

    def change_answered(self, session: Session, response: Response) -> None:
        session.acknowledge_change(response)

    def change_refused(self, session: Session, status: int) -> None:
        self._refused(status)


class Unheard:
    """Nobody waits for the answer to a BYE or a PRACK."""

    def on_response(self, response: Response) -> None: ...

    def on_failure(self, cause: str) -> None: ...
