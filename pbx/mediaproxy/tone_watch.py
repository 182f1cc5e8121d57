"""Does a line bring the tone that an exchange plays when the other party has gone? A machine, fed at the beat of 20 ms.

Analog lines know no hanging up: what comes is the busy tone. A frame is of a tone when nearly all of its energy lies at
the tone's frequencies (their Goertzel sums, taken together as a projection); sound and silence must keep to the tone's
times over two periods and two seconds. So speech and music, whose frames are at times as pure, are none.

Not here: what the tones of a country are (`pbx.trunk.tones`), nor what follows.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pbx.mediaproxy.cadence import Cadence
from pbx.mediaproxy.g711 import Samples
from pbx.mediaproxy.jitter import FRAME

_RATE = 8000
_BEAT_MS = 20
_PURE = 0.65  # of the energy of a frame: as much is left by ±2 % of the frequencies with noise 10 dB below
_EACH = 0.08  # of it for each of several frequencies
_FAINTEST = -45.0  # dB of full scale
_DROP = 8.0  # dB from a tone to what counts as its silence
_LEAST_MS = 2000
_SLACK = 2.2  # beats by which a turn may be too short or too long, or
_STRETCH = 0.12  # this part of it
_LOST = 3  # frames that may be missing within a turn
_ROUGH = 3  # frames in a row, neither tone nor silence, that break a tone off


class _Frame(enum.Enum):
    TONE = "tone"
    QUIET = "quiet"
    OTHER = "other"


class ToneWatch:
    """For one stream, and a few cadences."""

    def __init__(self, cadences: Iterable[Cadence]) -> None:
        by_sound: dict[tuple[int, ...], list[Cadence]] = {}
        for cadence in cadences:
            by_sound.setdefault(cadence.frequencies, []).append(cadence)
        self._sounds = [_Sound(frequencies, found) for frequencies, found in by_sound.items()]

    def hear(self, samples: Samples | None, level: float) -> bool:
        """One frame (None: it was lost) and its level in dB of full scale. True: that is the tone, without a doubt."""
        found = [sound.hear(samples, level) for sound in self._sounds]  # all are told
        return any(found)

    @property
    def suspected(self) -> int:
        """How many of the last beats may be such a tone."""
        return max((sound.suspected for sound in self._sounds), default=0)


class _Sound:
    """One set of frequencies, and the cadences in which it may come."""

    def __init__(self, frequencies: Sequence[int], cadences: Sequence[Cadence]) -> None:
        self._basis = _basis(frequencies)
        self._turns = _Turns([tuple(time / _BEAT_MS for time in cadence.times) for cadence in cadences])
        self._level = 0.0
        self._missing = 0

    @property
    def suspected(self) -> int:
        return self._turns.beats

    def hear(self, samples: Samples | None, level: float) -> bool:
        if samples is None:
            self._missing += 1
            if self._missing <= _LOST:
                self._turns.same()
                return False
            return self._turns.take(_Frame.QUIET)
        self._missing = 0
        return self._turns.take(self._kind(samples, level))

    def _kind(self, samples: Samples, level: float) -> _Frame:
        if level > _FAINTEST and self._pure(samples):
            self._level = level
            return _Frame.TONE
        return _Frame.QUIET if level < max(_FAINTEST, self._level - _DROP) else _Frame.OTHER

    def _pure(self, samples: Samples) -> bool:
        sound = samples.astype(np.float64)
        energy = float(sound @ sound)
        shares = ((self._basis @ sound) ** 2).reshape(-1, 2).sum(axis=1) / energy
        return bool(shares.sum() >= _PURE and shares.min() >= _EACH)


def _basis(frequencies: Sequence[int]) -> npt.NDArray[np.float64]:
    """Rows at right angles, two for each frequency: what is at them is the length of a frame's projection."""
    angles = 2 * math.pi * np.outer(frequencies, np.arange(FRAME)) / _RATE
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).reshape(-1, FRAME)
    return np.linalg.qr(rows.T)[0].T


class _Turns:
    """Sound and silence in turn, measured in beats, and compared with the cadences. A frame in between, in which a turn
    begins, is half of each."""

    def __init__(self, cadences: Sequence[tuple[float, ...]]) -> None:
        self._cadences = cadences
        self._longest = max(max(times) for times in cadences)
        self._done: list[float] = []  # from a sound on, as long as they keep to a cadence
        self._kind = _Frame.QUIET
        self._length = 0.0
        self._rough = 0
        self.beats = 0
        """Since that sound began; 0 when nothing is suspected."""

    def same(self) -> None:
        """A frame was lost: it is taken for what was there before."""
        if self._kind is _Frame.TONE or self._done:
            self._length += 1
            self.beats += 1

    def take(self, kind: _Frame) -> bool:
        self.beats += 1
        if kind is _Frame.OTHER:
            self._rough += 1
            if self._rough >= _ROUGH:
                self._forget(_Frame.QUIET)
            return False
        rough, self._rough = self._rough, 0
        if kind is self._kind:
            self._length += rough + 1
            return self._too_long()
        return self._turn(kind, self._length + rough / 2, 1 + rough / 2)

    def _too_long(self) -> bool:
        if not _fits(self._length, self._longest) and self._length > self._longest:
            self._forget(self._kind)
        elif not self._done and self._kind is _Frame.QUIET:
            self.beats = 0
        return False

    def _forget(self, kind: _Frame) -> None:
        """Nothing of this is the tone."""
        self._done.clear()
        self._kind, self._length, self._rough, self.beats = kind, math.inf if kind is _Frame.TONE else 0.0, 0, 0

    def _turn(self, kind: _Frame, before: float, begun: float) -> bool:
        """The other turn begins: true when all before it keeps to a cadence for long enough."""
        ended, self._kind, self._length = self._kind, kind, begun
        if self._done or ended is _Frame.TONE:
            self._done.append(before)
        while self._done and not any(_kept(self._done, times) for times in self._cadences):
            del self._done[:2]
        self.beats = math.ceil(sum(self._done) + begun) if self._done or kind is _Frame.TONE else 0
        return kind is _Frame.TONE and any(_is_enough(self._done, times) for times in self._cadences)


def _fits(length: float, wanted: float) -> bool:
    return abs(length - wanted) <= max(_SLACK, _STRETCH * wanted)


def _kept(turns: Sequence[float], times: tuple[float, ...]) -> bool:
    return any(_from(turns, times, first) for first in range(0, len(times), 2))


def _from(turns: Sequence[float], times: tuple[float, ...], first: int) -> bool:
    """Whether they are the turns of a cadence from that one on; the first sound may have been cut by the line."""
    wanted = [times[(first + at) % len(times)] for at in range(len(turns))]
    return all(
        _fits(turn, want) or (at == 0 and turn < want)
        for at, (turn, want) in enumerate(zip(turns, wanted, strict=True))
    )


def _is_enough(turns: Sequence[float], times: tuple[float, ...]) -> bool:
    """Two periods and two seconds, or more, without a first sound that was cut."""
    periods = max(2, math.ceil(_LEAST_MS / _BEAT_MS / sum(times)))
    return any(
        _from(turns, times, first) and len(turns) - 2 * (not _fits(turns[0], times[first])) >= periods * len(times)
        for first in range(0, len(times), 2)
        if turns
    )
