"""What a simulated telephone watches: SUBSCRIBE, its refreshes, and what the NOTIFYs have told. RFC 6665 §4.1.

A subscription that is over is begun anew as long as the telephone wants it. RFC 3842 (lamps), RFC 4235 (lines),
RFC 3856 (presence).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from base.clock import Timer
from pbx.sipcore.dialog import Dialog, DialogId
from pbx.sipcore.message import Request, Response
from pbx.sipcore.transactions import Cause, ServerTransaction
from tests.simulation.calling import PROOFS

if TYPE_CHECKING:
    from tests.simulation.phones import SimPhone

Known = dict[str, str]
"""Of a line: its dialogs and their states; of a lamp: the messages; of presence: there or not, on the phone or not."""

_RETRY = 5.0
"""Seconds after which an attempt that came to nothing is made again."""
_VERSION = re.compile(rb'version="(\d+)" state="(full|partial)"')
_DIALOG = re.compile(rb'<dialog id="([^"]+)"[^>]*><state[^>]*>(\w+)</state>')
_VOICE = re.compile(rb"Voice-Message: (\d+/\d+)")
_BASIC = re.compile(rb"<(?:\w+:)?basic>(\w+)</")


@dataclass(frozen=True, slots=True)
class Wish:
    """To watch somebody; `expires`: seconds asked for."""

    event: str
    watched: str
    expires: int


class Subscriber:
    """One wish of one telephone."""

    def __init__(self, phone: SimPhone, wish: Wish) -> None:
        self.phone = phone
        self.wish = wish
        self.known: Known = {}
        self.until = 0.0
        """Until when the server has promised to tell; 0: no promise holds."""
        self.heard = 0
        """NOTIFYs."""
        self.doubted = -1
        """How many had been heard when what they told was found to be untrue: a timer may be just about to tell it."""
        self.dialog: Dialog | None = None
        self._wanted = False
        self._call_id = self._tag = self._teller = ""
        self._last = self._version = -1
        self._timer: Timer | None = None

    def __str__(self) -> str:
        return f"{self.phone.home}, who watches {self.wish.event} of {self.wish.watched},"

    @property
    def id(self) -> DialogId | None:
        """The dialog as the server has it."""
        dialog = self.dialog
        return None if dialog is None else (dialog.call_id, dialog.remote_tag, dialog.local_tag)

    # --- what it asks

    def start(self) -> None:
        """Watch from now on."""
        self._wanted = True
        self._begin()

    def leave(self) -> None:
        """The telephone unsubscribes (RFC 6665 §4.1.2.3)."""
        self._wanted = False
        if self.dialog is not None and self.until:
            self._ask(self._refresh(0), PROOFS)
        else:
            self.stop()

    def stop(self) -> None:
        """The plug is pulled: nothing is asked any more."""
        self._wanted = False
        self._later(0.0, lambda: None)

    def _begin(self) -> None:
        phone = self.phone
        self.until, self.dialog = 0.0, None
        self._forget()
        uri = phone.uri(self.wish.watched)
        request = phone.make("SUBSCRIBE", uri, f"<{uri}>", phone.entropy.token(8))
        request.add("Event", self.wish.event)
        request.add("Expires", str(self.wish.expires))
        self._call_id, self._tag = request.call_id, request.from_tag
        self._ask(request, PROOFS)

    def _forget(self) -> None:
        """Nothing was told in this dialog."""
        self.known, self._teller = {}, ""
        self._last = self._version = -1

    def _refresh(self, expires: int) -> Request:
        assert self.dialog is not None
        request = self.dialog.new_request("SUBSCRIBE")
        request.set("Contact", self.phone.contact)
        request.add("Event", self.wish.event)
        request.add("Expires", str(expires))
        return request

    def _ask(self, request: Request, proofs: int) -> None:
        def answered(response: Response) -> None:
            if response.is_final and request.call_id == self._call_id:
                self._answered(request, response, proofs)

        def failed(cause: Cause) -> None:
            if request.call_id == self._call_id and self._wanted:
                self._later(_RETRY, self._again)

        self.phone.ask(request, answered, failed)

    def _answered(self, request: Request, response: Response, proofs: int) -> None:
        if response.status in (401, 407) and proofs:
            self._ask(self.phone.proved(request, response), proofs - 1)
        elif response.is_success:
            self._promised(request, response)
        elif response.status not in (408, 481, 500, 503):
            self.phone.faults.append(f"SUBSCRIBE to {self.wish.event} got {response.status}")
        elif self._wanted:
            self.until = 0.0
            self._later(_RETRY, self._begin)

    def _promised(self, request: Request, response: Response) -> None:
        seconds = response.number("Expires") or 0
        if self.dialog is None:
            self.dialog = Dialog.uac(request, response)
            if self._teller not in ("", self.dialog.remote_tag):
                self._forget()
        self.until = self.phone.clock.now() + seconds if seconds else 0.0
        if self._wanted:
            self._later(seconds * 0.7, self._again)

    def _again(self) -> None:
        if self.dialog is None or self.phone.clock.now() > self.until:
            self._begin()
        else:
            self._ask(self._refresh(self.wish.expires), 0)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.phone.clock.call_later(seconds, lambda: act() if self._wanted else None)

    # --- what it is told

    def takes(self, request: Request) -> bool:
        return request.call_id == self._call_id and request.to_tag == self._tag

    def notified(self, transaction: ServerTransaction) -> None:
        """A NOTIFY of this subscription; it may come before the 200 (RFC 6665 §4.1.2.4). A server that is killed before
        its 200 may make two of one SUBSCRIBE: like one that was forked, it has one dialog (§5.4.9)."""
        request = transaction.request
        if self.dialog is not None and request.from_tag != self.dialog.remote_tag:
            transaction.reply(481)
            return
        if request.from_tag != self._teller:
            self._forget()
            self._teller = request.from_tag
        if request.get("Event") != self.wish.event or request.cseq.number <= self._last:
            self.phone.faults.append(f"NOTIFY {request.get('Event')} {request.cseq} after {self._last}")
        self._last = request.cseq.number
        self.heard += 1
        if request.body:
            self._learn(request.body)
        transaction.reply(200)
        state = request.get("Subscription-State") or ""
        if state.startswith("terminated"):
            self.until = 0.0
            if self._wanted and "rejected" not in state and "noresource" not in state:
                retry = re.search(r"retry-after=(\d+)", state)
                self._later(1.0 if retry is None else float(retry[1]), self._begin)

    def _learn(self, body: bytes) -> None:
        match self.wish.event:
            case "dialog":
                self._learn_lines(body)
            case "message-summary":
                found = _VOICE.search(body)
                self.known = {"voice": "" if found is None else found[1].decode()}
            case _:
                found = _BASIC.search(body)
                self.known = {
                    "basic": "" if found is None else found[1].decode(),
                    "phone": "on" if b"on-the-phone" in body else "",
                }

    def _learn_lines(self, body: bytes) -> None:
        """RFC 4235 §4.3: a part of it fits only what was told just before."""
        version = _VERSION.search(body)
        if version is None:
            self.phone.faults.append(f"no dialog-info: {body!r}")
            return
        number, whole = int(version[1]), version[2] == b"full"
        if number <= self._version or not (whole or number == self._version + 1):
            self.phone.faults.append(f"dialog-info {number} ({version[2].decode()}) after {self._version}")
        self._version = number
        self.known = {} if whole else self.known
        for line, state in _DIALOG.findall(body):
            if state == b"terminated":
                self.known.pop(line.decode(), None)
            else:
                self.known[line.decode()] = state.decode()
