"""From beats of 20 ms to packets of the peer's length (10 to 60 ms). A machine; RFC 3551 §4.2."""

from __future__ import annotations

_OCTETS_PER_MS = 8


class Framer:
    """Collects octets and gives out packets; `timestamp` belongs to the first octet of the next packet."""

    __slots__ = ("_size", "_waiting", "timestamp")

    def __init__(self, timestamp: int, ptime: int = 20) -> None:
        self.timestamp = timestamp
        self._waiting = bytearray()
        self._size = 160
        self.set_ptime(ptime)

    def set_ptime(self, ptime: int) -> None:
        """Milliseconds a packet; what no peer should ask for is brought into 10 to 60."""
        self._size = _OCTETS_PER_MS * min(60, max(10, ptime - ptime % 10))

    def push(self, octets: bytes) -> list[tuple[int, bytes]]:
        """Add 20 ms; returns the packets now full, as (timestamp, payload)."""
        if not self._waiting and len(octets) == self._size:  # nearly always
            return [(self._advance(), octets)]
        self._waiting += octets
        packets: list[tuple[int, bytes]] = []
        while len(self._waiting) >= self._size:
            payload = bytes(self._waiting[: self._size])
            del self._waiting[: self._size]
            packets.append((self._advance(), payload))
        return packets

    def skip(self, octets: int = 160) -> None:
        """Time passes with nothing to send; what was waiting is dropped."""
        octets += len(self._waiting)
        self._waiting.clear()
        self.timestamp = (self.timestamp + octets) & 0xFFFFFFFF

    def _advance(self) -> int:
        now = self.timestamp
        self.timestamp = (now + self._size) & 0xFFFFFFFF
        return now
