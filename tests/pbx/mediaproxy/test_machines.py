"""The pure machines of the media engine, stepped by hand."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.mediaproxy import g711, rtp
from pbx.mediaproxy.digits import Digit, DigitReceiver, DigitSender
from pbx.mediaproxy.framer import Framer
from pbx.mediaproxy.g711 import Law
from pbx.mediaproxy.latch import SETTLING, STALE, WINDOW, Latch, LatchState
from pbx.mediaproxy.plan import Translation, numeric, translations
from pbx.mediaproxy.player import Clip, Player, tone
from pbx.mediaproxy.protocol import Frames
from pbx.mediaproxy.reception import Reception
from pbx.mediaproxy.speech import SpeechDetector

PHONE = ("192.0.2.7", 4000)
OTHER = ("198.51.100.9", 9999)


# --- RTP


@given(st.binary(max_size=80))
def test_any_octets_parse_or_do_not(data: bytes) -> None:
    packet = rtp.parse(data)
    assert packet is None or len(packet.payload) <= len(data) - rtp.HEADER


def test_a_packet_is_read_as_built() -> None:
    packet = rtp.parse(rtp.build(101, 70000, 1 << 33, 7, b"abc", marker=True))
    assert packet == rtp.Packet(101, True, 70000 & 0xFFFF, 0, 7, b"abc")


def test_csrc_extension_and_padding_are_left_out() -> None:
    body = b"\xb1\x00" + bytes(10) + b"CSRC" + b"\xbe\xde\x00\x01" + b"ext1" + b"voice" + b"\x00\x00\x03"
    packet = rtp.parse(body)
    assert packet is not None
    assert packet.payload == b"voice"


# --- G.711


def test_the_laws_know_their_reference_values() -> None:
    assert list(g711.decode(bytes([0x00, 0x80, 0xFF, 0x7F]), Law.ULAW)) == [-32124, 32124, 0, 0]
    assert list(g711.decode(bytes([0xD5, 0x55, 0xAA, 0x2A]), Law.ALAW)) == [8, -8, 32256, -32256]


@pytest.mark.parametrize("law", list(Law))
def test_each_octet_survives_decoding_and_encoding(law: Law) -> None:
    samples = g711.decode(bytes(range(256)), law)
    assert np.array_equal(g711.decode(g711.encode(samples, law), law), samples)


@pytest.mark.parametrize("law", list(Law))
def test_one_law_is_close_to_the_other(law: Law) -> None:
    octets = g711.encode(np.arange(-32000, 32000, 50, dtype=np.int16), law)
    here = g711.decode(octets, law).astype(int)
    there = g711.decode(octets.translate(g711.across(law)), Law(1 - law)).astype(int)
    assert np.all(np.abs(here - there) <= np.maximum(16, np.abs(here) // 16))


# --- latch


def test_a_peer_behind_a_router_is_no_stranger_afterwards() -> None:
    """What it sent while it waited to be believed was the peer's; what others sent in the meantime was not."""
    latch = Latch()
    latch.configure(PHONE)
    assert not latch.accept(OTHER, 1, 0.0)
    assert latch.waits(OTHER)
    assert not latch.accept(("198.51.100.200", 9), 9, 0.1)
    assert not latch.waits(("198.51.100.200", 9))
    assert latch.strangers == 2
    assert latch.accept(OTHER, 1, WINDOW)
    assert latch.strangers == 1
    assert not latch.waits(OTHER)


def test_reports_belong_to_the_peers_host_whether_or_not_we_send_there() -> None:
    latch = latched()
    assert latch.belongs((PHONE[0], PHONE[1] + 1))
    assert not latch.belongs(("198.51.100.200", PHONE[1] + 1))
    latch.believe(OTHER)
    assert latch.belongs((OTHER[0], 7))


def latched() -> Latch:
    latch = Latch()
    latch.configure(PHONE)
    assert latch.accept(PHONE, 1, 0.0)
    return latch


def test_the_sdp_address_is_believed_at_once_and_strangers_are_not() -> None:
    latch = latched()
    assert not latch.accept(OTHER, 2, 0.1)
    assert not latch.accept(OTHER, 1, 1.0)
    assert (latch.source, latch.strangers) == (PHONE, 2)


def test_another_port_of_the_same_host_is_symmetric_nat() -> None:
    latch = Latch()
    latch.configure(PHONE)
    assert latch.accept((PHONE[0], 61234), 1, 0.0)
    assert latch.targets() == ((PHONE[0], 61234),)


def test_first_packets_go_to_both_addresses() -> None:
    latch = Latch()
    latch.configure(("10.0.0.5", 4000), OTHER)
    assert latch.targets() == (("10.0.0.5", 4000), OTHER)
    assert latch.accept((OTHER[0], 1234), 1, 0.0)
    assert latch.targets() == ((OTHER[0], 1234),)


def test_an_unknown_source_must_go_on_while_the_sdp_address_is_silent() -> None:
    latch = Latch()
    latch.configure(PHONE)
    assert not latch.accept(OTHER, 5, 0.0)
    assert not latch.accept(OTHER, 5, WINDOW / 2)
    assert latch.state is LatchState.SEEKING
    assert latch.accept(OTHER, 5, WINDOW)
    assert latch.accept(PHONE, 1, SETTLING / 2), "the address that signalling named may still take over"
    assert not latch.accept(OTHER, 5, SETTLING / 2 + 0.02)


def test_the_sdp_address_wins_within_the_window() -> None:
    latch = Latch()
    latch.configure(PHONE)
    assert not latch.accept(OTHER, 5, 0.0)
    assert latch.accept(PHONE, 1, 0.1)
    assert not latch.accept(OTHER, 5, WINDOW + 0.1)


def test_after_settling_even_the_sdp_address_is_a_stranger() -> None:
    latch = Latch()
    latch.configure(PHONE)
    latch.accept(OTHER, 5, 0.0)
    latch.accept(OTHER, 5, WINDOW)
    for beat in range(1, 250):
        latch.accept(OTHER, 5, WINDOW + beat * 0.02)
    assert not latch.accept(PHONE, 1, SETTLING + 1.0)


def test_a_nat_binding_may_move_only_after_silence_and_with_the_same_ssrc() -> None:
    latch = latched()
    assert not latch.accept(OTHER, 1, STALE - 0.1)
    assert not latch.accept(OTHER, 9, STALE + 0.1)
    assert latch.accept(OTHER, 1, STALE + 0.2)
    assert latch.source == OTHER


def test_a_new_sdp_address_starts_anew_and_the_same_does_not() -> None:
    latch = latched()
    latch.configure(PHONE)
    assert latch.source == PHONE
    latch.configure(OTHER)
    assert latch.state is LatchState.SEEKING
    assert latch.accept(OTHER, 4, 0.5)


def test_nothing_is_believed_before_signalling_named_an_address() -> None:
    latch = Latch()
    assert not latch.accept(PHONE, 1, 0.0)
    assert latch.targets() == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(0, 1)), max_size=60))
def test_a_latched_and_talking_source_is_never_replaced(steps: list[tuple[int, int, float]]) -> None:
    latch, now = latched(), 0.0
    for host, ssrc, pause in steps:
        now += min(pause, STALE / 2)
        latch.accept((f"203.0.113.{host}", 5000), ssrc, now)
        assert latch.accept(PHONE, 1, now)


# --- telephone-events


def event(key: int, duration: int, *, end: bool = False) -> bytes:
    return struct.pack("!BBH", key, 0x8A if end else 0x0A, duration)


def test_a_press_is_told_once_however_often_its_end_comes() -> None:
    keys = DigitReceiver()
    assert keys.receive(1000, event(5, 160), 0.0) is None
    assert keys.receive(1000, event(5, 800, end=True), 0.1) == Digit("5", 100)
    assert keys.receive(1000, event(5, 800, end=True), 0.1) is None
    assert keys.receive(1000, event(5, 640), 0.12) is None, "a late packet of the same press"
    assert keys.tick(1.0) is None


def test_a_press_whose_begin_and_middle_were_lost_is_told() -> None:
    assert DigitReceiver().receive(1000, event(11, 800, end=True), 0.1) == Digit("#", 100)


def test_a_press_whose_ends_were_lost_is_told_by_time_or_by_the_next() -> None:
    keys = DigitReceiver()
    keys.receive(1000, event(1, 480), 0.0)
    assert keys.tick(0.05) is None
    assert keys.tick(0.15) == Digit("1", 60)
    keys.receive(9000, event(2, 480), 1.0)
    assert keys.receive(17000, event(2, 160), 1.05) == Digit("2", 60)
    assert keys.tick(2.0) == Digit("2", 20)


def test_the_same_key_twice_is_two_presses() -> None:
    keys = DigitReceiver()
    told = [keys.receive(stamp, event(7, 800, end=True), stamp / 8000) for stamp in (0, 4000, 8000)]
    assert told == [Digit("7", 100)] * 3


def test_a_very_long_press_in_segments_is_one_press() -> None:
    keys = DigitReceiver()
    keys.receive(0, event(3, 0xFFFF), 8.0)
    assert keys.receive(0xFFFF, event(3, 160), 8.02) is None
    assert keys.receive(0xFFFF, event(3, 800, end=True), 8.1) == Digit("3", (0xFFFF + 800) // 8)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=6)), max_size=40))
def test_any_events_are_taken(packets: list[tuple[int, bytes]]) -> None:
    keys = DigitReceiver()
    for number, (timestamp, payload) in enumerate(packets):
        keys.receive(timestamp, payload, number * 0.02)
        keys.tick(number * 0.02)


@given(st.text(alphabet="0123456789*#ABCD", min_size=1, max_size=12), st.integers(0, 60), st.randoms())
def test_what_the_sender_sends_the_receiver_hears_through_loss(keys: str, loss: int, chance: random.Random) -> None:
    sender, receiver, heard = DigitSender(), DigitReceiver(), ""
    for key in keys:
        sender.push(key, 100)
    beat = 0
    while sender.busy or receiver.pressed:
        packet = sender.beat(beat * 160)
        kept = 0
        for copy in range(packet.copies if packet else 0):
            assert packet is not None
            first = packet.marker  # at least one packet of each press arrives
            if first or chance.randrange(100) >= loss:
                kept += 1
                digit = receiver.receive(packet.timestamp, packet.payload, beat * 0.02 + copy * 1e-4)
                heard += digit.key if digit else ""
        beat += 1
        digit = receiver.tick(beat * 0.02)
        heard += digit.key if digit else ""
    assert heard == keys


# --- framer, player, reception, speech, frames


@given(st.integers(-5, 200), st.integers(1, 40))
def test_the_framer_loses_no_octet(ptime: int, beats: int) -> None:
    framer, sound = Framer(0xFFFFFF00, ptime), bytearray()
    expected = 0xFFFFFF00
    for beat in range(beats):
        for timestamp, payload in framer.push(bytes([beat]) * 160):
            assert timestamp == expected
            assert len(payload) in range(80, 481)
            expected = (expected + len(payload)) & 0xFFFFFFFF
            sound += payload
    whole = b"".join(bytes([beat]) * 160 for beat in range(beats))
    assert whole.startswith(sound)
    assert len(whole) - len(sound) < 480


def ramp(length: int) -> Clip:
    return Clip((np.arange(length) % 2000 * 8).astype(np.int16))


def test_a_clip_ends_and_is_filled_up_with_silence() -> None:
    player = Player(1, None)
    assert player.take(Law.ULAW) == b"\xff" * 160, "it waits for its clip"
    clip = ramp(200)
    player.load(clip)
    assert player.take(Law.ULAW) == clip.coded(Law.ULAW)[:160]
    assert not player.ended
    assert player.take(Law.ULAW) == clip.coded(Law.ULAW)[160:] + b"\xff" * 120
    assert player.ended


@given(st.integers(1, 700), st.floats(0, 0.5), st.floats(0, 0.3))
def test_a_loop_is_as_long_as_asked_and_has_no_seam(length: int, seconds: float, offset: float) -> None:
    clip, player = ramp(length), Player(1, seconds, offset)
    player.load(clip)
    sound = b""
    while not player.ended:
        sound += player.take(Law.ALAW)
    wanted = round(seconds * 8000)
    start = round(offset * 8000) % length
    endless = clip.coded(Law.ALAW) * (1 + (start + wanted) // length)
    assert sound[:wanted] == endless[start : start + wanted]
    assert set(sound[wanted:]) <= {0xD5}


def test_nothing_to_play_is_over_at_once() -> None:
    for clip, offset in ((None, 0.0), (Clip(np.zeros(0, dtype=np.int16)), 0.0), (ramp(80), 5.0)):
        player = Player(1, None, offset)
        player.load(clip)
        assert player.ended


def test_a_tone_loops_without_a_click() -> None:
    octets = tone(440, 480).coded(Law.ULAW)
    samples = g711.decode(octets + octets[:10], Law.ULAW).astype(int)
    assert np.abs(np.diff(samples)).max() < 6500


def test_loss_is_counted_over_a_wrap_and_a_new_ssrc() -> None:
    reception = Reception()
    for sequence in (65533, 65534, 1, 0, 3):
        reception.packet(sequence, 1)
    assert reception.lost == 2  # 65535 and 2
    reception.packet(500, 2)
    reception.packet(502, 2)
    assert reception.lost == 3


def test_an_even_stream_has_no_jitter() -> None:
    reception = Reception()
    for number in range(50):
        reception.timing(number * 160, number * 0.02)
    assert reception.jitter == pytest.approx(0.0, abs=1e-6)
    for number in range(50, 400):
        reception.timing(number * 160, number * 0.02 + 0.01 * (number % 2))
    assert reception.jitter == pytest.approx(10.0, rel=0.1)


def test_speech_over_noise_is_heard_and_silence_counted() -> None:
    detector = SpeechDetector()
    for _ in range(250):
        detector.hear(-48.0)
    assert detector.silent_beats > 50, "a steady hum becomes background"
    assert [detector.hear(-22.0) for _ in range(3)] == [False, True, True]
    for _ in range(1000):
        assert detector.hear(-20.0), "long speech stays speech"
    for _ in range(50):
        detector.hear(-48.0)
    assert 30 <= detector.silent_beats <= 40


def test_a_click_is_no_speech() -> None:
    detector = SpeechDetector()
    assert not any(detector.hear(-10.0 if beat % 20 == 0 else -70.0) for beat in range(100))


def test_relay_plan() -> None:
    left = {0: "PCMU/8000", 8: "PCMA/8000", 96: "TELEPHONE-EVENT/8000", 13: "CN/8000"}
    right = {8: "PCMA/8000", 101: "telephone-event/8000"}
    plan = translations(left, right, 101)
    assert plan[8] == Translation(8)
    assert plan[96] == Translation(101)
    assert plan[0] == Translation(8, g711.across(Law.ULAW))
    assert 13 not in plan
    assert translations(left, {0: "PCMU/8000", 96: "TELEPHONE-EVENT/8000", 97: "TELEPHONE-EVENT/8000"}, 97)[
        96
    ] == Translation(97), "the far side hears the number that it named, not the one that it was told"


@pytest.mark.parametrize(
    "address",
    [
        ("0.0.0.0", 4000),
        ("example.org", 4000),
        ("192.0.2.1", 0),
        ("239.1.1.1", 4),
        ("255.255.255.255", 4),
        ("::", 4),
        ("ff02::1", 4),
    ],
)
def test_what_may_not_be_sent_to(address: tuple[str, int]) -> None:
    assert numeric(address) is None


@given(st.lists(st.binary(max_size=50), max_size=10), st.integers(1, 30))
def test_frames_are_cut_wherever_the_stream_breaks(bodies: list[bytes], step: int) -> None:
    wire = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    frames, got = Frames(), []
    for at in range(0, len(wire), step):
        got += frames.feed(wire[at : at + step])
    assert got == bodies


def test_a_frame_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="a frame of"):
        Frames().feed(b"\xff\xff\xff\xff")
