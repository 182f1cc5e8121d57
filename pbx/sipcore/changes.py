"""Our own changes of a session: re-INVITE, UPDATE, and refreshes that change nothing. Pure.

What the peer wants to change is in `session`. RFC 3261 §14.1, RFC 3311 §5.1, RFC 4028 §7.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pbx.sipcore.message import Request, Response
from pbx.sipcore.offers import Turn
from pbx.sipcore.session_ports import ALLOW, ChangeUser, SessionState

if TYPE_CHECKING:
    from pbx.sipcore.session import Session

GONE = (408, 481)
"""Answers after which the dialog is no more (RFC 3261 §12.2.1.2)."""
_NO_SUCH_METHOD = (405, 501)


class Changes:
    """Those of one session, one at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._open: Change | None = None
        self._described: tuple[bytes, str] = (b"", "")
        self.updates = False
        """The peer takes UPDATE."""

    @property
    def open(self) -> bool:
        """A re-INVITE, or an UPDATE with an offer, is not answered."""
        return self._open is not None

    @property
    def may_update(self) -> bool:
        """Whether an offer of ours may go by UPDATE now (RFC 3311 §5.1)."""
        session = self._session
        if session.state is SessionState.CONFIRMED:
            return self.updates and session.offers.settled and not session.negotiating
        told = session.reliable is None or not session.reliable.describing
        return self.updates and told and session.offers.may_offer and not self.open

    def reinvite(
        self, body: bytes, content_type: str, user: ChangeUser, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Send a re-INVITE, without an offer when `body` is empty. Refused at once with 491 while another is open."""
        if self._session.state is not SessionState.CONFIRMED:
            user.change_refused(self._session, 481)
        elif self._session.negotiating:
            user.change_refused(self._session, 491)
        else:
            self._send("INVITE", body, content_type, user, headers)

    def update(self, body: bytes, content_type: str, user: ChangeUser, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send an offer by UPDATE. Refused at once with 491 when it may not be sent now."""
        if self._session.state is SessionState.ENDED:
            user.change_refused(self._session, 481)
        elif not self.may_update:
            user.change_refused(self._session, 491)
        else:
            self._send("UPDATE", body, content_type, user, headers)

    def offer(self, body: bytes, content_type: str, user: ChangeUser, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Send an offer as the state of the dialog wants it; with these headers when it is confirmed."""
        if self._session.state is SessionState.EARLY:
            self.update(body, content_type, user)
        else:
            self.reinvite(body, content_type, user, headers)

    def refresh(self, headers: Sequence[tuple[str, str]] = (), user: ChangeUser | None = None) -> None:
        """Change nothing, but tell the peer these headers: by UPDATE when he takes it, else, once confirmed, by a
        re-INVITE with our last description (RFC 4028 §7.4)."""
        user = user or Refresh()
        if self.updates and self._session.state is not SessionState.ENDED:
            self._send("UPDATE", b"", "", user, headers)
        else:
            self.reinvite(*self._described, user, headers)

    def described(self, body: bytes, content_type: str) -> None:
        """What we have described last: a refresh by re-INVITE repeats it."""
        if body:
            self._described = (body, content_type)

    def _send(
        self, method: str, body: bytes, content_type: str, user: ChangeUser, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        session = self._session
        request = session.new_request(method, body, content_type)
        for name, value in headers:
            request.add(name, value)
        request.set("Allow", ALLOW)
        session.timer.ask(request)
        change = Change(session, request, user, self._described)
        if change.negotiates:
            self._open = change
            session.offers.ours(request)
            self.described(body, content_type)
        session.request(request, change)

    def taken(self, change: Change, response: Response) -> None:
        """Told by a change: a 2xx."""
        session = self._session
        session.dialog.take(response)
        session.learn(response)
        session.timer.answered(response)
        if self._open is change:
            self._open = None
            session.offers.theirs(response)
            if session.offers.turn is Turn.OURS:  # a 2xx without the answer
                session.offers.withdraw()

    def undone(self, change: Change, status: int) -> None:
        """Told by a change: it was refused, and all is as before (RFC 3261 §14.1)."""
        if change.method == "UPDATE" and status in _NO_SUCH_METHOD:
            self.updates = False
        if self._open is change:
            self._open = None
            self._described = change.before
            self._session.offers.withdraw()


class Change:
    """One re-INVITE or UPDATE under way. `before` is what we had described until then."""

    def __init__(self, session: Session, request: Request, user: ChangeUser, before: tuple[bytes, str]) -> None:
        self._session = session
        self._user = user
        self._final = False
        self.method = request.method
        self.negotiates = request.method == "INVITE" or bool(request.body)
        self.before = before

    def on_response(self, response: Response) -> None:
        if response.is_provisional:
            return
        if self._final:
            if response.is_success:
                self._session.repeat_ack(response.cseq.number)
            return
        self._final = True
        if response.is_success:
            self._session.changes.taken(self, response)
            self._user.change_answered(self._session, response)
        else:
            self._refused(response.status)

    def on_failure(self, cause: str) -> None:
        if not self._final:
            self._final = True
            self._refused(408)

    def _refused(self, status: int) -> None:
        self._session.changes.undone(self, status)
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
