"""A stand-in for the media engine in virtual time: plays end when they would, recordings are files, keys come by hand.

No packets: a stream that is joined with another only knows of it. Implements `pbx.mediaproxy.engine`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from base.clock import Clock, Timer
from base.failures import Failure
from pbx.mediaproxy.engine import Clip, MediaListener, StreamSettings, StreamStatistics
from pbx.mediaproxy.wav import HEADER_SIZE, header

OCTETS = 16_000
"""Octets of a second of recorded sound."""


@dataclass(slots=True)
class Taking:
    """A recording: where, since when, and what becomes of it."""

    number: int
    path: Path
    began: float
    limit: Timer
    seconds: float = 0.0
    cause: str = ""


class VirtualStream:
    """One endpoint; it writes down what it is told."""

    def __init__(self, studio: VirtualStudio, number: int, listener: MediaListener) -> None:
        self.id = number
        self.local = ("10.0.0.1", 61_000 + 2 * (number % 1000))
        self.listener = listener
        self.settings: StreamSettings | None = None
        self.other: VirtualStream | None = None
        self.met: set[int] = set()
        self.heard: list[str] = []
        self.takings: list[Taking] = []
        self.closed = False
        self._studio = studio
        self._numbers = 0
        self._playing: Timer | None = None

    fingerprint = "sha-256 " + ":".join(["AB"] * 32)

    def configure(self, settings: StreamSettings) -> None:
        self.settings = settings

    def connect(self, other: VirtualStream) -> None:
        self.disconnect()
        other.disconnect()
        self.stop()
        self.other, other.other = other, self
        self.met.add(other.id)
        other.met.add(self.id)

    def disconnect(self) -> None:
        if self.other is not None:
            self.other.other = None
            self.other = None

    def echo(self, on: bool) -> None:
        self.heard.append(f"echo {on}")

    def play(self, clip: Clip, *, seconds: float | None = None, offset: float = 0.0) -> int:
        length = max(0.0, (clip.path.stat().st_size - HEADER_SIZE) / OCTETS - offset)
        self.heard.append(clip.path.stem)
        return self._sound(length if seconds is None else seconds)

    def tone(self, frequency: float, seconds: float, second: float = 0.0) -> int:
        self.heard.append(f"{frequency:.0f} Hz")
        return self._sound(seconds)

    def _sound(self, seconds: float) -> int:
        self.stop()
        self._numbers += 1
        number = self._numbers
        if seconds >= 0 and not self.closed:
            self._playing = self._studio.clock.call_later(seconds, lambda: self._played(number))
        return number

    def _played(self, number: int) -> None:
        self._playing = None
        if not self.closed:
            self.listener.media_played(number)

    def stop(self) -> float:
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None
        return 0.0

    def record(self, path: Path, *, limit: float, silence: float = 0.0) -> int:
        self.stop_record()
        self._numbers += 1
        clock = self._studio.clock
        path.write_bytes(header(0))
        timer = clock.call_later(limit, lambda: self._end(taking, "limit"))
        taking = Taking(self._numbers, path, clock.now(), timer)
        self.takings.append(taking)
        return taking.number

    def stop_record(self) -> None:
        if self.takings and not self.takings[-1].cause:
            self._end(self.takings[-1], "stopped")

    def _end(self, taking: Taking, cause: str) -> None:
        """The file is closed a moment later, as in a worker process of its own."""
        if taking.cause:
            return
        taking.limit.cancel()
        taking.cause, taking.seconds = cause, self._studio.clock.now() - taking.began
        octets = round(taking.seconds * OCTETS / 2) * 2

        def close() -> None:
            with taking.path.open("wb") as file:
                file.write(header(octets))
                file.truncate(HEADER_SIZE + octets)
            self.listener.media_recorded(taking.number, cause, taking.seconds)

        self._studio.clock.call_later(0.02, close)

    def lose(self) -> None:
        """Its worker dies: what was recorded is closed as it is, then the stream is told lost."""
        self.stop()
        for taking in self.takings:
            self._end(taking, "lost")
        self.disconnect()
        self._studio.clock.call_later(0.05, self._lost)

    def _lost(self) -> None:
        if not self.closed:
            self.closed = True
            self._studio.open_streams.discard(self)
            self.listener.media_lost()

    def send_digit(self, digit: str, milliseconds: int = 100) -> None:
        self.heard.append(f"digit {digit}")

    def press(self, digit: str) -> None:
        """The person at the other end presses a key."""
        if not self.closed:
            self.listener.media_digit(digit, 100)

    def statistics(self) -> StreamStatistics:
        return StreamStatistics()

    async def close(self) -> StreamStatistics:
        if not self.closed:
            self.stop()
            self.stop_record()
            self.disconnect()
            self.closed = True
            await asyncio.sleep(0.01)
            self._studio.open_streams.discard(self)
        return StreamStatistics(packets_received=1, packets_sent=1)


class VirtualStudio:
    """The engine. `full` lets it refuse."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.streams: list[VirtualStream] = []
        self.open_streams: set[VirtualStream] = set()
        self.full = False

    async def open(self, listener: MediaListener, *, ipv6: bool = False, tcp: bool = False) -> VirtualStream:
        await asyncio.sleep(0.001)
        if self.full:
            raise Failure("unavailable", "no port for audio", temporary=True)
        stream = VirtualStream(self, len(self.streams) + 1, listener)
        self.streams.append(stream)
        self.open_streams.add(stream)
        return stream

    def loaded(self) -> int:
        return len(self.open_streams)

    def die(self) -> None:
        """The media worker dies with all streams that it holds."""
        for stream in list(self.open_streams):
            stream.lose()

    def facing(self, port: int) -> VirtualStream | None:
        """The open stream that talks to a phone's RTP port (each phone call has its own)."""
        for stream in self.open_streams:
            if stream.settings is not None and stream.settings.remote[1] == port:
                return stream
        return None
