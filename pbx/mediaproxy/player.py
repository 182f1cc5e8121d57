"""What a stream plays: clips of samples, once, looped or for so many seconds. Machines, fed by the beat.

A clip is kept encoded in both laws, so that playing is cutting octets. Not here: reading files (`clips`).
"""

from __future__ import annotations

import numpy as np

from pbx.mediaproxy import g711
from pbx.mediaproxy.g711 import Law, Samples

RATE = 8000


class Clip:
    """Samples in both laws; the second law is made when it is first asked for."""

    __slots__ = ("_coded", "_samples")

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._coded: dict[Law, bytes] = {}

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def octets(self) -> int:
        """Memory taken, both laws counted."""
        return 4 * len(self._samples)

    def coded(self, law: Law) -> bytes:
        found = self._coded.get(law)
        if found is None:
            found = self._coded[law] = g711.encode(self._samples, law)
        return found


def tone(frequency: float, second: float = 0.0) -> Clip:
    """One second of a sine, or of two: whole hertz, so that it loops without a click. 0 is silence."""
    time = np.arange(RATE) / RATE
    parts = [np.sin(2 * np.pi * round(hertz) * time) for hertz in (frequency, second) if 0 < hertz < RATE / 2]
    sound = sum(parts, np.zeros(RATE)) * (10000 / max(1, len(parts)))
    return Clip(np.rint(sound).astype(np.int16))


class Player:
    """One play. It waits in silence until its clip is there."""

    __slots__ = ("_clip", "_left", "_position", "_seconds", "ended", "number")

    def __init__(self, number: int, seconds: float | None, offset: float = 0.0) -> None:
        self.number = number
        self.ended = False
        self._seconds = seconds
        self._position = max(0, round(offset * RATE))
        self._left: int | None = None  # samples; None: for ever
        self._clip: Clip | None = None

    def load(self, clip: Clip | None) -> None:
        """The clip is there; None: it cannot be read, and the play is over."""
        if clip is None or not len(clip):
            self.ended = True
            return
        self._clip = clip
        if self._seconds is None:
            self._left = len(clip) - self._position
        else:
            self._left = None if self._seconds < 0 else round(self._seconds * RATE)
            self._position %= len(clip)
        self.ended = self._left is not None and self._left <= 0

    def take(self, law: Law, count: int = 160) -> bytes:
        """The next octets; the last ones are filled up with silence, and `ended` is set."""
        clip = self._clip
        if clip is None or self.ended:
            return bytes([law.silence]) * count
        wanted = count if self._left is None else min(count, self._left)
        coded = clip.coded(law)
        octets = coded[self._position : self._position + wanted]
        self._position += wanted
        while len(octets) < wanted:  # the loop begins anew
            octets += coded[: wanted - len(octets)]
        self._position %= len(coded)
        if self._left is not None:
            self._left -= wanted
            self.ended = self._left <= 0
        return octets if wanted == count else octets + bytes([law.silence]) * (count - wanted)
