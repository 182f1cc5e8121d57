"""Proxy or B2BUA: chosen once per Signal, before its first branch, by this one function (decision 3)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from directory.model import AccountRoute, Caller, ForeignRoute, GroupRoute, NullRoute, ProgramRoute, Route, UnknownRoute


class WayKind(enum.Enum):
    """PROXY: one dialog from end to end. B2BUA: a dialog per leg."""

    PROXY = "proxy"
    B2BUA = "b2bua"


@dataclass(frozen=True, slots=True)
class Way:
    """The choice and its reason, for the log."""

    kind: WayKind
    reason: str


def choose(
    method: str,
    caller: Caller,
    route: Route,
    features: bool,
    *,
    trunk: bool = False,
    unlike: bool = False,
    limited: bool = False,
) -> Way:
    """`features`: the account that is called (for an outgoing call: that calls) has server-side call features on;
    `trunk`: the address leaves by one; `unlike`: a browser is on one side, and something else on the
    other; `limited`: a call out must be cut after some time."""
    if method != "INVITE":
        return Way(WayKind.PROXY, "not a call")
    if caller.private:
        return Way(WayKind.B2BUA, "privacy is asked for")  # RFC 3323 §5: what a proxy may not change tells of him
    match route:
        case ProgramRoute():
            return Way(WayKind.B2BUA, "a program answers")
        case GroupRoute() | UnknownRoute() | NullRoute():
            return Way(WayKind.B2BUA, "served here")
        case AccountRoute() if features:
            return Way(WayKind.B2BUA, "call features are on")
        case AccountRoute() | ForeignRoute() if unlike:
            return Way(WayKind.B2BUA, "a browser takes no plain media")
        case AccountRoute():
            return Way(WayKind.PROXY, "call features are off")
        case ForeignRoute() if trunk:
            return Way(WayKind.B2BUA, "a trunk has a login of its own")
        case ForeignRoute() if route.emergency:
            return Way(WayKind.B2BUA, "a call for help is watched over")
        case ForeignRoute() if caller.account is not None and features:
            return Way(WayKind.B2BUA, "call features of the caller are on")
        case ForeignRoute() if limited:
            return Way(WayKind.B2BUA, "its length is limited")
        case ForeignRoute():
            return Way(WayKind.PROXY, "transit")
