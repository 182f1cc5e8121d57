"""How well a stream arrives: packets lost and jitter. A machine; RFC 3550 §A.1, §A.3, §A.8."""

from __future__ import annotations

from collections.abc import Callable

from pbx.mediaproxy.continuity import Numbers
from pbx.mediaproxy.rtcp import Block

# RFC 3550 §A.1: a jump of the sequence number beyond this is a new stream.
_MAX_DROPOUT = 3000
_RATE = 8000


class Reception:
    """The counters of one stream; a new SSRC or a jump begins a new count and keeps the old loss."""

    __slots__ = ("_before", "_begins", "_first", "_highest", "_jitter", "_lost", "_received", "_ssrc", "_transit")

    def __init__(self, begins: Callable[[], None] = lambda: None) -> None:
        """`begins` is told before each new count."""
        self._begins = begins
        self._ssrc: int | None = None
        self._first = self._highest = self._received = self._lost = 0
        self._transit: float | None = None
        self._jitter = 0.0
        self._before = (0, 0)  # expected and received when the last report was made

    def packet(self, sequence: int, ssrc: int) -> None:
        step = (sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if ssrc != self._ssrc or not -_MAX_DROPOUT < step < _MAX_DROPOUT:
            self._begins()
            self._lost = self.lost
            self._ssrc, self._first, self._highest, self._received = ssrc, sequence, sequence, 1
            self._transit, self._before = None, (0, 0)
            return
        self._received += 1
        if step > 0:
            self._highest += step  # not wrapped: the low 16 bits are the sequence number

    def timing(self, timestamp: int, now: float) -> None:
        """For sound only: telephone-events keep one timestamp through a press."""
        transit = now * _RATE - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < 10 * _RATE:  # a jump of the timestamp is no jitter
                self._jitter += (change - self._jitter) / 16
        self._transit = transit

    def last(self, at: float) -> Numbers:
        """Of what came last, when that was at this time."""
        timestamp = 0 if self._transit is None else round(at * _RATE - self._transit)
        return Numbers(self._highest & 0xFFFF, timestamp, at)

    @property
    def lost(self) -> int:
        """Packets that should have come and did not; doubles can hide a loss, as in the RFC."""
        if self._ssrc is None:
            return 0
        return self._lost + max(0, self._highest - self._first + 1 - self._received)

    def block(self, last_report: int, delay: int) -> Block | None:
        """For a report of ours (RFC 3550 §A.3): since the last one a new fraction; None when nothing came at all."""
        if self._ssrc is None:
            return None
        expected = self._highest - self._first + 1
        wanted, got = expected - self._before[0], self._received - self._before[1]
        self._before = (expected, self._received)
        fraction = min(255, max(0, wanted - got) * 256 // wanted) if wanted > 0 else 0
        return Block(
            self._ssrc, expected - self._received, self._highest, int(self._jitter), last_report, delay, fraction
        )

    @property
    def jitter(self) -> float:
        """Milliseconds."""
        return self._jitter * 1000 / _RATE
