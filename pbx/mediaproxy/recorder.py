"""What is kept of streams at the beat: recordings of one party, and tapes of two, one on each side of a stereo sound.

Samples are handed over in pieces of half a second. Not here: decoding (`hearing`), files (`spool`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from pbx.mediaproxy.g711 import Samples
from pbx.mediaproxy.jitter import FRAME
from pbx.mediaproxy.speech import SpeechDetector

BEAT = 0.02
PIECE = 25
"""Beats of a piece."""
# Limit: a recording is never longer than four hours, a tape than a day, whatever was asked for.
LONGEST = round(4 * 3600 / BEAT)
_LONGEST_TAPE = round(24 * 3600 / BEAT)
# Limit: beats by which a tape may lag behind the clock before they are filled with silence: a worker that was held up
# makes up for as many.
_LAG = 4

T = TypeVar("T")


@dataclass(slots=True)
class Recorder:
    """One recording in progress: samples not yet handed over, and what ends it."""

    number: int
    beats_left: int
    silent_beats: int  # 0: silence does not end it
    pieces: list[bytes] = field(default_factory=list)
    speech: SpeechDetector = field(default_factory=SpeechDetector)

    def take(self, sound: Samples, level: float) -> str:
        """One frame and its level; the cause when it was the last one."""
        self.pieces.append(sound.tobytes())
        self.beats_left -= 1
        self.speech.hear(level)
        if self.silent_beats and self.speech.silent_beats >= self.silent_beats:
            return "silence"
        return "limit" if self.beats_left <= 0 else ""

    def cut(self, beats: int) -> None:
        """The last ones are not to be heard."""
        del self.pieces[max(0, len(self.pieces) - beats) :]

    def hand_over(self, held: int = 0) -> bytes:
        """What there is, but for the last beats that are held back."""
        return _taken(self.pieces, held)


class Tape(Generic[T]):
    """Two parties, who may change. It keeps pace with the clock: what nobody sends, and beats that were left out, are
    silence."""

    def __init__(self, number: int, left: T | None, right: T | None) -> None:
        self.number = number
        self.sides = (left, right)
        self.pieces: list[bytes] = []
        self._beats = 0
        self._begun: float | None = None

    def take(self, left: Samples, right: Samples, now: float) -> str:
        """One frame of both; the cause when it was the last one."""
        if self._begun is None:
            self._begun = now
        due = round((now - self._begun) / BEAT)
        if due - self._beats > _LAG:
            self.pieces.append(bytes(4 * FRAME * (due - self._beats)))
            self._beats = due
        self.pieces.append(np.column_stack((left, right)).tobytes())
        self._beats += 1
        return "limit" if self._beats >= _LONGEST_TAPE else ""

    def mute(self, side: int, beats: int) -> None:
        """The last ones of that side, 0 or 1, are not to be heard."""
        for at in range(max(0, len(self.pieces) - beats), len(self.pieces)):
            frame = np.frombuffer(self.pieces[at], dtype=np.int16).reshape(-1, 2).copy()
            frame[:, side] = 0
            self.pieces[at] = frame.tobytes()

    def hand_over(self, held: int = 0) -> bytes:
        return _taken(self.pieces, held)


def _taken(pieces: list[bytes], held: int) -> bytes:
    ready = max(0, len(pieces) - held)
    whole = b"".join(pieces[:ready])
    del pieces[:ready]
    return whole
