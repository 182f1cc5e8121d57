"""The sound of the streams that somebody listens to: decoded together at each beat, one row of a matrix each.

Whoever records, tapes or mixes takes it from here, so that no stream is decoded twice. What is lost is concealed. Not
here: what becomes of it (`recorder`, `studio`).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from pbx.mediaproxy import g711
from pbx.mediaproxy.g711 import Law, Samples
from pbx.mediaproxy.jitter import FRAME
from pbx.mediaproxy.speech import decibels

_CONCEALED = 3  # frames repeated, fading, when sound is lost
_SILENCE: Samples = np.zeros(FRAME, dtype=np.int16)


class Heard:
    """One stream's: its row in this beat, and what conceals a loss. `listeners` are how many want it."""

    __slots__ = ("arrived", "last", "listeners", "missing", "row")

    def __init__(self) -> None:
        self.listeners = 0
        self.row = 0
        self.arrived = False
        self.missing = _CONCEALED
        self.last = _SILENCE


class Speaker(Protocol):
    """A stream that can be listened to (`track`)."""

    heard: Heard | None

    def listen(self) -> None:
        """`heard` has come or gone."""


class Hearing:
    """Of all streams of a worker. At a beat: `begin`, `take` for each stream, `decode`; then `sound` and `level`."""

    def __init__(self) -> None:
        self._speakers: list[Speaker] = []
        self._reserve(16)

    def _reserve(self, rows: int) -> None:
        """Matrices for so many streams, made once and grown by doubling."""
        self._codes: npt.NDArray[np.uint16] = np.zeros((rows, FRAME), dtype=np.uint16)
        self._sound: npt.NDArray[np.int16] = np.zeros((rows, FRAME), dtype=np.int16)
        self._power: npt.NDArray[np.float32] = np.zeros((rows, FRAME), dtype=np.float32)
        self._levels: npt.NDArray[np.float32] = np.zeros(rows, dtype=np.float32)

    def __len__(self) -> int:
        return len(self._speakers)

    # --- who is listened to

    def open(self, speaker: Speaker) -> None:
        """One more listens to that stream."""
        if speaker.heard is None:
            speaker.heard = Heard()
            self._speakers.append(speaker)
            if len(self._speakers) > len(self._codes):
                self._reserve(2 * len(self._codes))
            speaker.listen()
        speaker.heard.listeners += 1

    def shut(self, speaker: Speaker) -> None:
        """One less does."""
        heard = speaker.heard
        if heard is None:
            return
        heard.listeners -= 1
        if not heard.listeners:
            self._speakers.remove(speaker)
            speaker.heard = None
            speaker.listen()

    # --- a beat

    def begin(self) -> None:
        for row, speaker in enumerate(self._speakers):
            if speaker.heard is not None:
                speaker.heard.row, speaker.heard.arrived = row, False

    def take(self, heard: Heard, frame: bytes, law: Law) -> None:
        """The octets that a stream has for this beat."""
        heard.arrived = True
        self._codes[heard.row] = np.frombuffer(frame, dtype=np.uint8)
        if law is Law.ALAW:
            self._codes[heard.row] += 256

    def decode(self) -> None:
        """All rows at once; where nothing came, the frame before, fading, then silence."""
        rows = len(self._speakers)
        sound, power = self._sound[:rows], self._power[:rows]
        np.take(g711.DECODE, self._codes[:rows], out=sound, mode="clip")
        for speaker in self._speakers:
            if (heard := speaker.heard) is not None:
                self._conceal(heard)
        np.multiply(sound, sound, out=power, dtype=np.float32)
        power.mean(axis=1, out=self._levels[:rows])

    def _conceal(self, heard: Heard) -> None:
        if heard.arrived:
            heard.missing = 0
        else:
            heard.missing += 1
            self._sound[heard.row] = heard.last // 2 if heard.missing <= _CONCEALED else 0
        heard.last = self._sound[heard.row].copy()

    def sound(self, speaker: Speaker | None) -> Samples:
        """Its 20 ms; silence of who is not heard, or not any more."""
        return _SILENCE if speaker is None or speaker.heard is None else speaker.heard.last

    def level(self, speaker: Speaker) -> float:
        """In decibels of full scale."""
        return decibels(0.0 if speaker.heard is None else float(self._levels[speaker.heard.row]))
