"""How the media of a leg are protected, and of two legs together: the stricter of both settings decides. Pure.

    MediaSecurity   off              optional         required
    off             each as it is set                 refused: 488
    optional        each as it is set                 both encrypted
    required        refused: 488     both encrypted   both encrypted

A call for help is never refused for it. What one section does is `pbx.sipcore.section_guard`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pbx.sipcore.section_guard import Circumstances, MediaSecurity, SectionGuard

if TYPE_CHECKING:
    from pbx.b2bua.leg import Leg


class Guards:
    """The guards of one leg's sections. `wish` is its party's setting, `security` what the other party makes of it."""

    def __init__(self, wish: MediaSecurity, circumstances: Callable[[MediaSecurity], Circumstances]) -> None:
        self._circumstances = circumstances
        self._made: dict[int, SectionGuard] = {}
        self.wish = wish
        self.security = wish

    def at(self, place: int) -> SectionGuard:
        """That of the section at this place of the descriptions."""
        guard = self._made.get(place)
        if guard is None:
            guard = self._made[place] = SectionGuard(self._circumstances(self.security))
        return guard

    def require(self) -> None:
        """The other party wants the media encrypted."""
        self.security = MediaSecurity.REQUIRED
        for guard in self._made.values():
            guard.require()


def fits(one: MediaSecurity, other: MediaSecurity) -> bool:
    """Whether two parties may talk at all."""
    return {one, other} != {MediaSecurity.OFF, MediaSecurity.REQUIRED}


def pair(one: Leg, other: Leg) -> bool:
    """The two are to talk to each other: the stricter setting is that of both. False when they do not fit."""
    if one.exempt or other.exempt:
        return True
    wishes = one.media.guards.wish, other.media.guards.wish
    if MediaSecurity.REQUIRED in wishes and fits(*wishes):
        one.media.guards.require()
        other.media.guards.require()
    return fits(*wishes)


def kept(one: Leg, other: Leg) -> bool:
    """Whether the audio of both is as the stricter one wants it."""
    return pair(one, other) and all(
        leg.media.encrypted or leg.media.guards.security is not MediaSecurity.REQUIRED for leg in (one, other)
    )
