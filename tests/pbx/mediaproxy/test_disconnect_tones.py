"""A line that brings its disconnect tone, beat for beat: what is kept of it has none of it, and the call can end."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from base.entropy import SeededEntropy
from pbx.mediaproxy import g711, protocol, rtp
from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.engine import StreamSettings
from pbx.mediaproxy.g711 import Law
from pbx.mediaproxy.studio import Studio
from pbx.mediaproxy.track import Track
from pbx.trunk.tones import tones
from tests.pbx.mediaproxy.test_tone_watch import PROMPTS, RATE, played
from tests.tones import share, tone

Sound = npt.NDArray[np.float64]
NAMES = {0: "PCMU/8000"}
US = tones("us")


class Line:
    """A studio with streams that are spoken into at the beat."""

    def __init__(self, stack: ExitStack) -> None:
        self.told: list[protocol.Event] = []
        self.studio = Studio(self.told.append, Counter())
        self._stack = stack
        self._identity = Identity()
        self._endpoints: list[Endpoint] = []
        self._beat = 0

    def stream(self, *, watched: bool) -> Track:
        wires = [self._stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2)]
        for wire in wires:
            wire.bind(("127.0.0.1", 0))
        number = len(self._endpoints) + 1
        endpoint = Endpoint(number, *wires, self._identity, SeededEntropy(1), Counter())
        endpoint.configure(StreamSettings(("127.0.0.1", 4000 + number), 0, NAMES))
        endpoint.wire.send = lambda data: (1, len(data))  # type: ignore[method-assign]
        self._endpoints.append(endpoint)
        track = Track(endpoint, number, 0, 0)
        self.studio.add(track)
        self.studio.watch(track, US if watched else ())
        return track

    def brings(self, *sounds: Sound) -> None:
        """One sound for each stream, at once, until the longest is over."""
        beats = max(len(sound) for sound in sounds) // 160
        for at in range(beats):
            for endpoint, sound in zip(self._endpoints, sounds, strict=True):
                frame = np.zeros(160)
                piece = sound[at * 160 : (at + 1) * 160]
                frame[: len(piece)] = piece
                payload = g711.encode((frame * 32767).astype(np.int16), Law.ULAW)
                packet = rtp.build(0, self._beat, self._beat * 160, endpoint.number, payload)
                buffer = memoryview(bytearray(2048))
                buffer[: len(packet)] = packet
                source = ("127.0.0.1", 4000 + endpoint.number)
                endpoint.receive(buffer, len(packet), source, self._beat * 0.02)
            self.studio.beat(self._beat * 0.02)
            self._beat += 1

    @property
    def recording(self) -> tuple[Sound, str]:
        pieces = [event for event in self.told if isinstance(event, protocol.Sound)]
        sound = np.frombuffer(b"".join(piece.samples for piece in pieces), dtype=np.int16) / 32768
        return sound, pieces[-1].cause

    @property
    def hung_up(self) -> list[int]:
        return [event.stream for event in self.told if isinstance(event, protocol.HungUp)]


@pytest.fixture
def line() -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(stack)


def message() -> Sound:
    sound, _ = soundfile.read(PROMPTS / "receptionprompt.wav")
    return np.asarray(sound)


def is_busy(sound: Sound) -> bool:
    """Whether there is half a tenth of a second of it anywhere."""
    pieces = [sound[at : at + 400] for at in range(0, len(sound) - 400, 200)]
    return any(share(piece, RATE, 480) + share(piece, RATE, 620) > 0.8 for piece in pieces)


def test_a_recording_ends_by_the_tone_and_has_none_of_it(line: Line) -> None:
    track = line.stream(watched=True)
    line.studio.record(track, 7, 180.0, 10.0)
    line.brings(np.concatenate([message(), np.zeros(4000), played(US[0], 6)]))
    sound, cause = line.recording
    assert cause == "hung up"
    assert not is_busy(sound)
    assert len(sound) / RATE == pytest.approx(len(message()) / RATE + 0.5, abs=0.1), "all of the message is there"
    assert line.hung_up == [1]
    names = [type(event).__name__ for event in line.told]
    assert names.index("HungUp") > max(at for at, name in enumerate(names) if name == "Sound")


def test_nothing_is_held_back_once_the_doubt_is_over(line: Line) -> None:
    """One beep of that tone, and speech again."""
    track = line.stream(watched=True)
    line.studio.record(track, 7, 180.0, 10.0)
    beep = tone(480, 620, seconds=0.5, amplitude=0.2)
    spoken = np.concatenate([message(), np.zeros(2400), beep, np.zeros(2400), message()])
    line.brings(spoken)
    line.studio.end_record(track, "stopped")
    sound, cause = line.recording
    assert cause == "stopped"
    assert len(sound) / RATE == pytest.approx(len(spoken) / RATE, abs=0.05)
    assert is_busy(sound)
    assert line.hung_up == []


def test_a_tape_keeps_what_the_other_party_said_meanwhile(line: Line) -> None:
    near, far = line.stream(watched=False), line.stream(watched=True)
    line.studio.tape(5, near, far)
    line.brings(tone(1000, seconds=5), played(US[0], 5))
    line.studio.end_tape(5, "stopped")
    pieces = [event.samples for event in line.told if isinstance(event, protocol.Taped)]
    taped = np.frombuffer(b"".join(pieces), dtype=np.int16).reshape(-1, 2) / 32768
    heard = 2 * RATE  # then the tone was known, and the call would have ended
    assert share(taped[:heard, 0], RATE, 1000) > 0.9
    assert not is_busy(taped[:heard, 1])
    assert line.hung_up == [2]


def test_a_line_that_is_not_watched_may_bring_what_it_likes(line: Line) -> None:
    track = line.stream(watched=False)
    line.studio.record(track, 7, 180.0, 10.0)
    line.brings(played(US[0], 5))
    assert line.hung_up == []
    line.studio.watch(track, US)
    line.studio.watch(track, US)
    line.brings(played(US[0], 3))
    assert line.hung_up == [1]
    line.studio.remove(1)
