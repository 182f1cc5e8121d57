"""Two parties who talk to each other, and those who hear them: the recorder, and listeners who are allowed to.

Whoever joins the two, a bridge or a program, says so each time by `joined`, and `parted` when it is over. What a party
types or asks of the server in the middle of the call comes here as well.

    *1                     recording on, or off again (conventions §4.2)
    INFO, Record: on|off   the same

Interop: that INFO is what telephones of Snom, Yealink and Polycom send when their record key is pressed; no standard
has it. Not here: the relay, and whom a transfer brings in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pbx.b2bua.audience import Audience
from pbx.b2bua.bodies import info_digit
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg
from pbx.b2bua.recording import CallRecorder
from pbx.sipcore.message import Request

if TYPE_CHECKING:
    from pbx.b2bua.call import Call

RECORD_KEYS = "*1"
_PATIENCE = 3.0
"""Limit: seconds between the keys of a code."""


class Talk:
    """`calls` are those whose records tell what happens, that of the caller first; `sides` who talks now, he first."""

    def __init__(self, exchange: Exchange, calls: Callable[[], Sequence[Call]]) -> None:
        self.exchange = exchange
        self._calls = calls
        self.sides: tuple[Leg, Leg] | None = None
        self.recorder = CallRecorder(self)
        self.audience = Audience(self)
        self._typed: dict[Leg, tuple[str, float]] = {}

    @property
    def calls(self) -> Sequence[Call]:
        return self._calls()

    def joined(self, near: Leg, far: Leg) -> None:
        """These two hear each other from here on."""
        self.sides = (near, far)
        self._typed.clear()
        self.exchange.talks[self] = None
        self.recorder.changed()
        self.audience.changed()

    def parted(self) -> None:
        if self.sides is None:
            return
        self.sides = None
        self.exchange.talks.pop(self, None)
        self.recorder.over()
        self.audience.over()

    def note(self, what: str, about: str = "") -> None:
        """Something that belongs into the records of the calls."""
        for call in self.calls:
            call.note(what, about)

    # --- what the parties do

    def typed(self, leg: Leg, digit: str) -> None:
        """A key, which the other party is told as well: nobody knows yet whether it begins a code."""
        now = self.exchange.clock.now()
        before, at = self._typed.pop(leg, ("", 0.0))
        if before + digit == RECORD_KEYS and now - at <= _PATIENCE:
            self.recorder.ask(leg, None)
        elif RECORD_KEYS.startswith(digit):
            self._typed[leg] = (digit, now)

    def asked(self, leg: Leg, request: Request) -> int:
        """The status of an INFO that asks for a recording; 0 when a request is about something else. A key that an
        INFO tells is taken, and is for the other party as well."""
        if request.method != "INFO":
            return 0
        if digit := info_digit(request):
            self.typed(leg, digit)
        match (request.get("Record") or "").strip().lower():
            case "on":
                return self.recorder.ask(leg, True)
            case "off":
                return self.recorder.ask(leg, False)
            case _:
                return 0
