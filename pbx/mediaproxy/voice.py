"""The studio's voice for a stream that is no G.711: what the studio says is µ-law at 8 kHz (what it hears: `ear`).

One frame of 20 ms at a time. Not here: the beat and RTP (`studio`). RFC 3551 §4.5, RFC 7587.
"""

from __future__ import annotations

import numpy as np

from pbx.mediaproxy import g711
from pbx.mediaproxy.codecs import CODECS, Resampler, Samples, encoder
from pbx.mediaproxy.g711 import Law

_RATE = 8000


class Voice:
    """One stream's. Raises KeyError for a codec that we cannot encode."""

    def __init__(self, name: str) -> None:
        self.name = name
        codec = CODECS[name]
        self._encoder = encoder(name)
        self._resampler = Resampler(_RATE, codec.rate)
        self._frame = codec.frame
        self._waiting: Samples = np.zeros(0, dtype=np.int16)
        self.scale = codec.clock // _RATE
        """Timestamp units of this codec for one of the studio's."""

    def say(self, octets: bytes) -> bytes:
        """20 ms of µ-law as a payload; empty while the resampler fills."""
        sound = self._resampler.resample(g711.decode(octets, Law.ULAW))
        self._waiting = np.concatenate([self._waiting, sound]) if len(self._waiting) else sound
        if len(self._waiting) < self._frame:
            return b""
        frame, self._waiting = self._waiting[: self._frame], self._waiting[self._frame :]
        return self._encoder.encode(frame)
