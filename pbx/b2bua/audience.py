"""Those who listen to two who talk: each hears the sum of both, and is heard by whom he speaks to.

The two hear each other by the relay as always; only who hears a listener as well gets a sum instead. Not here: who may
listen (`monitoring`), the sums (`pbx.mediaproxy.studio`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pbx.b2bua.leg import Leg
from pbx.b2bua.translations import TRANSLATED
from pbx.mediaproxy.engine import MediaStream

if TYPE_CHECKING:
    from pbx.b2bua.talk import Talk


class Listener(Protocol):
    """One of them."""

    @property
    def stream(self) -> MediaStream | None: ...

    def speaks_to(self, leg: Leg) -> bool:
        """Whether that party is to hear him."""

    def over(self) -> None:
        """There is nobody to listen to any more."""


class Audience:
    """Of one talk."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._listeners: list[Listener] = []
        self._hearing: set[Leg] = set()
        """The parties that hear a listener."""

    def let_in(self, listener: Listener) -> None:
        self._listeners.append(listener)
        self.changed()

    def let_out(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
            self.changed()

    def changed(self) -> None:
        """The two are others, or a listener speaks to somebody else."""
        sides = self._talk.sides
        if sides is None:
            return
        voices = [leg.stream for leg in sides if leg.stream is not None]
        for listener in self._listeners:
            if listener.stream is not None:
                listener.stream.mix(voices)
        near, far = sides
        self._let_hear(near, far)
        self._let_hear(far, near)

    def _let_hear(self, leg: Leg, other: Leg) -> None:
        speaking = [one.stream for one in self._listeners if one.speaks_to(leg) and one.stream is not None]
        if speaking and leg.codec in TRANSLATED and other.stream is not None:
            self._hearing.add(leg)
            self._mix(leg, [other.stream, *speaking])
        elif leg in self._hearing:
            self._hearing.remove(leg)
            self._mix(leg, [])

    @staticmethod
    def _mix(leg: Leg, streams: Sequence[MediaStream]) -> None:
        if leg.stream is not None:
            leg.stream.mix(streams)

    def over(self) -> None:
        """The two have parted."""
        for leg in self._hearing:
            self._mix(leg, [])
        self._hearing.clear()
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.over()
