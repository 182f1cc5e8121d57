"""Fuzz targets: RTP packets and telephone-events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pbx.mediaproxy import rtp
from pbx.mediaproxy.digits import KEYS, DigitReceiver
from tests.fuzz.mutations import spoilt

PACKETS = [
    rtp.build(0, 1, 160, 7, b"\xff" * 160),
    rtp.build(101, 2, 320, 7, b"\x05\x8a\x03\x20", marker=True),
    b"\x9f\x00" + bytes(10) + bytes(60) + b"\xbe\xde\x00\x01abcd" + b"\xff" * 20,
    b"\xa0\x00" + bytes(10) + b"\x00\x00\x03",
    b"\x80\xc8" + bytes(26),
]


@given(spoilt(PACKETS))
def test_rtp_packets(data: bytes) -> None:
    packet = rtp.parse(data)
    if packet is not None:
        assert len(packet.payload) <= len(data) - rtp.HEADER
        again = rtp.build(
            packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, packet.payload, marker=packet.marker
        )
        assert rtp.parse(again) == packet


EVENTS = spoilt([b"\x05\x0a\x00\xa0", b"\x05\x8a\x03\x20", b"\x0f\x80\xff\xff"])


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), EVENTS), max_size=30))
def test_telephone_events(packets: list[tuple[int, bytes]]) -> None:
    receiver = DigitReceiver()
    for number, (timestamp, payload) in enumerate(packets):
        digit = receiver.receive(timestamp, payload, number * 0.02)
        assert digit is None or (digit.key in KEYS and digit.milliseconds >= 0)
