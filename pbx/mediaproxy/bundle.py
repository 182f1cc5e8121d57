"""More media on the port of the audio (BUNDLE): whose is a packet that has come to it? A machine. RFC 9143 §9.

RTP is told by its payload number, of which no two sections of a bundle share one (§9.1.1); RTCP by the sources that it
names. Not here: sockets and keys, which are the audio's.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol

from pbx.mediaproxy import rtcp
from pbx.mediaproxy.lane import control_packet

# Limit: sources (SSRC) of a bundle that are remembered; a browser's camera has two, with retransmissions.
_MOST_SOURCES = 32


class Rider(Protocol):
    """A stream without a port of its own."""

    @property
    def number(self) -> int: ...

    @property
    def names(self) -> Container[int]:
        """Its payload numbers."""

    def ride(self, buffer: memoryview, size: int, now: float) -> None:
        """A packet of its has come."""


class Bundle:
    """Those that ride with one stream."""

    def __init__(self) -> None:
        self._riders: dict[int, Rider] = {}
        self._sources: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._riders)

    def take(self, rider: Rider) -> None:
        self._riders[rider.number] = rider

    def drop(self, rider: Rider) -> None:
        self._riders.pop(rider.number, None)

    def owner(self, packet: memoryview) -> Rider | None:
        """Whose it is; None: the audio's own."""
        if len(packet) < 12:
            return None
        if control_packet(packet[1]):
            found = (self._sources.get(source) for source in rtcp.sources(bytes(packet)))
            return self._riders.get(next((number for number in found if number is not None), 0))
        rider = next((each for each in self._riders.values() if packet[1] & 0x7F in each.names), None)
        if rider is not None:
            self.heard(packet, rider)
        return rider

    def heard(self, packet: bytes | memoryview, rider: Rider) -> None:
        """A packet of RTP goes to or comes from a rider: its reports will name the same source."""
        source = int.from_bytes(packet[8:12], "big")
        if source not in self._sources and len(self._sources) >= _MOST_SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources[source] = rider.number
