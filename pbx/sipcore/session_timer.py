"""The session timer of one dialog: who refreshes it and when, and when its peer counts as dead. Pure. RFC 4028.

It runs only when the peer takes part. How a refresh is sent is the session's business. It is no watch over media;
`pbx.b2bua.silence` is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from base.clock import Clock, Timer
from pbx.sipcore.message import Message, Request, Response

SMALLEST = 90
"""RFC 4028 §4: no interval is shorter."""

_LONGEST = 86_400
"""Limit: seconds; a longer interval of a peer is taken for this one."""

_PAUSE = 5.0
"""Seconds until a refused refresh is tried again."""

_METHODS = ("INVITE", "UPDATE")


@dataclass(frozen=True, slots=True)
class Expires:
    """A Session-Expires value (RFC 4028 §4). `refresher` is "uac", "uas", or "" when it is left open."""

    seconds: int
    refresher: str = ""

    @classmethod
    def of(cls, message: Message) -> Expires | None:
        """That of a message; None when it has none, or a malformed one."""
        said = message.get("Session-Expires")
        if said is None:
            return None
        number, *params = (part.strip() for part in said.split(";"))
        if not (number.isascii() and number.isdigit()) or len(number) > 10:
            return None
        names = [param.lower().replace(" ", "") for param in params]
        refresher = next((side for side in ("uac", "uas") if f"refresher={side}" in names), "")
        return cls(min(int(number), _LONGEST), refresher)

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def too_small(request: Request) -> bool:
    """Whether a request is to be refused with 422 and our Min-SE (RFC 4028 §9); one whose sender does not know
    timers got its interval from a proxy and is not refused."""
    asked = Expires.of(request)
    return asked is not None and asked.seconds < SMALLEST and "timer" in request.tokens("Supported")


def ask(request: Request, seconds: int, smallest: int, refresher: str = "") -> None:
    """Complete a request of ours that may refresh (RFC 4028 §7.1); with 0 seconds we only say that we know timers,
    below that not even so."""
    if seconds < 0:
        return
    if "timer" not in request.tokens("Supported"):
        request.add("Supported", "timer")
    if seconds > 0:
        request.set("Session-Expires", str(Expires(max(seconds, smallest), refresher)))
        request.set("Min-SE", str(smallest))


def longer(response: Response, smallest: int) -> int | None:
    """The Min-SE of a 422 that is worth another try (RFC 4028 §7.3)."""
    least = response.number("Min-SE") if response.status == 422 else None
    return least if least is not None and smallest < least <= _LONGEST else None


class SessionTimer:
    """Told of all INVITEs and UPDATEs of a dialog and of their 2xx. `seconds`: what we ask for; 0: we ask nothing."""

    def __init__(self, clock: Clock, seconds: int, refresh: Callable[[], None], expired: Callable[[], None]) -> None:
        self._clock = clock
        self._wanted = seconds
        self._refresh = refresh
        self._expired = expired
        self._timers: list[Timer] = []
        self._stopped = False
        self._by_us = False
        self.seconds = 0
        """The interval that was agreed on; 0 while there is none."""
        self.smallest = SMALLEST

    def ask(self, request: Request) -> None:
        """Complete a request of ours that may refresh (RFC 4028 §7.1, §7.4)."""
        refresher = "" if not self.seconds else "uac" if self._by_us else "uas"
        ask(request, self._wanted and (self.seconds or self._wanted), self.smallest, refresher)

    def answered(self, response: Response) -> None:
        """A 2xx to a request of ours: it decides (RFC 4028 §7.2)."""
        agreed = Expires.of(response)
        if agreed is None:
            self._arm(0, by_us=False)
        else:
            self._arm(agreed.seconds, by_us=agreed.refresher != "uas")

    def answer(self, request: Request, response: Response) -> None:
        """Complete a 2xx of ours to a request that may refresh (RFC 4028 §9)."""
        if request.method not in _METHODS or not response.is_success:
            return
        asked = Expires.of(request)
        known = "timer" in request.tokens("Supported")
        if self._wanted <= 0 or (asked is None and not known):
            self._arm(0, by_us=False)
            return
        least = max(SMALLEST, request.number("Min-SE") or 0)
        seconds = max(least, self._wanted if asked is None else min(asked.seconds, self._wanted))
        # RFC 4028 §9, table 2: a UAC without support never refreshes; the choice of the UAC is kept.
        refresher = "uas" if not known else (asked.refresher if asked is not None else "") or "uas"
        response.set("Session-Expires", str(Expires(min(seconds, _LONGEST), refresher)))
        if "timer" not in response.tokens("Supported"):
            response.add("Supported", "timer")
        if refresher == "uac":
            response.set("Require", "timer")
        self._arm(min(seconds, _LONGEST), by_us=refresher == "uas")

    def again(self) -> None:
        """A refresh was refused: try once more, soon."""
        if not self._stopped:
            self._timers.append(self._clock.call_later(_PAUSE, self._refresh))

    def stop(self) -> None:
        """The dialog is over."""
        self._stopped = True
        self._quiet()

    def _arm(self, seconds: int, *, by_us: bool) -> None:
        self._quiet()
        self._by_us = by_us
        self.seconds = seconds = max(seconds, SMALLEST) if seconds else 0
        if not seconds or self._stopped:
            return
        # RFC 4028 §10: refreshed at half of the interval; BYE the lesser of 32 s and a third before its end.
        end = seconds - min(32.0, seconds / 3)
        self._timers = [self._clock.call_later(end, self._expired)]
        if by_us:
            self._timers.append(self._clock.call_later(seconds / 2, self._refresh))

    def _quiet(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
