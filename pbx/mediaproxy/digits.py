"""Telephone-events: digits in and out of RTP. Two machines; RFC 4733.

 0                   1                   2                   3
|     event     |E|R| volume    |          duration             |
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from pbx.mediaproxy.rtp import ahead

KEYS = "0123456789*#ABCD"
# Limit: an event whose packets cease without an end packet is over after this long.
LOST_END = 0.12
# Limit: a sender's digits wait in line up to this many.
LONGEST_QUEUE = 64
_GAP = 3  # beats of 20 ms between two digits
_RATE = 8  # timestamp units per millisecond
_EVENT = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class Digit:
    """A key that was pressed and let go."""

    key: str
    milliseconds: int


class DigitReceiver:
    """Told each telephone-event packet; tells each press once, whichever of its packets were lost or doubled."""

    __slots__ = ("_begin", "_duration", "_ended", "_event", "_heard", "_timestamp")

    def __init__(self) -> None:
        self._event: int | None = None  # of the press in progress
        self._begin = 0  # its first timestamp; `_timestamp` that of its current segment
        self._timestamp = 0
        self._duration = 0
        self._heard = 0.0
        self._ended: int | None = None  # timestamp of the last press told

    def receive(self, timestamp: int, payload: bytes, now: float) -> Digit | None:
        """A packet of the telephone-event payload type; returns a digit that is complete by it."""
        if len(payload) < _EVENT.size:
            return None
        event, flags, duration = _EVENT.unpack_from(payload)
        if event >= len(KEYS) or self._old(timestamp):
            return None
        before = None
        if self._event is not None and timestamp != self._timestamp:
            if event == self._event and timestamp == (self._timestamp + self._duration) & 0xFFFFFFFF:
                self._timestamp, self._duration = timestamp, 0  # RFC 4733 §2.5.1.3: the next segment of a long press
            else:
                before = self._finish()
        if self._event is None:
            self._event, self._begin, self._timestamp, self._duration = event, timestamp, timestamp, 0
        self._duration, self._heard = max(self._duration, duration), now
        if flags & 0x80 and before is None:
            return self._finish()
        return before

    def tick(self, now: float) -> Digit | None:
        """Time passes: ends a press whose end packets were all lost."""
        if self._event is not None and now - self._heard >= LOST_END:
            return self._finish()
        return None

    @property
    def pressed(self) -> bool:
        return self._event is not None

    def _old(self, timestamp: int) -> bool:
        """A repeated end, or a packet that comes after its press was told."""
        return self._ended is not None and -0x80000 < ahead(timestamp, self._ended, 32) <= 0

    def _finish(self) -> Digit:
        assert self._event is not None
        whole = (self._timestamp - self._begin + self._duration) & 0xFFFFFFFF
        digit = Digit(KEYS[self._event], whole // _RATE)
        self._ended, self._event = self._timestamp, None
        return digit


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What goes out in one beat: the payload and how to mark it; `copies` beyond one are the repeated end."""

    payload: bytes
    timestamp: int
    marker: bool
    copies: int = 1


class DigitSender:
    """Digits in line, one packet a beat of 20 ms, the end three times (RFC 4733 §2.5.1.4)."""

    __slots__ = ("_beat", "_began", "_gap", "_queue")

    def __init__(self) -> None:
        self._queue: deque[Digit] = deque()
        self._beat = 0
        self._began = 0
        self._gap = 0

    def push(self, key: str, milliseconds: int) -> None:
        """Put a digit in line; letters that are no key are left out."""
        if key.upper() in KEYS and len(self._queue) < LONGEST_QUEUE:
            self._queue.append(Digit(key.upper(), min(max(milliseconds, 40), 5000)))

    @property
    def busy(self) -> bool:
        return bool(self._queue) or self._gap > 0

    def beat(self, timestamp: int) -> EventPacket | None:
        """The packet of this beat, or None in the pause between digits."""
        if self._gap:
            self._gap -= 1
            return None
        if not self._queue:
            return None
        digit = self._queue[0]
        if self._beat == 0:
            self._began = timestamp
        self._beat += 1
        duration = min(self._beat * 20, digit.milliseconds)
        last = duration >= digit.milliseconds
        payload = _EVENT.pack(KEYS.index(digit.key), 0x8A if last else 0x0A, duration * _RATE)
        packet = EventPacket(payload, self._began, self._beat == 1, 3 if last else 1)
        if last:
            self._queue.popleft()
            self._beat, self._gap = 0, _GAP
        return packet
