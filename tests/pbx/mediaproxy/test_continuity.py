"""One peer hears one stream, whoever speaks to him: the machine, and the worker with plain and encrypted telephones."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.mediaproxy import rtcp, rtp
from pbx.mediaproxy.continuity import Continuity, Numbers
from pbx.mediaproxy.engine import SrtpKeys
from pbx.mediaproxy.srtp import SUITES, Opener, Sealer
from tests.pbx.mediaproxy.desk import NAMES, Ear, FakePhone, clip, engine, settings, sine
from tests.tones import make_tone

SUITE = "AES_CM_128_HMAC_SHA1_80"


class Voice:
    """One who speaks 20 ms at a time, with numbers of his own."""

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self._next = sequence, timestamp
        self._last = Numbers(0, 0, 0.0)

    def last(self) -> Numbers:
        return self._last

    def say(self, hears: Continuity, now: float, number: int = 0) -> rtp.Packet:
        """A packet, as the one who hears it gets it."""
        sequence, timestamp = self._next
        self._last = Numbers(sequence, timestamp, now)
        self._next = (sequence + 1) & 0xFFFF, (timestamp + 160) & 0xFFFFFFFF
        data = rtp.build(number, sequence, timestamp, self.ssrc, b"sound")
        packet = rtp.parse(data if hears.passes is self else hears.take(data, self, NAMES))
        assert packet is not None
        return packet


NUMBERS = st.tuples(st.integers(1, 0xFFFFFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))


@given(st.lists(NUMBERS, min_size=2, max_size=3), st.lists(st.integers(0, 2), min_size=2, max_size=30))
def test_whoever_speaks_the_numbers_go_on(numbers: list[tuple[int, int, int]], turns: list[int]) -> None:
    hears, voices = Continuity(), [Voice(*each) for each in numbers]
    heard = [voices[turn % len(voices)].say(hears, at * 0.02) for at, turn in enumerate(turns)]
    for before, after in itertools.pairwise(heard):
        assert after.ssrc == before.ssrc
        assert rtp.ahead(after.sequence, before.sequence, 16) == 1
        assert rtp.ahead(after.timestamp, before.timestamp, 32) == 160


def test_who_speaks_first_is_heard_as_he_is() -> None:
    hears, voice = Continuity(), Voice(7, 65535, 100)
    first, second = voice.say(hears, 0.0), voice.say(hears, 0.02)
    assert (hears.passes, hears.changes) == (voice, False)
    assert [(each.ssrc, each.sequence, each.timestamp, each.marker) for each in (first, second)] == [
        (7, 65535, 100, False),
        (7, 0, 260, False),
    ]


def test_a_pause_passes_in_the_timestamps_and_the_next_word_is_marked() -> None:
    hears, one, other = Continuity(), Voice(7, 10, 1000), Voice(9, 500, 90_000)
    one.say(hears, 5.0)
    hears.stop(one)
    one.say(Continuity(), 7.0)  # he talks to somebody else
    first, second = other.say(hears, 7.5), other.say(hears, 7.52)
    assert (first.ssrc, first.sequence, first.timestamp, first.marker) == (7, 11, 1000 + 20_000, True)
    assert (second.sequence, second.timestamp, second.marker) == (12, 1000 + 20_160, False)
    assert hears.timestamp(7.62) == 1000 + 20_960


def test_a_codec_with_another_clock_is_a_source_of_its_own() -> None:
    """RFC 7160 §4.1."""
    hears, one, other = Continuity(), Voice(7, 10, 1000), Voice(9, 500, 90_000)
    one.say(hears, 5.0)
    data = rtp.build(96, 1, 2, 9, b"sound")
    assert hears.take(data, other, {96: "OPUS/48000/2"}) == data
    assert (hears.ssrc, hears.changes) == (9, False)


def one_stream(packets: list[bytes]) -> list[rtp.Packet]:
    """All that came, of one source and without a gap."""
    found = [packet for data in packets if (packet := rtp.parse(data))]
    assert len({packet.ssrc for packet in found}) == 1
    assert all(after.sequence == (before.sequence + 1) & 0xFFFF for before, after in itertools.pairwise(found))
    return found


def heard(packets: list[bytes]) -> list[rtp.Packet]:
    """The sound that came, in time. On a busy machine silence of the studio is its first word."""
    found = one_stream([data for data in packets if not 192 <= data[1] < 224])
    for before, after in itertools.pairwise(found):
        assert 0 < rtp.ahead(after.timestamp, before.timestamp, 32) < 8000
    return found


@pytest.mark.parametrize("secret", [False, True])
async def test_another_party_and_music_are_heard_as_one_stream(tmp_path: Path, secret: bool) -> None:
    """A transfer, a hold with music, and the way back."""
    music = clip(make_tone(tmp_path / "music.wav", 600.0, seconds=0.2))
    mine, theirs = bytes(range(SUITES[SUITE].octets)), bytes(range(7, 7 + SUITES[SUITE].octets))
    async with engine() as media:
        ear = Ear()
        stays, one, other = await FakePhone.make(), await FakePhone.make(), await FakePhone.make()
        one.ssrc, other.ssrc, other.sequence, other.timestamp = 0x11111111, 0x22222222, 60_000, 4_000_000_000
        left, right, third = await media.open(ear), await media.open(Ear()), await media.open(Ear())
        left.configure(settings(stays.address, srtp=SrtpKeys(SUITE, mine, theirs) if secret else None, mux=True))
        right.configure(settings(one.address))
        left.connect(right)
        await one.speak(right.local, sine(440, 0.2))
        left.play(music)
        await ear.wait("played")
        await one.speak(right.local, sine(440, 0.1))
        third.configure(settings(other.address))
        left.connect(third)
        await other.speak(third.local, sine(700, 0.2))
        await stays.wait(33)
        opener = Opener(SUITE, mine)
        packets = [(opener.open(data) or b"") if secret else data for data in stays.got]
        found = heard(packets)
        assert found[-1].payload == sine(700, 0.2)[-160:]
        await one.speak(right.local, sine(440, 0.1))
        sealer = Sealer(SUITE, theirs)
        back = rtp.build(0, 1, 160, 5, sine(500, 0.02))
        stays.transport.sendto((sealer.seal(back) or b"") if secret else back, left.local)
        await other.wait(len(other.got) + 1)
        assert [each.payload for each in heard(other.got)][-1] == sine(500, 0.02)
        for phone in (stays, one, other):
            phone.close()


async def test_a_telephone_that_begins_anew_is_heard_as_before() -> None:
    async with engine() as media:
        near, far = await FakePhone.make(), await FakePhone.make()
        left, right = await media.open(Ear()), await media.open(Ear())
        left.configure(settings(near.address))
        right.configure(settings(far.address))
        left.connect(right)
        await far.speak(right.local, sine(440, 0.1))
        far.ssrc, far.sequence, far.timestamp = 99, 40_000, 123
        await far.speak(right.local, sine(440, 0.1))
        far.sequence, far.timestamp = 9, 4_000_000_000
        await far.speak(right.local, sine(440, 0.1))
        await near.wait(14)
        assert len(heard(near.got)) >= 14
        near.close()
        far.close()


async def test_reports_say_what_is_heard() -> None:
    """RFC 3550 §7.2: who changes numbers does not pass reports on as they are; we make our own."""
    async with engine() as media:
        near, far = await FakePhone.make(), await FakePhone.make()
        right, _, left = [await media.open(Ear()) for _ in range(3)]  # the third reports in the second second
        left.configure(settings(near.address, mux=True))
        right.configure(settings(far.address, mux=True))
        left.tone(440, 0.1)
        await near.wait(5)
        left.connect(right)
        theirs = rtcp.report(far.ssrc, "far", rtcp.Sent(1.5, 160, 2, 320), None)
        speaking = asyncio.create_task(far.speak(right.local, sine(440, 6.0)))
        far.transport.sendto(theirs, right.local)
        await near.wait(20)
        async with asyncio.timeout(8):
            while not (reports := [data for data in near.got if data[1] == rtcp.SENDER]):
                await near.wait(len(near.got) + 1)
        speaking.cancel()
        sound = heard(near.got)
        (report,) = reports
        _, _, _, timestamp, packets, octets = rtcp_sender(report)
        assert int.from_bytes(report[4:8], "big") == sound[0].ssrc != far.ssrc
        assert abs(rtp.ahead(timestamp, sound[-1].timestamp, 32)) < 1600
        assert abs(packets - len(sound)) < 3
        assert octets == packets * 160
        near.close()
        far.close()


def rtcp_sender(report: bytes) -> tuple[int, ...]:
    """The words of a sender report after its head (RFC 3550 §6.4.1)."""
    return tuple(int.from_bytes(report[at : at + 4], "big") for at in range(4, 28, 4))


async def test_a_digit_of_ours_takes_the_place_of_what_is_relayed() -> None:
    """RFC 4733 §2.3: all packets of one press share a timestamp."""
    async with engine() as media:
        ear = Ear()
        near, far = await FakePhone.make(), await FakePhone.make()
        left, right = await media.open(ear), await media.open(Ear())
        left.configure(settings(near.address))
        right.configure(settings(far.address))
        left.connect(right)
        speaking = asyncio.create_task(far.speak(right.local, sine(440, 0.6)))
        await near.wait(5)
        left.send_digit("7", 100)
        await speaking
        packets = one_stream(near.got)
        events = [at for at, packet in enumerate(packets) if packet.payload_type == 101]
        assert len({packets[at].timestamp for at in events}) == 1
        assert events == list(range(events[0], events[0] + 7)), "nothing else is heard meanwhile"
        near.close()
        far.close()
