"""What one peer hears is one stream, whoever speaks: another party after a transfer, music on hold, a program.

A machine. Nothing is changed for the first who speaks. Whoever comes after him gets his numbers: one source (SSRC), the
sequence numbers without a gap, the timestamps by the time that has passed. Some receivers (baresip) fall silent when
they must begin anew in the middle of a call. A codec with another clock is a source of its own (RFC 7160 §4.1).
RFC 3550 §5.1, §7.1; RFC 3551 §4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from pbx.mediaproxy import rtp

_SEQUENCE, _TIMESTAMP = 0xFFFF, 0xFFFFFFFF
_CLOCK, _FASTEST = 8000, 192_000  # of a codec without a sound name; the highest that is believed


class Numbers(NamedTuple):
    """Sequence number and timestamp of a packet, and when it was sent."""

    sequence: int
    timestamp: int
    at: float


class Speaker(Protocol):
    """Who has packets for the peer: another stream (`endpoint`), or the studio's `Track`."""

    def last(self) -> Numbers:
        """Of the last packet, as he counts; while one is handed on, of that."""


class Continuity:
    """Of one peer. `ssrc` is the source that he hears (0: none yet); `passes` is the speaker whose packets go to him as
    they are."""

    __slots__ = ("_before", "_clock", "_sequence", "_speaker", "_timestamp", "passes", "ssrc")

    def __init__(self) -> None:
        self.ssrc = 0
        self.passes: Speaker | None = None
        self._speaker: Speaker | None = None
        self._before: Numbers | None = None  # what the peer has heard last, as he counts
        self._clock = _CLOCK
        self._sequence = self._timestamp = 0  # to be added to the speaker's

    @property
    def changes(self) -> bool:
        """Whether the peer hears other numbers than those of who speaks."""
        return self.ssrc != 0 and self.passes is None

    def true_of(self, speaker: Speaker) -> bool:
        """Whether what he reports of his stream is true of what the peer hears, or may still be."""
        return not self.ssrc or self.passes is speaker

    def stop(self, speaker: Speaker) -> None:
        """He will speak no more, or with other numbers."""
        if self._speaker is speaker:
            self._before, self._speaker, self.passes = self.last(), None, None

    def take(self, data: bytes | memoryview, speaker: Speaker, names: Mapping[int, str]) -> bytes:
        """The packet as the peer gets it; `names` are those of the payload numbers."""
        first, second, sequence, timestamp, ssrc = rtp.FIXED.unpack_from(data)
        if speaker is not self._speaker:
            clock = _clock_of(names.get(second & 0x7F, ""))
            if self._turn(speaker, sequence, timestamp, clock):
                self.ssrc, self.passes = ssrc, speaker
                return bytes(data)
            second |= 0x80
        sequence, timestamp = (sequence + self._sequence) & _SEQUENCE, (timestamp + self._timestamp) & _TIMESTAMP
        return rtp.FIXED.pack(first, second, sequence, timestamp, self.ssrc) + data[rtp.HEADER :]

    def _turn(self, speaker: Speaker, sequence: int, timestamp: int, clock: int) -> bool:
        """It is he who speaks from now on; true when the peer hears a new source."""
        if self._speaker is not None:
            self.stop(self._speaker)
        before, self._speaker = self._before, speaker
        anew = before is None or clock != self._clock
        self._clock = clock
        if before is None or anew:
            self._sequence = self._timestamp = 0
            return True
        passed = max(clock // 50, round((speaker.last().at - before.at) * clock))
        self._sequence = before.sequence + 1 - sequence
        self._timestamp = before.timestamp + passed - timestamp
        return False

    def last(self) -> Numbers:
        """Of the last packet, as the peer counts."""
        if self._speaker is None:
            return self._before or Numbers(0, 0, 0.0)
        sequence, timestamp, at = self._speaker.last()
        return Numbers((sequence + self._sequence) & _SEQUENCE, (timestamp + self._timestamp) & _TIMESTAMP, at)

    def timestamp(self, now: float) -> int:
        """Of this moment, for a report (RFC 3550 §6.4.1)."""
        _, timestamp, at = self.last()
        return (timestamp + round((now - at) * self._clock)) & _TIMESTAMP


def _clock_of(name: str) -> int:
    """Of a codec as SDP spells it (`OPUS/48000/2`)."""
    rate = name.split("/")[1] if "/" in name else ""
    return int(rate) if rate.isascii() and rate.isdigit() and 0 < int(rate[:7]) <= _FASTEST else _CLOCK
