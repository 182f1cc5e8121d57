"""Whether the peer still knows the dialog, asked by OPTIONS where nothing else would tell. Pure.

RFC 3261 §11.2 (OPTIONS within a dialog), §12.2.1.2 (408 and 481 end it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.sipcore.changes import GONE
from pbx.sipcore.message import Response
from pbx.sipcore.questions import Final
from pbx.sipcore.session_ports import SessionState

if TYPE_CHECKING:
    from pbx.sipcore.session import Session

TRIES = 2
"""So many questions in a row are not answered by one who is gone: a connection may be made anew between them."""


class Standing:
    """The questions of one session, one at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._open = False
        self._unheard = 0

    def ask(self) -> None:
        """The session is lost when the peer says that there is no such dialog, or says nothing `TRIES` times."""
        if self._session.state is SessionState.CONFIRMED and not self._open:
            self._open = True
            self._session.request(self._session.new_request("OPTIONS"), Final(self._told))

    def _told(self, response: Response | None) -> None:
        self._open = False
        self._unheard = self._unheard + 1 if response is None else 0
        if self._unheard >= TRIES or (response is not None and response.status in GONE):
            self._session.lost("no answer")
