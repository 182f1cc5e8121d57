"""The RTP header: checks on what comes in, a builder for what goes out. Pure; no session state. RFC 3550 §5.1, A.1.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|V=2|P|X|  CC   |M|     PT      |       sequence number         |
|                           timestamp                           |
|                             SSRC                              |
|                    CSRC list, CC times 4 octets               |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER = 12
# Limit: no voice packet is longer than an Ethernet frame.
LONGEST = 1500
FIXED = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet, its payload without extension and padding."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse(data: bytes | memoryview) -> Packet | None:
    """The packet, or None when it is no sound RTP."""
    size = len(data)
    if size < HEADER or size > LONGEST or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = FIXED.unpack_from(data)
    start = HEADER + 4 * (first & 0x0F)
    if first & 0x10:  # RFC 3550 §5.3.1: a header extension follows the CSRC list
        if start + 4 > size:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = size - data[size - 1] if first & 0x20 else size
    if start > end or (first & 0x20 and end == size):
        return None
    return Packet(second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, bytes(data[start:end]))


def build(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool = False
) -> bytes:
    """A packet without CSRC, extension or padding."""
    second = payload_type | 0x80 if marker else payload_type
    return (
        FIXED.pack(
            0x80,
            second,
            sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
        )
        + payload
    )


def ahead(new: int, old: int, bits: int) -> int:
    """By how much `new` is ahead of `old` on a circle of `bits` bits; negative when behind."""
    half = 1 << (bits - 1)
    return ((new - old + half) & ((1 << bits) - 1)) - half
