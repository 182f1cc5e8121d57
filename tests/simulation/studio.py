"""A stand-in for the media engine in virtual time: plays end when they would, recordings are files, packets pass.

Its streams believe whom the product's own `Latch` believes; sound there is none. Implements `pbx.mediaproxy.engine`.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.clock import Clock, Timer
from base.failures import Failure
from pbx.mediaproxy.engine import Clip, MediaListener, StreamSettings, StreamStatistics
from pbx.mediaproxy.latch import Latch
from pbx.mediaproxy.wav import HEADER_SIZE, header
from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import Endpoint
from tests.simulation.network import SERVER

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
        self.listener = listener
        self.settings: StreamSettings | None = None
        self.latch = Latch()
        self.other: VirtualStream | None = None
        self.met: set[int] = set()
        self.heard: list[str] = []
        self.takings: list[Taking] = []
        self.closed = False
        self.packets_in = self.packets_out = 0
        self._echoing = False
        self._studio = studio
        self._context = copy_context()
        self._numbers = 0
        self._playing: Timer | None = None
        self._socket = studio.network.open((SERVER[0], 0), self._receive)
        self.local = self._socket.local

    fingerprint = "sha-256 " + ":".join(["AB"] * 32)

    def configure(self, settings: StreamSettings) -> None:
        self.settings = settings
        self.latch.configure(settings.remote, settings.guess)

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

    # --- packets

    def _receive(self, data: bytes, source: Endpoint) -> None:
        settings = self.settings
        if self.closed or settings is None:
            return
        ssrc = struct.unpack_from("!I", data, 8)[0]
        if not self.latch.accept(source, ssrc, self._studio.clock.now()):
            return
        self._studio.believed(self, source)
        self.packets_in += 1
        other = self.other
        if self._echoing:
            self._send(data)
        elif other is not None and settings.receive and other._playing is None:
            other._send(data)

    def _send(self, data: bytes) -> None:
        if self.settings is not None and self.settings.send and not self.closed:
            self.packets_out += 1
            for target in self.latch.targets():
                self._socket.send(data, target)

    # --- what programs do

    def echo(self, on: bool) -> None:
        self._echoing = on
        self.heard.append(f"echo {on}")

    def play(self, clip: Clip, *, seconds: float | None = None, offset: float = 0.0) -> int:
        length = self._studio.length(clip.path) - offset
        self.heard.append(clip.path.stem)
        return self._sound(max(0.0, length) if seconds is None else seconds)

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

        def close() -> None:
            self._write(taking)
            self.listener.media_recorded(taking.number, cause, taking.seconds)

        self._studio.clock.call_later(0.02, close)

    def _write(self, taking: Taking) -> None:
        octets = round(taking.seconds * OCTETS / 2) * 2
        with taking.path.open("wb") as file:
            file.write(header(octets))
            file.truncate(HEADER_SIZE + octets)

    # --- the end

    def lose(self) -> None:
        """Its worker dies: what was recorded is closed as it is, then the stream is told lost."""
        self._context.run(self._lose)

    def _lose(self) -> None:
        self.stop()
        for taking in self.takings:
            self._end(taking, "lost")
        self.disconnect()
        self._studio.clock.call_later(0.05, self._lost)

    def _lost(self) -> None:
        if not self.closed:
            self._free()
            self.listener.media_lost()

    def cut(self) -> None:
        """The server is killed: of what it recorded the last half second is missing."""
        self.closed = True
        taking = self.takings[-1] if self.takings else None
        if taking is not None and not taking.cause:
            taking.cause, taking.seconds = "cut", (self._studio.clock.now() - taking.began) // 0.5 * 0.5
            self._write(taking)

    def mix(self, others: Sequence[VirtualStream]) -> None:
        self.heard.append(f"mix of {len(others)}")

    def send_digit(self, digit: str, milliseconds: int = 100) -> None:
        self.heard.append(f"digit {digit}")

    def press(self, digit: str) -> None:
        """The person at the other end presses a key."""
        if not self.closed:
            self._context.run(self.listener.media_digit, digit, 100)

    def statistics(self) -> StreamStatistics:
        return StreamStatistics(self.packets_in, self.packets_out, strangers=self.latch.strangers)

    async def close(self) -> StreamStatistics:
        if not self.closed:
            self.stop()
            self.stop_record()
            self.disconnect()
            self.closed = True
            await asyncio.sleep(0.01)
            self._free()
        return self.statistics()

    def _free(self) -> None:
        self.closed = True
        self._studio.open_streams.pop(self.id, None)
        self._studio.network.forget(self._socket)


class VirtualTape:
    """A recording of two; its file is made, and stays empty."""

    def __init__(self, studio: VirtualStudio, path: Path, told: Callable[[str, float], None]) -> None:
        self._studio = studio
        self._told = told
        self._began = studio.clock.now()
        self._ended = False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(header(0, 2))

    def turn(self, left: VirtualStream | None, right: VirtualStream | None) -> None: ...

    def end(self, cause: str = "stopped") -> None:
        if self._ended:
            return
        self._ended = True
        self._studio.tapes.discard(self)
        seconds = self._studio.clock.now() - self._began
        self._studio.clock.call_later(0.02, lambda: self._told(cause, seconds))

    def cut(self) -> None:
        """The server is killed: nobody is told."""
        self._ended = True


class VirtualStudio:
    """The engine. `believed` is told of each packet that a stream takes, and where it came from."""

    def __init__(
        self,
        clock: Clock,
        network: MemoryNetwork,
        believed: Callable[[VirtualStream, Endpoint], None] = lambda stream, source: None,
    ) -> None:
        self.clock = clock
        self.network = network
        self.believed = believed
        self.streams: list[VirtualStream] = []
        self.open_streams: dict[int, VirtualStream] = {}
        self.tapes: set[VirtualTape] = set()
        self.deaths: list[float] = []
        """When the media worker has died."""
        self._lengths: dict[Path, float] = _LENGTHS

    async def open(self, listener: MediaListener, *, ipv6: bool = False, tcp: bool = False) -> VirtualStream:
        await asyncio.sleep(0.001)
        if tcp:
            raise Failure("unavailable", "no stream media here", temporary=True)
        stream = VirtualStream(self, len(self.streams) + 1, listener)
        self.streams.append(stream)
        self.open_streams[stream.id] = stream
        return stream

    def tape(self, path: Path, told: Callable[[str, float], None]) -> VirtualTape:
        tape = VirtualTape(self, path, told)
        self.tapes.add(tape)
        return tape

    def length(self, path: Path) -> float:
        """Seconds of a sound; those of stock prompts are looked up once."""
        known = self._lengths.get(path)
        if known is None:
            known = (path.stat().st_size - HEADER_SIZE) / OCTETS
            if "prompts" in path.parts:
                self._lengths[path] = known
        return known

    def loaded(self) -> int:
        return len(self.open_streams)

    def room(self) -> bool:
        return True

    def translates(self, under_way: int) -> bool:
        return True

    def die(self) -> None:
        """The media worker dies with all streams that it holds."""
        self.deaths.append(self.clock.now())
        for tape in list(self.tapes):
            tape.end("lost")
        for stream in list(self.open_streams.values()):
            stream.lose()

    def kill(self) -> None:
        """The server is killed, and the worker ends with it."""
        for stream in self.open_streams.values():
            stream.cut()
        self.open_streams.clear()
        for tape in self.tapes:
            tape.cut()
        self.tapes.clear()

    def facing(self, port: int) -> VirtualStream | None:
        """The open stream that talks to a phone's RTP port (each phone call has its own)."""
        for stream in self.open_streams.values():
            if stream.settings is not None and stream.settings.remote[1] == port:
                return stream
        return None


_LENGTHS: dict[Path, float] = {}


def as_engine(studio: VirtualStudio) -> Any:
    """Its streams are joined only with streams of its own, which the Protocol cannot say."""
    return studio
