"""The jitter buffer, with networks that reorder, lose, double and delay."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pbx.mediaproxy.jitter import DEEPEST, FRAME, JitterBuffer


def octets(number: int, size: int = FRAME) -> bytes:
    """A frame that can be recognised: never the octet of silence."""
    return bytes([number % 250]) * size


def feed(buffer: JitterBuffer, arrivals: list[tuple[float, int]], beats: int, size: int = FRAME) -> list[bytes | None]:
    """Put frames (time, number) and pull at each beat; returns what was pulled."""
    queue = sorted(arrivals)
    pulled = []
    for beat in range(beats):
        now = beat * 0.02 + 0.001
        while queue and queue[0][0] <= now:
            when, number = queue.pop(0)
            buffer.put((1 << 32) - 800 + number * size & 0xFFFFFFFF, 7, octets(number, size), when)
        pulled.append(buffer.pull())
    return pulled


def test_an_even_stream_comes_out_whole_after_a_short_delay() -> None:
    buffer = JitterBuffer()
    pulled = feed(buffer, [(n * 0.02, n) for n in range(100)], 100)
    first = next(place for place, frame in enumerate(pulled) if frame)
    assert first <= 2
    assert pulled[first:] == [octets(n) for n in range(100 - first)]
    assert buffer.lost == 0


def test_frames_of_any_length_come_out_as_20_ms() -> None:
    for size in (80, 240, 320, 480):
        buffer = JitterBuffer()
        seconds = size / 8000
        pulled = feed(buffer, [(n * seconds, n) for n in range(60)], int(60 * seconds / 0.02), size)
        sound = b"".join(frame for frame in pulled if frame)
        assert b"".join(octets(n, size) for n in range(60)).startswith(sound)
        assert len(sound) > 60 * size - 8 * FRAME
        assert buffer.lost == 0


def test_reordered_and_doubled_packets_are_put_right() -> None:
    arrivals = [(n * 0.02 + (0.025 if n % 5 == 0 else 0.0), n) for n in range(200)]
    arrivals += [(when + 0.001, n) for when, n in arrivals if n % 3 == 0]
    buffer = JitterBuffer()
    pulled = [frame for frame in feed(buffer, arrivals, 200) if frame]
    assert pulled[20:150] == [octets(n) for n in range(pulled[20][0], pulled[20][0] + 130)]


def test_a_lost_packet_is_one_frame_missing() -> None:
    buffer = JitterBuffer()
    pulled = feed(buffer, [(n * 0.02, n) for n in range(100) if n != 50], 100)
    place = pulled.index(octets(49))
    assert pulled[place + 1 : place + 3] == [None, octets(51)]
    assert buffer.lost == 1


def test_the_delay_grows_with_jitter_and_falls_after_it() -> None:
    chance = random.Random(3)
    rough = [(n * 0.02 + chance.uniform(0, 0.08), n) for n in range(500)]
    even = [(n * 0.02, n) for n in range(500, 2000)]
    buffer = JitterBuffer()
    pulled = feed(buffer, rough, 500)
    assert sum(frame is None for frame in pulled[100:]) < 20
    assert buffer.target >= 640
    feed_on = JitterBuffer()
    feed(feed_on, rough + even, 2000)
    assert feed_on.target <= 400
    assert feed_on.depth <= 400 + 3 * FRAME
    assert feed_on.skipped >= 1


def test_a_faster_clock_at_the_other_end_is_followed() -> None:
    buffer = JitterBuffer()
    pulled = feed(buffer, [(n * 0.02 * 0.999, n) for n in range(10000)], 9990)  # 1000 ppm: much more than any clock
    assert buffer.depth < DEEPEST
    assert 5 <= buffer.skipped <= 15
    assert sum(frame is None for frame in pulled[10:]) < 10


def test_a_slower_clock_costs_a_frame_now_and_then() -> None:
    buffer = JitterBuffer()
    pulled = feed(buffer, [(n * 0.02 * 1.001, n) for n in range(9990)], 9990)
    assert sum(frame is None for frame in pulled[10:]) < 30


def test_a_jump_of_the_timestamps_is_followed_from_the_second_packet() -> None:
    buffer = JitterBuffer()
    for n in range(20):
        buffer.put(n * 160, 7, octets(n), n * 0.02)
        buffer.pull()
    out = []
    for n in range(20):
        buffer.put(5_000_000 + n * 160, 7, octets(100 + n), (20 + n) * 0.02)
        out.append(buffer.pull())
    assert octets(110) in out
    assert buffer.resets == 1


def test_one_packet_from_elsewhere_changes_nothing() -> None:
    buffer = JitterBuffer()
    for n in range(10):
        buffer.put(n * 160, 7, octets(n), n * 0.02)
        buffer.pull()
    buffer.put(5_000_000, 7, octets(200), 0.2)
    out = []
    for n in range(10, 20):
        buffer.put(n * 160, 7, octets(n), n * 0.02)
        out.append(buffer.pull())
    assert None not in out
    assert octets(200) not in out


def test_a_new_ssrc_is_a_new_stream() -> None:
    buffer = JitterBuffer()
    for n in range(10):
        buffer.put(n * 160, 7, octets(n), n * 0.02)
        buffer.pull()
    out = []
    for n in range(10):
        buffer.put(99 + n * 160, 8, octets(50 + n), 0.2 + n * 0.02)
        out.append(buffer.pull())
    assert octets(55) in out


def test_a_pause_of_the_sender_costs_nothing() -> None:
    buffer = JitterBuffer()
    arrivals = [(n * 0.02, n) for n in range(50)] + [(n * 0.02, n) for n in range(250, 300)]
    pulled = feed(buffer, arrivals, 305)
    assert len([frame for frame in pulled if frame]) >= 95
    assert all(octets(n) in pulled for n in range(250, 290))


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 1), st.integers(0, 600), st.floats(0, 0.2)), max_size=80
    )
)
def test_whatever_comes_the_buffer_stays_bounded(packets: list[tuple[int, int, int, float]]) -> None:
    buffer, now = JitterBuffer(), 0.0
    for timestamp, ssrc, size, pause in packets:
        now += pause
        buffer.put(timestamp, ssrc, bytes(size), now)
        frame = buffer.pull()
        assert frame is None or len(frame) == FRAME
        assert buffer.depth <= 16384
        assert buffer.target <= DEEPEST


@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.randoms())
def test_what_comes_out_went_in_and_in_order(start: int, loss: int, chance: random.Random) -> None:
    buffer, out = JitterBuffer(), []
    waiting: list[tuple[float, int]] = []
    for n in range(150):
        if chance.randrange(100) >= loss:
            waiting.append((n * 0.02 + chance.random() * 0.05, n))
    for beat in range(170):
        now = beat * 0.02
        for when, n in sorted(item for item in waiting if now - 0.02 < item[0] <= now):
            buffer.put((start + n * 160) & 0xFFFFFFFF, 1, octets(n), when)
        frame = buffer.pull()
        if frame is not None:
            assert len(set(frame)) == 1
            out.append(frame[0])
    assert out == sorted(set(out))
