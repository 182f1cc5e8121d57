"""What calls ask of trunks (`pbx.trunk` implements it)."""

from __future__ import annotations

from typing import Protocol

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

    def number(self, dialled: str) -> str:
        """A number as the provider wants it."""


class TrunkLine(Protocol):
    """A trunk in use."""

    @property
    def trunk(self) -> Identity: ...

    @property
    def up(self) -> bool:
        """Whether calls may be tried by it."""

    @property
    def routes(self) -> tuple[str, ...]:
        """Route values for requests by it (RFC 3608 §5)."""

    def credentials(self) -> Prover:
        """For one call."""


class TrunkLines(Protocol):
    """All trunks."""

    def leading_to(self, domain: str) -> TrunkLine | None:
        """The trunk that an address of another domain leaves by, if any."""


class NoTrunks:
    """A server without trunks."""

    def leading_to(self, domain: str) -> TrunkLine | None:
        return None
