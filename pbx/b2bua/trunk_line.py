"""What calls ask of trunks (`pbx.trunk` implements it)."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from directory.model import ForeignRoute, Route
from pbx.mediaproxy.cadence import Cadence
from pbx.sipcore.proving import Prover
from pbx.sipcore.uri import Uri


class Identity(Protocol):
    """What the administrator says of a trunk, as far as calls need it."""

    @property
    def name(self) -> str: ...

    @property
    def domain(self) -> str: ...

    @property
    def identity(self) -> Uri:
        """Our address at the provider."""

    @property
    def next_hop(self) -> Uri:
        """Where requests go."""

    @property
    def shows(self) -> str:
        """Whose number callees see: `line` or `caller`."""

    @property
    def supervision(self) -> str:
        """`key`: who is rung by it beside or instead of others must press one; else `none`."""

    @property
    def recording(self) -> str:
        """`always`: calls by it are recorded."""

    @property
    def disconnect_tones(self) -> tuple[Cadence, ...]:
        """What its line brings when the other party has gone."""

    def number(self, dialled: str) -> str:
        """A number as the provider wants it."""


class TrunkLine(Protocol):
    """A trunk in use."""

    @property
    def trunk(self) -> Identity: ...

    @property
    def up(self) -> bool:
        """Whether calls may be tried by it; those for help may always."""

    @property
    def sound(self) -> bool:
        """Whether it is up, and answers as far as is known."""

    @property
    def routes(self) -> tuple[str, ...]:
        """Route values for requests by it (RFC 3608 §5)."""

    def credentials(self) -> Prover:
        """For one call."""

    def doubt(self) -> None:
        """A call by it got no answer at all."""


class TrunkLines(Protocol):
    """All trunks."""

    def leading_to(self, domain: str) -> TrunkLine | None:
        """The trunk that an address of another domain leaves by, if any."""


class NoTrunks:
    """A server without trunks."""

    def leading_to(self, domain: str) -> TrunkLine | None:
        return None


def leaves_by_trunk(trunks: TrunkLines, route: Route) -> bool:
    """Whether a call may leave by a trunk where this leads."""
    return isinstance(route, ForeignRoute) and any(_line(trunks, way) is not None for way in _ways(route))


def best_way(trunks: TrunkLines, route: ForeignRoute) -> ForeignRoute:
    """The ways out of a route in their order, those by trunks that are down after the rest; what does not lead out
    comes last."""
    first, *others = sorted(_ways(route), key=lambda way: _rank(trunks, way))
    return first.then(tuple(others)) if isinstance(first, ForeignRoute) else route


def _ways(route: ForeignRoute) -> tuple[Route, ...]:
    return (replace(route, others=()), *route.others)


def _line(trunks: TrunkLines, way: Route) -> TrunkLine | None:
    return trunks.leading_to(way.address.domain) if isinstance(way, ForeignRoute) else None


def _rank(trunks: TrunkLines, way: Route) -> int:
    if not isinstance(way, ForeignRoute):
        return 2
    line = _line(trunks, way)
    return 0 if line is None or line.sound else 1
