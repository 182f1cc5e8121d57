"""From one codec to another, packet by packet, for two parties that have none in common. A machine; RFC 3550, RFC 3551.

The outgoing stream is ours: own source, sequence and timestamps, which keep pace with the incoming ones, so that pauses
and losses stay what they are. No buffer: jitter passes on to the receiver's. `voice` is the studio's simpler cousin.
"""

from __future__ import annotations

import numpy as np

from pbx.mediaproxy import rtp
from pbx.mediaproxy.codecs import CODECS, Resampler, Samples, decoder, encoder
from pbx.mediaproxy.continuity import Numbers

# Limit: a step of the timestamps beyond this is a new timeline, not a pause.
_JUMP = 10.0


class Transcoder:
    """One direction. Raises KeyError when the codecs cannot be turned into each other."""

    def __init__(self, inward: str, outward: str, payload_type: int, ssrc: int, sequence: int, timestamp: int) -> None:
        self.names = (inward, outward, payload_type)
        self._in, self._out = CODECS[inward], CODECS[outward]
        self._decoder, self._encoder = decoder(inward), encoder(outward)
        self._resampler = Resampler(self._in.rate, self._out.rate)
        self._waiting: Samples = np.zeros(0, dtype=np.int16)
        self._payload_type = payload_type
        self._ssrc = ssrc
        self._sequence = sequence
        self._timestamp = timestamp
        self._expected: int | None = None
        self._source: int | None = None
        self._event: tuple[int, int] | None = None  # an event's timestamp, theirs and ours
        self._marker = True

    def feed(self, packet: rtp.Packet) -> list[bytes]:
        """The packets that a packet of sound makes: none, one, or more."""
        samples = self._decoder.decode(packet.payload)
        if not len(samples) or not self._follow(packet):
            return []
        self._expected = (packet.timestamp + len(samples) * self._in.clock // self._in.rate) & 0xFFFFFFFF
        sound = self._resampler.resample(samples)
        self._waiting = np.concatenate([self._waiting, sound]) if len(self._waiting) else sound
        made = []
        frame = self._out.frame
        while len(self._waiting) >= frame:
            payload = self._encoder.encode(self._waiting[:frame])
            self._waiting = self._waiting[frame:]
            if payload:
                made.append(self._build(self._payload_type, self._timestamp, payload, self._marker))
                self._marker = False
            self._timestamp = (self._timestamp + self._out.clock // 50) & 0xFFFFFFFF
        return made

    def _follow(self, packet: rtp.Packet) -> bool:
        """Keep pace with their timeline; False for a packet that comes too late."""
        if packet.ssrc != self._source or self._expected is None:
            self._source, self._expected = packet.ssrc, packet.timestamp
            return True
        step = rtp.ahead(packet.timestamp, self._expected, 32)
        if abs(step) > _JUMP * self._in.clock:
            self._marker = True
            return True
        if step < 0:
            return False
        if step:
            self._timestamp = (self._timestamp + step * self._out.clock // self._in.clock) & 0xFFFFFFFF
            self._waiting = self._waiting[:0]
            self._marker = self._marker or packet.marker
        return True

    def last(self, at: float) -> Numbers:
        """Of the packet made last, at that time."""
        return Numbers(self._sequence, self._timestamp - self._out.clock // 50, at)

    def event(self, packet: rtp.Packet, payload_type: int) -> bytes:
        """A telephone-event as part of our stream: all packets of one press share a timestamp (RFC 4733 §2.3)."""
        if self._event is None or self._event[0] != packet.timestamp:
            self._event = (packet.timestamp, self._timestamp)
        return self._build(payload_type, self._event[1], packet.payload, packet.marker)

    def _build(self, payload_type: int, timestamp: int, payload: bytes, marker: bool) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        return rtp.build(payload_type, self._sequence, timestamp, self._ssrc, payload, marker=marker)
