"""A picture on the port of the audio (RFC 9143): whose each packet is, and that it passes through one port."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.mediaproxy import rtcp, rtp
from pbx.mediaproxy.bundle import Bundle
from pbx.mediaproxy.engine import StreamSettings
from tests.pbx.mediaproxy.desk import Ear, FakePhone, engine

CAMERA, VIEWER = 0x1111, 0x2222


def feedback(sender: int, about: int) -> bytes:
    """A receiver report without blocks, and a wish for a whole picture (RFC 4585 §6.3.1)."""
    return struct.pack("!BBHI", 0x80, 201, 1, sender) + struct.pack("!BBHII", 0x81, 206, 2, sender, about)


@dataclass
class Picture:
    number: int = 2
    names: dict[int, str] = field(default_factory=lambda: {97: "VP8/90000"})
    got: list[bytes] = field(default_factory=list)

    def ride(self, buffer: memoryview, size: int, now: float) -> None:
        self.got.append(bytes(buffer[:size]))


def test_rtp_is_told_by_its_number_and_rtcp_by_the_sources_that_it_names() -> None:
    bundle, picture = Bundle(), Picture()
    assert not bundle
    bundle.take(picture)
    assert bundle.owner(memoryview(feedback(CAMERA, 0))) is None
    assert bundle.owner(memoryview(rtp.build(0, 1, 1, 77, b"sound"))) is None
    assert bundle.owner(memoryview(rtp.build(97, 1, 1, CAMERA, b"x"))) is picture
    assert bundle.owner(memoryview(feedback(CAMERA, 0))) is picture
    assert bundle.owner(memoryview(feedback(1, VIEWER))) is None
    bundle.heard(rtp.build(97, 1, 1, VIEWER, b"x"), picture)  # what it is shown
    assert bundle.owner(memoryview(feedback(1, VIEWER))) is picture
    block = rtcp.report(1, "x", None, rtcp.Block(VIEWER, 0, 0, 0))
    assert bundle.owner(memoryview(block)) is picture
    assert bundle.owner(memoryview(rtcp.report(1, "x", None, rtcp.Block(77, 0, 0, 0)))) is None
    bundle.drop(picture)
    assert bundle.owner(memoryview(rtp.build(97, 1, 1, CAMERA, b"x"))) is None


def test_it_does_not_remember_sources_without_end() -> None:
    bundle, picture = Bundle(), Picture()
    bundle.take(picture)
    for source in range(1, 1000):
        bundle.owner(memoryview(rtp.build(97, 1, 1, source, b"x")))
    assert bundle.owner(memoryview(feedback(999, 0))) is picture
    assert bundle.owner(memoryview(feedback(1, 0))) is None


@given(st.binary(max_size=80))
def test_whatever_comes_is_somebody_s_or_the_audio_s(data: bytes) -> None:
    bundle, picture = Bundle(), Picture()
    bundle.take(picture)
    assert bundle.owner(memoryview(data)) in (None, picture)


@pytest.mark.parametrize("own", [False, True])
async def test_a_picture_rides_with_the_sound_to_one_that_has_ports_for_each(own: bool) -> None:
    """The near one has all on one port; `own`: the picture's own port takes nothing any more."""
    async with engine() as media:
        near, sound, picture = [await FakePhone.make() for _ in range(3)]
        audio, rider, far_audio, far_video = [await media.open(Ear()) for _ in range(4)]
        audio.configure(StreamSettings(near.address, 0, {0: "PCMU/8000"}, mux=True))
        rider.configure(StreamSettings(near.address, 0, {97: "VP8/90000"}, carriage="rtp", mux=True, carrier=audio.id))
        far_audio.configure(StreamSettings(sound.address, 0, {0: "PCMU/8000"}))
        far_video.configure(StreamSettings(picture.address, 0, {}, carriage="rtp", mux=True))
        audio.connect(far_audio)
        rider.connect(far_video)
        spoken, shown = rtp.build(0, 1, 160, 77, bytes(160)), rtp.build(97, 1, 90000, CAMERA, b"there")
        for packet in (spoken, shown):
            near.transport.sendto(packet, (rider if own else audio).local)
        if own:
            near.transport.sendto(shown, audio.local)
        assert await picture.wait(1) == [shown]
        if not own:
            assert await sound.wait(1) == [spoken]
        wish = feedback(VIEWER, CAMERA)
        picture.transport.sendto(rtp.build(97, 1, 90000, VIEWER, b"back"), far_video.local)
        picture.transport.sendto(wish, far_video.local)
        assert await near.wait(2) == [rtp.build(97, 1, 90000, VIEWER, b"back"), wish]
        assert set(near.sources) == {audio.local}
        near.transport.sendto(feedback(1, VIEWER), audio.local)
        assert (await picture.wait(2))[1:] == [feedback(1, VIEWER)]
        figures = await rider.close()
        near.transport.sendto(shown, audio.local)
        near.transport.sendto(spoken, audio.local)
        await sound.wait(1 if own else 2)
        assert len(picture.got) == 2
        assert (figures.packets_received, figures.packets_sent) == (1, 1)
        for each in (near, sound, picture):
            each.close()
