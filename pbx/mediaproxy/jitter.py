"""The jitter buffer of one G.711 stream: packets in as they come, 20 ms out at each beat. A machine; RFC 3550.

It is a ring of octets indexed by timestamp, so reordering, doubles and frames of any length (10 to 60 ms) need no
care of their own. The delay follows the jitter: short where the network is even, up to `DEEPEST` where it is not.
Lost sound is told as `None`; who plays conceals it. Not here: decoding.
"""

from __future__ import annotations

from pbx.mediaproxy.rtp import ahead

FRAME = 160  # octets and timestamp units of 20 ms
_RING = 16384  # octets; about two seconds
# Limit: delay never grows above 240 ms, and a timestamp further away than a second starts a new timeline.
DEEPEST = 240 * 8
_JUMP = 8000
# Limit: how long (in beats) a surplus must stand before a frame is left out: clock drift, or jitter that has gone.
_SURPLUS_BEATS = 50
_MARGIN = 80  # a beat and an arrival may fall together


class JitterBuffer:
    """One stream's buffer. `lost` counts frames concealed, `late` octets that came too late, `skipped` frames left
    out to shorten the delay, `resets` new timelines."""

    __slots__ = (
        "_clock", "_data", "_end", "_filled", "_head", "_last", "_playing", "_quickest", "_ssrc", "_strange",
        "_surplus", "_target",
        "late", "lost", "resets", "silence", "skipped",
    )  # fmt: skip

    def __init__(self, silence: int = 0xFF) -> None:
        self.silence = silence
        self._data = bytearray([silence]) * _RING
        self._filled = bytearray(_RING)
        self._head = 0  # timestamp of the next octet to play
        self._end = 0  # timestamp after the newest octet
        self._playing = False
        self._ssrc: int | None = None
        self._strange: int | None = None
        self._quickest: float | None = None  # the smallest transit time lately, in timestamp units
        self._last = 0  # timestamp of the packet before, and the same number unwrapped
        self._clock = 0
        self._target = 2.0 * FRAME
        self._surplus = 0
        self.lost = self.late = self.skipped = self.resets = 0

    @property
    def depth(self) -> int:
        """Octets between the next one to play and the newest."""
        return max(0, ahead(self._end, self._head, 32))

    @property
    def target(self) -> int:
        """The delay aimed at, in octets."""
        return min(DEEPEST, int(self._target))

    def put(self, timestamp: int, ssrc: int, payload: bytes, now: float) -> None:
        """A packet has come at `now` (seconds)."""
        if not payload or len(payload) > _JUMP:
            return
        if ssrc != self._ssrc:
            self._restart(timestamp, ssrc)
        elif not self._playing and self.depth == 0:  # after a pause of the sender, or run dry: go on from here
            self._head = self._end = timestamp
        offset = ahead(timestamp, self._head, 32)
        if not -_JUMP < offset < _JUMP:
            # One packet of another timeline may be garbage; two in a row are a new timeline.
            if self._strange is None or not 0 <= ahead(timestamp, self._strange, 32) < _JUMP:
                self._strange = timestamp
                return
            self._restart(timestamp, ssrc)
            offset = 0
        self._strange = None
        self._measure(timestamp, len(payload), now)
        if offset < 0:
            if not self._playing and -offset + self.depth < _JUMP:
                self._head = timestamp  # nothing was played yet: what comes first in time may come second
            else:
                self.late += min(-offset, len(payload))
                payload, timestamp = payload[-offset:], self._head
        self._store(timestamp, payload)

    def _store(self, timestamp: int, payload: bytes) -> None:
        size = len(payload)
        if not size:
            return
        start = timestamp % _RING
        first = min(size, _RING - start)
        self._data[start : start + first] = payload[:first]
        self._filled[start : start + first] = b"\x01" * first
        if first < size:
            self._data[: size - first] = payload[first:]
            self._filled[: size - first] = b"\x01" * (size - first)
        if ahead(timestamp + size, self._end, 32) > 0:
            self._end = (timestamp + size) & 0xFFFFFFFF

    def _restart(self, timestamp: int, ssrc: int) -> None:
        if self._ssrc is not None:
            self.resets += 1
        self._ssrc, self._strange = ssrc, None
        self._head = self._end = self._last = timestamp
        self._clock = 0
        self._filled[:] = bytes(_RING)
        self._playing, self._quickest, self._surplus = False, None, 0

    def _measure(self, timestamp: int, size: int, now: float) -> None:
        """Follow the jitter: how much later than the quickest packet did this one come? Up at once, down slowly."""
        self._clock += ahead(timestamp, self._last, 32)
        self._last = timestamp
        transit = now * 8000 - self._clock
        if self._quickest is None or transit < self._quickest:
            self._quickest = transit
        self._quickest += 0.0005 * size  # forget slowly, so that clock drift does not look like jitter
        wanted = transit - self._quickest + max(size, FRAME) + _MARGIN
        self._target += (wanted - self._target) * (1.0 if wanted > self._target else 0.02)
        self._target = min(float(DEEPEST), self._target)

    def pull(self) -> bytes | None:
        """The next 20 ms; None where nothing has come (silence before the stream, or loss within it)."""
        depth = self.depth
        if not self._playing:
            if depth < self.target:
                return None
            self._playing = True
        elif depth < FRAME:  # run dry: wait until the delay is built up again
            self._playing = False
            self.lost += 1
            return None
        elif depth > self.target + 2 * FRAME:
            self._surplus += 1
            if self._surplus >= _SURPLUS_BEATS or depth > DEEPEST + 4 * FRAME:
                self._take()
                self.skipped += 1
                self._surplus = 0
        else:
            self._surplus = 0
        frame = self._take()
        if frame is None:
            self.lost += 1
        return frame

    def _take(self) -> bytes | None:
        start = self._head % _RING
        self._head = (self._head + FRAME) & 0xFFFFFFFF
        if start + FRAME <= _RING:
            return self._cut(start, start + FRAME)
        rest = start + FRAME - _RING
        first, second = self._cut(start, _RING), self._cut(0, rest)
        if first is None and second is None:
            return None
        hush = bytes([self.silence])
        return (first or hush * (_RING - start)) + (second or hush * rest)

    def _cut(self, start: int, end: int) -> bytes | None:
        """Take out a stretch of the ring; holes in a stretch that has something are silence."""
        count = self._filled.count(1, start, end)
        if not count:
            return None
        size = end - start
        frame = bytes(self._data[start:end])
        if count < size:
            hole = self.silence
            marks = self._filled
            frame = bytes(octet if marks[start + at] else hole for at, octet in enumerate(frame))
        self._filled[start:end] = bytes(size)
        return frame
