"""Is somebody speaking? An energy detector that follows the background noise. A machine, fed with one level a frame.

Not a recogniser: music and tones are speech to it, as they should be for a recording.
"""

from __future__ import annotations

import math

# Limit: below -50 dB of full scale nothing counts as speech, whatever the background.
QUIETEST = -50.0
# Limit: speech stands this far above the noise.
_ABOVE = 9.0
# Limit: what is louder than this and `_ABOVE` is never background.
_LOUDEST_NOISE = -35.0
_HANG_BEATS = 15  # 300 ms: the pauses between words belong to speech


class SpeechDetector:
    """Follows one stream, one call a frame of 20 ms."""

    __slots__ = ("_hang", "_noise", "_run", "silent_beats")

    def __init__(self) -> None:
        self._noise = -60.0
        self._run = 0
        self._hang = 0
        self.silent_beats = 0

    def hear(self, level: float) -> bool:
        """`level` in dB of full scale; returns whether this is speech, pauses within it included."""
        loud = level > max(QUIETEST, self._noise + _ABOVE)
        # Down with the background at once, up by 2 dB a second: a hum becomes background, a sentence does not.
        self._noise = min(_LOUDEST_NOISE, max(-90.0, self._noise + min(max(level - self._noise, -5.0), 0.04)))
        self._run = self._run + 1 if loud else 0
        if self._run >= 2:  # one loud frame is a click
            self._hang = _HANG_BEATS
        elif self._hang:
            self._hang -= 1
        speaking = self._hang > 0
        self.silent_beats = 0 if speaking else self.silent_beats + 1
        return speaking


def decibels(mean_square: float) -> float:
    """Level of 16-bit samples whose mean square this is, in dB of full scale."""
    return 10.0 * math.log10(mean_square / 1073741824.0 + 1e-10)
