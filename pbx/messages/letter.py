"""One MESSAGE as we carry it: what goes on to a phone, whether it may wait, and how long. Pure.

RFC 3428 §4 (no Contact; Expires, Date), RFC 3261 §16.6 (what a request sheds on its way), RFC 3994 (is-composing).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from pbx.proxy.concealed import conceal, is_concealed
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Request
from pbx.sipcore.parser import parse

LARGEST = 64 * 1024
"""Limit: octets of the body of a MESSAGE."""
LONGEST = 7 * 86_400
"""Limit: seconds that a message waits for a phone, whatever its sender asks."""

_SHED = (
    *("Route", "Record-Route", "Contact", "Authorization", "Proxy-Authorization"),
    *("P-Asserted-Identity", "P-Preferred-Identity"),  # RFC 3325 §5: telephones are not in the trust domain
)
_PASSING = frozenset({"application/im-iscomposing+xml"})
"""Kinds that mean something at once or never."""


@dataclass(frozen=True, slots=True)
class Letter:
    """`octets` is the request, with a Via that says nothing. Times are wall seconds; `id` is 0 before it is stored."""

    octets: bytes
    arrived: float
    expires_at: float
    id: int = 0


def prepare(request: Request, now: float) -> Request:
    """The request as it goes on, with the Vias of its way so far: loops show by them.

    Call-ID, CSeq and tags stay, so that a phone knows what it has seen already. Who wants privacy is nobody.
    """
    copy = request.copy()
    if is_concealed(request):
        conceal(copy)
    for name in _SHED:
        copy.remove(name)
    left = request.number("Max-Forwards")
    copy.set("Max-Forwards", str(70 if left is None else max(0, min(left, 70) - 1)))
    if not copy.has("Date"):
        copy.add("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now)))
    return copy


def may_wait(request: Request) -> bool:
    """RFC 3428 §4: Expires 0 is for now only; so is the news that somebody types."""
    kind = (request.get("Content-Type") or "").partition(";")[0].strip().lower()
    return kind not in _PASSING and request.number("Expires") != 0


def letter(request: Request, now: float) -> Letter:
    """The letter to store, of a request from `prepare`."""
    seconds = request.number("Expires")
    whole = request.copy()
    whole.remove("Via")  # it was answered; from here on it is our own
    whole.insert_first("Via", "SIP/2.0/UDP stored.invalid;branch=z9hG4bK0")
    return Letter(whole.encode(), now, now + min(LONGEST if seconds is None else seconds, LONGEST))


def opened(kept: Letter) -> Request | None:
    """The request of a stored letter; None when it cannot be read, as after damage to the database."""
    try:
        request = parse(kept.octets)
    except SipSyntaxError:
        return None
    request.remove("Via")
    return request if isinstance(request, Request) else None
