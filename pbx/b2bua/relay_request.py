"""Requests inside a call that pass from one party to the other and back: INFO, MESSAGE and NOTIFY, body untouched.

RFC 6086 (INFO), RFC 3428 (MESSAGE). Interop: some telephones send NOTIFY without a subscription inside a call
(`Event: talk`, `hold`); what it means is between the two.
"""

from __future__ import annotations

from pbx.b2bua.leg import Leg
from pbx.sipcore.message import Response
from pbx.sipcore.questions import Unheard
from pbx.sipcore.session_ports import ALLOW
from pbx.sipcore.transactions import ServerTransaction

_PASSING = frozenset({"INFO", "MESSAGE", "NOTIFY"})
_TELLING = ("Info-Package", "Event", "Subscription-State", "Content-Disposition", "Content-Language")
_DURATION = 160  # milliseconds


def pass_on(leg: Leg, other: Leg, transaction: ServerTransaction) -> None:
    """Carry a request to the other party; what cannot pass is refused."""
    request = transaction.request
    if request.method not in _PASSING:
        transaction.reply(405, headers=(("Allow", ALLOW),))
    elif other.session is None or leg.session is None:
        transaction.reply(480)
    else:
        twin = other.session.new_request(request.method, request.body, request.get("Content-Type") or "")
        for name in _TELLING:
            twin.copy_from(request, name)
        other.session.request(twin, _Return(leg, transaction))


def tell_digit(leg: Leg, digit: str) -> None:
    """One key as INFO, whether it is taken or not. Interop: no standard; `application/dtmf-relay` is what telephones
    and gateways read."""
    if leg.session is not None:
        body = f"Signal={digit}\r\nDuration={_DURATION}\r\n".encode()
        leg.session.request(leg.session.new_request("INFO", body, "application/dtmf-relay"), Unheard())


class _Return:
    """Takes the answer back."""

    def __init__(self, leg: Leg, transaction: ServerTransaction) -> None:
        self._leg = leg
        self._transaction = transaction

    def on_response(self, response: Response) -> None:
        if response.is_final and not self._transaction.is_answered:
            if response.status == 503:  # RFC 3261 §16.7 step 6: the other party's trouble is not ours
                self._transaction.reply(500)
            else:
                self._transaction.reply(response.status, response.reason)

    def on_failure(self, cause: str) -> None:
        if not self._transaction.is_answered:
            self._transaction.reply(408 if cause == "timeout" else 500)
