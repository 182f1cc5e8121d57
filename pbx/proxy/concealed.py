"""A MESSAGE whose sender wants privacy, as others see it. Pure.

What could tell of him is taken out or made up, and put back on the responses. Max-Forwards and our own Via still end
loops. RFC 3323 §4.1 (anonymous From), §5.1 (Via), §5.3 (headers, Call-ID); RFC 3325 §7.
"""

from __future__ import annotations

import hashlib

from pbx.b2bua.asserted import ANONYMOUS, REVEALING, wants_privacy
from pbx.sipcore.message import Request, Response

_TAKEN_OUT = (
    *("Via", "Privacy", "P-Asserted-Identity", "P-Preferred-Identity", "User-Agent", "Reply-To", "In-Reply-To"),
    *sorted(REVEALING),
)


def is_concealed(request: Request) -> bool:
    return request.method == "MESSAGE" and wants_privacy(request)


def conceal(request: Request) -> None:
    """Call-IDs often hold the address of a telephone; the made up one is always the same, as repetitions show by it."""
    call_id, tag = request.call_id, request.from_tag
    for name in _TAKEN_OUT:
        request.remove(name)
    request.set("From", f"{ANONYMOUS};tag={tag}" if tag else ANONYMOUS)
    request.set("Call-ID", hashlib.sha256(call_id.encode()).hexdigest()[:32])


def reveal(response: Response, original: Request) -> None:
    """A response as the sender expects it."""
    for name in ("From", "Call-ID"):
        response.set(name, original.get(name) or "")
