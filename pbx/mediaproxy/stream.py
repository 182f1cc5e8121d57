"""The main process's end of one stream: passes operations on to the worker, and keeps its recordings.

Not here: the worker's process (`keeper`), nor which streams there are (`control`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from base.log import get_logger
from pbx.mediaproxy import protocol
from pbx.mediaproxy.engine import Clip, MediaListener, MediaStream, StreamSettings, StreamStatistics
from pbx.mediaproxy.spool import Recording, Report, Trouble

_log = get_logger("pbx.mediaproxy")


class Desk(Protocol):
    """What a stream needs of its engine."""

    @property
    def advertised(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def now(self) -> float: ...

    def new_number(self) -> int: ...

    def tell(self, command: protocol.Command) -> None: ...

    async def close_stream(self, stream: WorkerStream) -> None: ...

    def write(self, recording: Recording, samples: bytes, trouble: Trouble) -> None: ...

    def finish(self, recording: Recording, report: Report) -> None: ...


@dataclass(slots=True)
class _Play:
    number: int
    begun: float  # by the clock
    offset: float
    duration: float | None = None  # known when the worker has loaded it


@dataclass(slots=True)
class _Taking:
    number: int
    recording: Recording


class WorkerStream:
    """Implements `MediaStream`. `alive` until it is closed or lost."""

    def __init__(self, engine: Desk, number: int, listener: MediaListener) -> None:
        self._engine = engine
        self._number = number
        self.listener = listener
        self.port = 0
        self.alive = True
        self.other: WorkerStream | None = None
        self._playing: _Play | None = None
        self._takings: dict[int, _Taking] = {}
        self.figures = StreamStatistics()
        self.closed: asyncio.Future[None] | None = None
        self._lost = False

    @property
    def id(self) -> int:
        return self._number

    @property
    def local(self) -> tuple[str, int]:
        return (self._engine.advertised, self.port)

    @property
    def fingerprint(self) -> str:
        return self._engine.fingerprint

    def _tell(self, command: protocol.Command) -> None:
        if self.alive:
            self._engine.tell(command)

    def configure(self, settings: StreamSettings) -> None:
        self._tell(protocol.Configure(self._number, settings))

    def connect(self, other: MediaStream) -> None:
        if not isinstance(other, WorkerStream):
            raise TypeError("a stream of another engine")
        if not (self.alive and other.alive) or other is self:
            return
        for side in (self, other):
            side.unpair()
            side._playing = None
        self.other, other.other = other, self
        self._tell(protocol.Connect(self._number, other.id))

    def disconnect(self) -> None:
        if self.unpair():
            self._tell(protocol.Disconnect(self._number))

    def unpair(self) -> bool:
        other, self.other = self.other, None
        if other is not None:
            other.other = None
        return other is not None

    def echo(self, on: bool) -> None:
        self._tell(protocol.Echo(self._number, on))

    def play(self, clip: Clip, *, seconds: float | None = None, offset: float = 0.0) -> int:
        number = self._engine.new_number()
        self._playing = _Play(number, self._engine.now(), offset)
        self._tell(protocol.Play(self._number, number, str(clip.path), clip.digest, seconds, offset))
        return number

    def tone(self, frequency: float, seconds: float, second: float = 0.0) -> int:
        number = self._engine.new_number()
        self._playing = _Play(number, self._engine.now(), 0.0)
        self._tell(protocol.Tone(self._number, number, frequency, second, seconds))
        return number

    def stop(self) -> float:
        play, self._playing = self._playing, None
        if play is None:
            return 0.0
        self._tell(protocol.Stop(self._number))
        position = play.offset + self._engine.now() - play.begun
        return position % play.duration if play.duration else position

    def record(self, path: Path, *, limit: float, silence: float = 0.0) -> int:
        number = self._engine.new_number()
        if self.alive:
            taking = self._takings[number] = _Taking(number, Recording(path))
            self._write(taking, b"")
        self._tell(protocol.Record(self._number, number, limit, silence))
        return number

    def stop_record(self) -> None:
        self._tell(protocol.StopRecord(self._number))

    def mix(self, others: Sequence[MediaStream]) -> None:
        self._tell(protocol.Mix(self._number, [other.id for other in others]))

    def send_digit(self, digit: str, milliseconds: int = 100) -> None:
        self._tell(protocol.SendDigit(self._number, digit, milliseconds))

    def statistics(self) -> StreamStatistics:
        return self.figures

    async def close(self) -> StreamStatistics:
        await self._engine.close_stream(self)
        return self.figures

    # --- news from the worker

    def playing(self, play: int, duration: float) -> None:
        """The sound is loaded and has begun."""
        if self._playing is not None and self._playing.number == play:
            self._playing.begun, self._playing.duration = self._engine.now(), duration or None

    def played(self, play: int) -> None:
        if self._playing is not None and self._playing.number == play:
            self._playing = None
            self.listener.media_played(play)

    def sound(self, record: int, samples: bytes, cause: str) -> None:
        """A piece of a recording; with a cause the last one."""
        taking = self._takings.get(record)
        if taking is not None:
            self._write(taking, samples)
            if cause:
                self._end(taking, cause)

    def gone(self, figures: StreamStatistics) -> None:
        """The worker has closed it as asked."""
        self.figures = figures
        self._release()

    def lose(self) -> None:
        """The worker has died: first the recordings are closed with what had come, then the listener is told."""
        if not self.alive:
            return
        self.alive, self._playing = False, None
        if self.closed is not None:
            self._release()
        elif self.port:
            self._lost = True
            for taking in list(self._takings.values()):
                self._end(taking, "lost")
            self._tell_lost()

    def _release(self) -> None:
        if self.closed is not None and not self.closed.done():
            self.closed.set_result(None)

    def _tell_lost(self) -> None:
        if self._lost and not self._takings:
            self._lost = False
            self.listener.media_lost()

    # --- recordings

    def _write(self, taking: _Taking, samples: bytes) -> None:
        self._engine.write(taking.recording, samples, lambda error: self._failed(taking, error))

    def _failed(self, taking: _Taking, error: OSError) -> None:
        """The disk is full, or the folder is gone: the file is removed, the listener told."""
        if self._takings.pop(taking.number, None) is None:
            return
        _log.error("recording failed", path=str(taking.recording.path), error=str(error))
        if all(number < taking.number for number in self._takings):  # it is the one that goes on
            self.stop_record()
        self.listener.media_recorded(taking.number, "failed", 0.0)
        self._tell_lost()

    def _end(self, taking: _Taking, cause: str) -> None:
        def closed(seconds: float) -> None:
            if self._takings.pop(taking.number, None) is not None:
                self.listener.media_recorded(taking.number, cause, seconds)
                self._tell_lost()

        self._engine.finish(taking.recording, closed)
