"""Client-initiated connections: which contacts ask for them, and what the registrar says about them.

Pure. RFC 5626 §6 (registrar), RFC 3327 §5.1.
"""

from __future__ import annotations

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.uri import NameAddress

FLOW_TIMER = {True: 120, False: 30}
"""Seconds that a telephone should wait at most before it shows a sign of life, over a connection and over UDP."""
_REG_ID_LIMIT = 2**31


def reg_id(request: Request, address: NameAddress) -> int:
    """The number of the flow when this contact asks for outbound, else 0 (RFC 5626 §6: then it is passed over)."""
    text = address.params.get("reg-id") or ""
    if not address.params.get("+sip.instance") or "outbound" not in request.tokens("Supported"):
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < _REG_ID_LIMIT else 0


def lacks_first_hop(request: Request) -> bool:
    """True when a proxy before us does not keep flows: the last Path value is the first hop's (RFC 5626 §6)."""
    paths = request.get_all("Path")
    if not paths:
        return False
    try:
        return "ob" not in NameAddress.parse(paths[-1]).uri.params
    except SipSyntaxError:
        return True


def answer_headers(flow: Flow) -> tuple[tuple[str, str], ...]:
    """What a 200 says when outbound is used (RFC 5626 §6)."""
    return ("Require", "outbound"), ("Flow-Timer", str(FLOW_TIMER[flow.reliable]))
