"""The Record-Route that proves a dialog was set up through us and says between which two flows. Pure, stateless.

A user part of our own: the two flows in base64url, a dot, and an HMAC over them, the Call-ID and the caller's tag. A
forged or borrowed Route does not verify, and a restart with the same key keeps dialogs alive.

RFC 3261 §16.6 step 4 (Record-Route), RFC 5626 §5.2 (flow tokens); decision 4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.uri import NameAddress, Uri

_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Ends:
    """The flow of who called and the flow of who was called."""

    caller: Flow
    callee: Flow


class RouteSeal:
    """Makes and opens sealed Route users."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.new(key, b"record-route", hashlib.sha256).digest()  # a key is used for one thing only

    def make(self, ends: Ends, request: Request) -> str:
        """The user part for the Record-Route of a request that makes a dialog."""
        text = json.dumps([_packed(ends.caller), _packed(ends.callee)], separators=(",", ":"))
        packed = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return f"{packed}.{self._seal(packed, request.call_id, request.from_tag)}"

    def open(self, user: str, request: Request) -> Flow | None:
        """The flow toward the other end of the dialog that this in-dialog request belongs to; None when not ours."""
        packed, dot, seal = user.partition(".")
        if not dot or len(user) > _LONGEST:
            return None
        from_caller = hmac.compare_digest(self._seal(packed, request.call_id, request.from_tag).encode(), seal.encode())
        from_callee = hmac.compare_digest(self._seal(packed, request.call_id, request.to_tag).encode(), seal.encode())
        if not (from_caller or from_callee):
            return None
        ends = _unpacked(packed)
        if ends is None:
            return None
        return ends.callee if from_caller else ends.caller

    def _seal(self, packed: str, call_id: str, tag: str) -> str:
        data = "\0".join((packed, call_id, tag)).encode()
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:32]


def first_route(request: Request) -> Uri | None:
    """The first Route of a request that passed `screen`."""
    routes = request.get_all("Route")
    return NameAddress.parse(routes[0]).uri if routes else None


def _packed(flow: Flow) -> list[str | int]:
    return [flow.transport, *flow.local, *flow.remote, flow.connection]


def _unpacked(packed: str) -> Ends | None:
    """Only after the seal held; what does not fit is then our own older format."""
    try:
        pair = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        flows = [Flow(t, (lh, int(lp)), (rh, int(rp)), int(c)) for t, lh, lp, rh, rp, c in pair]
        caller, callee = flows
    except (binascii.Error, ValueError, TypeError):
        return None
    return Ends(caller, callee)
