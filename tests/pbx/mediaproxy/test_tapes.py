"""Tapes of two parties and mixes of several, stepped by hand beat for beat, and a whole worker that writes a file."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from base.entropy import SeededEntropy
from pbx.mediaproxy import g711, protocol, rtp
from pbx.mediaproxy.codecs import CODECS, encoder
from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.engine import MediaTape, StreamSettings
from pbx.mediaproxy.g711 import Law
from pbx.mediaproxy.recorder import Tape
from pbx.mediaproxy.studio import Studio
from pbx.mediaproxy.track import Track
from tests.pbx.mediaproxy.desk import Ear, FakePhone, engine, settings, sine
from tests.tones import share

Sound = npt.NDArray[np.float64]
NAMES = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000", 96: "OPUS/48000/2"}
IDENTITY = Identity()


class Party:
    """A stream and whoever speaks into it, one packet a beat."""

    def __init__(self, number: int, endpoint: Endpoint, payload_type: int, hertz: float) -> None:
        self.track = Track(endpoint, number, 0, 0)
        self.hertz = hertz
        self.sent: list[bytes] = []
        self._endpoint = endpoint
        self._type = payload_type
        self._number = number
        self._beat = 0
        self._encoder = encoder(NAMES[payload_type])
        endpoint.configure(StreamSettings(("127.0.0.1", 4000 + number), payload_type, NAMES))
        endpoint.wire.send = self._sent  # type: ignore[method-assign]

    def _sent(self, data: bytes | memoryview) -> tuple[int, int]:
        self.sent.append(bytes(data))
        return 1, len(data)

    def speak(self, now: float, *, lost: bool = False) -> None:
        """The next 20 ms of its tone."""
        codec = CODECS[NAMES[self._type]]
        time = (np.arange(codec.frame) + self._beat * codec.frame) / codec.rate
        payload = self._encoder.encode((8000 * np.sin(2 * np.pi * self.hertz * time)).astype(np.int16))
        packet = rtp.build(self._type, self._beat, self._beat * codec.clock // 50, self._number, payload)
        self._beat += 1
        if not lost:
            buffer = memoryview(bytearray(2048))
            buffer[: len(packet)] = packet
            self._endpoint.receive(buffer, len(packet), ("127.0.0.1", 4000 + self._number), now)

    def pause(self) -> None:
        """20 ms in which it sends nothing, and its timestamps go on."""
        self._beat += 1

    def heard(self) -> Sound:
        """All that was sent to it, in G.711."""
        packets = [packet for data in self.sent if (packet := rtp.parse(data)) is not None]
        law = Law.ALAW if packets and packets[0].payload_type == 8 else Law.ULAW
        return g711.decode(b"".join(packet.payload for packet in packets), law).astype(np.float64) / 32768


class Stage:
    """A studio in the hands of a test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._told: list[protocol.Event] = []
        self._parties: list[Party] = []
        self.now = 100.0
        self.studio = Studio(self._told.append, Counter())

    def party(self, payload_type: int, hertz: float) -> Party:
        wires = [self._stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2)]
        for wire in wires:
            wire.bind(("127.0.0.1", 0))
        number = len(self._parties) + 1
        made = Party(number, Endpoint(number, *wires, IDENTITY, SeededEntropy(1), Counter()), payload_type, hertz)
        self._parties.append(made)
        self.studio.add(made.track)
        return made

    def run(self, seconds: float, speaking: Sequence[Party], *, lost: Sequence[int] = ()) -> None:
        """`lost`: the beats whose packets do not arrive."""
        for beat in range(round(seconds * 50)):
            for party in self._parties:
                if party in speaking:
                    party.speak(self.now, lost=beat in lost)
                else:
                    party.pause()
            self.studio.beat(self.now)
            self.now += 0.02

    def tape(self) -> tuple[Sound, Sound, str]:
        """Both sides of what was taped, and why it ended."""
        pieces = [event for event in self._told if isinstance(event, protocol.Taped)]
        sound = np.frombuffer(b"".join(piece.samples for piece in pieces), dtype=np.int16).reshape(-1, 2) / 32768
        return sound[:, 0], sound[:, 1], pieces[-1].cause


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


def level(sound: Sound) -> float:
    """RMS in decibels of full scale."""
    return float(20 * np.log10(np.sqrt(np.mean(sound**2)) + 1e-9))


TONE = 20 * np.log10(8000 / 32768 / np.sqrt(2))


@pytest.mark.parametrize(("one", "other"), [(0, 8), (8, 96), (9, 0)])
def test_each_party_is_on_its_side_alone_whatever_its_codec(stage: Stage, one: int, other: int) -> None:
    alice, bob = stage.party(one, 440), stage.party(other, 1000)
    stage.studio.tape(7, alice.track, bob.track)
    stage.run(2.0, [alice, bob])
    stage.studio.end_tape(7, "stopped")
    left, right, cause = stage.tape()
    assert cause == "stopped"
    assert len(left) == 2.0 * 8000
    for side, own, others in ((left[2000:], 440, 1000), (right[2000:], 1000, 440)):
        assert share(side, 8000, own) > 0.98
        assert share(side, 8000, others) < 1e-3
        assert abs(level(side) - TONE) < 1.0


def test_pauses_and_losses_are_silence_in_their_place(stage: Stage) -> None:
    alice, bob = stage.party(0, 440), stage.party(0, 1000)
    stage.studio.tape(7, alice.track, bob.track)
    stage.run(1.0, [alice, bob])
    stage.run(1.0, [bob])  # alice is on hold, or says nothing and does not send
    stage.run(2.0, [alice, bob], lost=range(25, 50))
    stage.studio.end_tape(7, "stopped")
    left, right, _ = stage.tape()
    assert len(left) == len(right) == 4.0 * 8000
    for at, sounding in ((0.5, (True, True)), (1.5, (False, True)), (2.3, (True, True)), (2.8, (False, False))):
        window = slice(round((at - 0.1) * 8000), round((at + 0.1) * 8000))
        assert (level(left[window]) > -20, level(right[window]) > -20) == sounding, at
    assert level(left[round(3.4 * 8000) :]) > -20


def test_a_lost_packet_is_concealed_and_many_are_not(stage: Stage) -> None:
    alice = stage.party(0, 440)
    stage.studio.tape(7, alice.track, None)
    stage.run(1.0, [alice], lost=[25])
    stage.studio.end_tape(7, "stopped")
    left, right, _ = stage.tape()
    frames = left.reshape(-1, 160)
    quiet = [at for at, frame in enumerate(frames) if level(frame) < -40]
    assert all(at < 5 for at in quiet), "but for the delay of the beginning"
    assert not right.any()


def test_a_newcomer_is_heard_on_the_side_of_who_has_left(stage: Stage) -> None:
    alice, bob, carol = stage.party(0, 440), stage.party(0, 1000), stage.party(8, 1400)
    stage.studio.tape(7, alice.track, bob.track)
    stage.run(1.0, [alice, bob, carol])
    stage.studio.remove(2)
    stage.run(0.5, [alice, carol])
    stage.studio.tape(7, alice.track, carol.track)
    stage.run(1.0, [alice, carol])
    stage.studio.end_tape(7, "stopped")
    left, right, _ = stage.tape()
    assert len(left) == 2.5 * 8000
    assert share(left[2000:], 8000, 440) > 0.98
    assert share(right[2000:8000], 8000, 1000) > 0.98
    assert level(right[8000:12000]) < -50
    assert share(right[14000:], 8000, 1400) > 0.98


def test_a_tape_keeps_pace_with_the_clock_when_beats_are_left_out() -> None:
    tape: Tape[str] = Tape(1, "a", "b")
    frame = np.full(160, 5, dtype=np.int16)
    for beat in [*range(10), *range(40, 50)]:
        tape.take(frame, frame, beat * 0.02)
    sound = np.frombuffer(tape.hand_over(), dtype=np.int16).reshape(-1, 2)
    assert len(sound) == 50 * 160
    assert (sound[: 10 * 160] == 5).all()
    assert not sound[10 * 160 : 40 * 160].any()
    assert (sound[40 * 160 :] == 5).all()
    assert tape.hand_over() == b""


def test_a_tape_ends_after_a_day() -> None:
    tape: Tape[str] = Tape(1, "a", "b")
    frame = np.zeros(160, dtype=np.int16)
    assert tape.take(frame, frame, 0.0) == ""
    assert tape.take(frame, frame, 24 * 3600 - 0.02) == "limit"


@pytest.mark.parametrize("listening", [0, 8])
def test_a_listener_hears_the_sum_of_both_and_is_heard_by_nobody(stage: Stage, listening: int) -> None:
    alice, bob, carol = stage.party(0, 440), stage.party(8, 1000), stage.party(listening, 1400)
    alice.track.endpoint.relay.connect(bob.track.endpoint.relay)
    stage.studio.mix(carol.track, (alice.track, bob.track))
    stage.run(1.5, [alice, bob, carol])
    heard = carol.heard()[2000:]
    assert share(heard, 8000, 440) == pytest.approx(0.5, abs=0.02)
    assert share(heard, 8000, 1000) == pytest.approx(0.5, abs=0.02)
    assert abs(level(heard) - TONE - 3.0) < 0.5
    for party, other in ((alice, 1000), (bob, 440)):
        assert share(party.heard(), 8000, other) > 0.98
    stage.studio.remove(1)
    carol.sent.clear()
    stage.run(0.5, [bob, carol])
    assert share(carol.heard()[1000:], 8000, 1000) > 0.98
    stage.studio.mix(carol.track, ())
    carol.sent.clear()
    stage.run(0.2, [bob])
    assert level(carol.heard()) < -60


def test_loud_parties_are_clipped_and_do_not_wrap(stage: Stage) -> None:
    alice, bob, carol = (stage.party(0, 440) for _ in range(3))
    for _ in range(5):
        stage.studio.mix(carol.track, (alice.track, bob.track, alice.track, bob.track, alice.track, bob.track))
    stage.run(0.5, [alice, bob])
    heard = carol.heard()[2000:]
    assert np.abs(heard).max() > 0.95
    assert np.abs(np.diff(heard)).max() < 1.0, "a step from one end of the scale to the other"


def test_three_who_hear_each_other(stage: Stage) -> None:
    """What barging in needs: each gets the sum of the two others, and a prompt goes before it."""
    parties = [stage.party(0, 440), stage.party(0, 1000), stage.party(0, 1400)]
    parties[0].track.endpoint.relay.connect(parties[1].track.endpoint.relay)
    for party in parties:
        stage.studio.mix(party.track, tuple(each.track for each in parties if each is not party))
    stage.run(1.0, parties)
    for party in parties:
        heard = party.heard()[2000:]
        assert share(heard, 8000, party.hertz) < 0.01
        assert all(share(heard, 8000, each.hertz) > 0.45 for each in parties if each is not party)
    for party in parties:
        stage.studio.mix(party.track, ())
        party.sent.clear()
    stage.run(0.5, parties)
    assert share(parties[0].heard()[1000:], 8000, 1000) > 0.98, "the relay goes on"


def test_a_listener_that_cannot_be_sent_to_costs_the_others_nothing(stage: Stage) -> None:
    alice, bob, carol, dave = (stage.party(0, hertz) for hertz in (440, 1000, 1400, 1600))

    def broken(_: bytes | memoryview) -> tuple[int, int]:
        raise RuntimeError("broken")

    for listener in (carol, dave):
        stage.studio.mix(listener.track, (alice.track, bob.track))
    stage.studio.tape(7, alice.track, bob.track)
    carol.track.endpoint.wire.send = broken  # type: ignore[method-assign]
    stage.run(1.0, [alice, bob])
    stage.studio.end_tape(7, "stopped")
    left, _, _ = stage.tape()
    assert share(left[2000:], 8000, 440) > 0.98
    assert share(dave.heard()[2000:], 8000, 1000) > 0.4


def test_a_stream_with_a_fault_is_left_out_and_the_others_have_their_beat(stage: Stage) -> None:
    alice, bob, carol = (stage.party(0, hertz) for hertz in (440, 1000, 1400))

    def broken() -> None:
        raise RuntimeError("broken")

    stage.studio.tape(7, alice.track, carol.track)
    stage.run(0.4, [alice, bob, carol])
    bob.track.endpoint.ear.pull = broken  # type: ignore[method-assign]
    before = len(carol.sent)
    stage.run(0.4, [alice, bob, carol])
    assert len(carol.sent) == before + 20
    stage.studio.end_tape(7, "stopped")
    for side in stage.tape()[:2]:
        assert min(level(side[at : at + 160]) for at in range(2000, len(side), 160)) > -20


async def test_a_worker_writes_stereo_files_that_are_whole_at_any_moment(tmp_path: Path) -> None:
    """One is ended, one is lost with the worker, and one cannot be written."""
    async with engine() as media:
        phones = [await FakePhone.make() for _ in range(2)]
        streams = [await media.open(Ear()) for _ in phones]
        for stream, phone in zip(streams, phones, strict=True):
            stream.configure(settings(phone.address))
        streams[0].connect(streams[1])
        told: asyncio.Queue[tuple[str, str, float]] = asyncio.Queue()

        def begin(path: Path) -> MediaTape:
            return media.tape(path, lambda cause, seconds: told.put_nowait((path.stem, cause, seconds)))

        (tmp_path / "file").write_text("no folder")
        begin(tmp_path / "file" / "bad.wav")
        assert await asyncio.wait_for(told.get(), 5) == ("bad", "failed", 0.0)
        ended, lost = begin(tmp_path / "calls" / "ended.wav"), begin(tmp_path / "lost.wav")
        for tape in (ended, lost):
            tape.turn(streams[0], streams[1])
        speaking = [
            phone.speak(stream.local, sine(hertz, 1.2))
            for phone, stream, hertz in zip(phones, streams, (440, 1000), strict=True)
        ]
        await asyncio.gather(*speaking)
        assert len(soundfile.read(tmp_path / "lost.wav")[0]) >= 4000, "it can be read while it is written"
        ended.end()
        ended.end()
        name, cause, seconds = await asyncio.wait_for(told.get(), 5)
        assert (name, cause) == ("ended", "stopped")
        sound, rate = soundfile.read(tmp_path / "calls" / "ended.wav")
        assert (rate, len(sound)) == (8000, round(seconds * 8000))
        assert 1.0 <= seconds <= 2.5
        for side, hertz in ((0, 440), (1, 1000)):  # a busy machine conceals a packet or two
            assert share(sound[2000:8000, side], rate, hertz) > 0.9
        assert (tmp_path / "calls" / "ended.wav").stat().st_mode & 0o777 == 0o600
        assert media.worker_pid is not None
        os.kill(media.worker_pid, signal.SIGKILL)
        name, cause, seconds = await asyncio.wait_for(told.get(), 5)
        assert (name, cause) == ("lost", "lost")
        assert soundfile.info(tmp_path / "lost.wav").frames == round(seconds * 8000)
        assert seconds >= 0.5
        for phone in phones:
            phone.close()
