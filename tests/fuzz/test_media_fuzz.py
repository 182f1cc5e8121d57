"""Fuzz targets: RTP packets and telephone-events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pbx.mediaproxy import rtp
from pbx.mediaproxy.digits import KEYS, DigitReceiver
from tests.fuzz.mutations import spoilt
from tests.fuzz.targets import EVENTS, PACKETS


@given(spoilt(PACKETS))
def test_rtp_packets(data: bytes) -> None:
    packet = rtp.parse(data)
    if packet is not None:
        assert len(packet.payload) <= len(data) - rtp.HEADER
        again = rtp.build(
            packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, packet.payload, marker=packet.marker
        )
        assert rtp.parse(again) == packet


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), spoilt(EVENTS)), max_size=30))
def test_telephone_events(packets: list[tuple[int, bytes]]) -> None:
    receiver = DigitReceiver()
    for number, (timestamp, payload) in enumerate(packets):
        digit = receiver.receive(timestamp, payload, number * 0.02)
        assert digit is None or (digit.key in KEYS and digit.milliseconds >= 0)
