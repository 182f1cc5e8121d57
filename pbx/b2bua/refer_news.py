"""What becomes of a REFER, told to who sent it: a subscription that nobody asked for, inside the dialog of the call.

Each NOTIFY goes out at once, for the BYE that follows a transfer does not wait. RFC 3515 §2.4.4 (NOTIFY, and SUBSCRIBE
that refreshes or ends it), §2.4.6 (several of one dialog), RFC 4488 (none at all), RFC 6665 §4.2.1, §4.2.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pbx.sipcore.message import REASONS, Request, Response
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.leg import Leg

_LIFETIME = 180
"""Limit: seconds that the news last without a SUBSCRIBE, and at most with one."""

_GONE = (404, 405, 410, 480, 481, 489, 501)
"""Answers to a NOTIFY of a telephone that wants no more (RFC 6665 §4.2.2)."""


class ReferNews:
    """Of the REFERs of one leg's peer."""

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self._first = ""
        self._open: dict[str, Report] = {}

    def begin(self, number: int, *, silent: bool) -> Report:
        """A REFER with that CSeq number was accepted."""
        event = "refer" if not self._first else f"refer;id={number}"
        self._first = self._first or str(number)
        report = Report(self._leg, event, lambda: self._open.pop(str(number), None), silent=silent)
        if not silent:
            self._open[str(number)] = report
        return report

    def subscribe(self, transaction: ServerTransaction) -> None:
        """A SUBSCRIBE for them, in this dialog."""
        request, session = transaction.request, self._leg.session
        report = self._open.get(_id(request) or self._first)
        if report is None or session is None:
            transaction.reply(481)
            return
        said = request.number("Expires")
        seconds = _LIFETIME if said is None else min(said, _LIFETIME)
        session.answer(transaction, 200, Expires=str(seconds))
        report.extend(seconds)


class Report:
    """Of one REFER. `event` is the value of Event; `silent`: RFC 4488, nothing is told."""

    def __init__(self, leg: Leg, event: str, on_end: Callable[[], object], *, silent: bool) -> None:
        self._leg = leg
        self._event = event
        self._on_end = on_end
        self._over = silent
        self._status = 100
        self._until = leg.exchange.clock.now() + _LIFETIME
        self._timer = None if silent else leg.exchange.clock.call_later(_LIFETIME, lambda: self._end("timeout"))

    def __call__(self, status: int, final: bool) -> None:
        """What has become of it by now."""
        self._status = status
        if final:
            self._end("noresource")
        else:
            self._notify(f"active;expires={max(0, round(self._until - self._leg.exchange.clock.now()))}")

    def extend(self, seconds: int) -> None:
        """For so long from here; 0 ends it (RFC 6665 §4.4.3). The state is told in any case (§4.2.1.2)."""
        if self._timer is not None:
            self._timer.cancel()
        if seconds == 0:
            self._end("timeout")
            return
        clock = self._leg.exchange.clock
        self._until = clock.now() + seconds
        self._timer = clock.call_later(seconds, lambda: self._end("timeout"))
        self(self._status, False)

    def _end(self, reason: str) -> None:
        self._notify(f"terminated;reason={reason}")
        self._close()

    def _close(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._on_end()

    def _notify(self, state: str) -> None:
        session = self._leg.session
        if self._over or session is None or self._leg.ended:
            return
        body = f"SIP/2.0 {self._status} {REASONS.get(self._status, 'Failure')}\r\n".encode()
        notify = session.new_request("NOTIFY", body, "message/sipfrag;version=2.0")
        notify.set("Event", self._event)
        notify.set("Subscription-State", state)
        session.request(notify, self)

    def on_response(self, response: Response) -> None:
        if response.status in _GONE:
            self._close()

    def on_failure(self, cause: str) -> None:
        self._close()


def _id(request: Request) -> str:
    """The parameter of Event that names the REFER by its CSeq."""
    for parameter in (request.get("Event") or "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "id":
            return value.strip()
    return ""


def is_about_refer(request: Request) -> bool:
    """Whether a SUBSCRIBE is for the news of a REFER."""
    return request.method == "SUBSCRIBE" and (request.get("Event") or "").partition(";")[0].strip().lower() == "refer"
