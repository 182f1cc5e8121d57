"""Where an address leads, in words for people."""

from __future__ import annotations

from directory.model import (
    AccountRoute,
    Address,
    ForeignRoute,
    GroupRoute,
    NullRoute,
    ProgramRoute,
    Ring,
    RingOrder,
    Route,
    UnknownRoute,
)


def describe(route: Route) -> tuple[str, str]:
    """A kind for programs and words for people."""
    match route:
        case AccountRoute(account, services):
            return "account", account.address if services else f"{account.address} (without its rules)"
        case ProgramRoute(program, parameters, account):
            inside = f"{{{','.join(parameters)}}}" if parameters else ""
            return "program", f"{program}{inside}#{account.address}"
        case GroupRoute(name, members, ring, _):
            return "group", f"{name}: {', '.join(map(str, members))}{_rung(ring)}"
        case ForeignRoute(Address() as address, others=others):
            return "foreign", ", else ".join((str(address), *(describe(other)[1] for other in others)))
        case UnknownRoute(Address() as address):
            return "unknown", str(address)
        case NullRoute(Address() as address):
            return "null", f"{address} (taken, and thrown away)"


def _rung(ring: Ring) -> str:
    """Nothing for a group that rings as groups do."""
    ways = {
        RingOrder.ALL: "",
        RingOrder.JOIN: f", one more after each {ring.step} s",
        RingOrder.HUNT: f", one after the other, {ring.step} s each",
    }
    return ways[ring.order] + (f", then {ring.then}" if ring.then else "")
