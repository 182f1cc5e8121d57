"""RTCP: reports of ours as octets, and what a peer's reports say. Pure; hostile input yields less, never an error.

Not here: when to send (`endpoint`), nor feedback messages, which the relay passes on unread. RFC 3550 §6.4, §6.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SENDER, RECEIVER, DESCRIPTION = 200, 201, 202
TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK = 205, 206
_BLOCK = struct.Struct("!IIIIII")
_NTP_EPOCH = 2_208_988_800
# Limit: packets of one compound that are looked at.
_MOST_PACKETS = 16


@dataclass(frozen=True, slots=True)
class Block:
    """What a receiver says of one source: `lost` packets in all, `jitter` in timestamp units."""

    source: int
    lost: int
    highest: int
    jitter: int
    last_report: int = 0
    delay: int = 0
    fraction: int = 0


@dataclass(frozen=True, slots=True)
class Reports:
    """A compound packet: the sender reports' middle NTP bits (None: none), and all report blocks."""

    sent: int | None
    blocks: tuple[Block, ...]


def parse(data: bytes) -> Reports:
    """Whatever can be read."""
    sent: int | None = None
    blocks: list[Block] = []
    for kind, count, body in _packets(data):
        start = 4
        if kind == SENDER:
            if len(body) < 24:
                break
            sent = int.from_bytes(body[6:10], "big")
            start = 24
        if kind in (SENDER, RECEIVER):
            blocks += _blocks(body[start:], count)
    return Reports(sent, tuple(blocks))


def sources(data: bytes) -> list[int]:
    """All sources (SSRC) that a compound names: who sends it, whom it reports on, whose media feedback is for (RFC 3550
    §6.4, RFC 4585 §6.1)."""
    found: list[int] = []
    for kind, count, body in _packets(data):
        found.append(int.from_bytes(body[:4], "big"))
        if kind in (SENDER, RECEIVER):
            found += [block.source for block in _blocks(body[24 if kind == SENDER else 4 :], count)]
        elif kind in (TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK):
            found.append(int.from_bytes(body[4:8], "big"))
    return found


def _packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, count and body (with the sender's SSRC) of each packet; one that is cut off or lies about its length ends
    it.

     0                   1                   2                   3
    |V=2|P|   RC    |      PT       |  length in words minus one    |
    """
    at = 0
    for _ in range(_MOST_PACKETS):
        if at + 8 > len(data) or data[at] >> 6 != 2:
            break
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or end < at + 8:
            break
        yield data[at + 1], data[at] & 0x1F, data[at + 4 : end]
        at = end


def _blocks(data: bytes, count: int) -> list[Block]:
    found = []
    for at in range(0, min(count, len(data) // _BLOCK.size) * _BLOCK.size, _BLOCK.size):
        source, word, highest, jitter, last, delay = _BLOCK.unpack_from(data, at)
        lost = word & 0xFFFFFF
        found.append(
            Block(source, lost - (1 << 24) if lost & 0x800000 else lost, highest, jitter, last, delay, word >> 24)
        )
    return found


@dataclass(frozen=True, slots=True)
class Sent:
    """For a sender report: the wall clock and the RTP timestamp of the same moment, and what was sent until then."""

    wall: float
    timestamp: int
    packets: int
    octets: int


def report(ssrc: int, name: str, sent: Sent | None, block: Block | None) -> bytes:
    """A compound: SR or RR (RFC 3550 §6.4), then SDES with our CNAME (§6.5.1)."""
    body = b""
    if sent is not None:
        whole = int(sent.wall)
        fraction = int((sent.wall - whole) * (1 << 32))
        body += struct.pack(
            "!IIIII",
            (whole + _NTP_EPOCH) & 0xFFFFFFFF,
            fraction,
            sent.timestamp & 0xFFFFFFFF,
            sent.packets & 0xFFFFFFFF,
            sent.octets & 0xFFFFFFFF,
        )
    if block is not None:
        lost = max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF
        body += _BLOCK.pack(
            block.source,
            block.fraction << 24 | lost,
            block.highest & 0xFFFFFFFF,
            block.jitter & 0xFFFFFFFF,
            block.last_report,
            block.delay & 0xFFFFFFFF,
        )
    kind = RECEIVER if sent is None else SENDER
    return _packet(kind, 0 if block is None else 1, ssrc, body) + _names(ssrc, name)


def _names(ssrc: int, name: str) -> bytes:
    item = bytes([1, len(name)]) + name.encode("ascii")
    return _packet(DESCRIPTION, 1, ssrc, item + b"\0" * (4 - len(item) % 4))


def _packet(kind: int, count: int, ssrc: int, body: bytes) -> bytes:
    return struct.pack("!BBHI", 0x80 | count, kind, 1 + len(body) // 4, ssrc) + body
