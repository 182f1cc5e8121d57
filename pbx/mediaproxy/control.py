"""The media engine of a running server: streams that live in a worker process, reached over a control channel.

If the worker dies it is started again with growing pauses; its streams are lost, its recordings keep what had come
until then, and signalling goes on. Not here: sockets of media and samples (`worker`), nor writing (`spool`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import msgspec

from base.clock import Clock, Timer
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from pbx.mediaproxy import protocol
from pbx.mediaproxy.engine import Clip, MediaListener, MediaStream, StreamSettings, StreamStatistics
from pbx.mediaproxy.spool import Recording, Spool

_ROOT = str(Path(__file__).resolve().parents[2])
_HEARTBEAT = 1.0
# Limit: pauses before a dead worker is started again; the first one is short, since calls wait.
_PAUSES = (0.05, 0.2, 1.0, 2.0, 5.0)
_HEALTHY_AFTER = 30.0
# Limit: how long `open` waits for a worker that is being started.
_PATIENCE = 5.0
# Limit: commands waiting for a worker that does not read.
_MOST_WAITING = 16 << 20

_log = get_logger("pbx.mediaproxy")


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """How the engine is set up. `address` is where ports are bound, `advertised` what SDP says (default: the same).

    A worker that does not answer for `hung_after` seconds is killed; `silent_after` is when `media_silent` is told.
    """

    address: str = "0.0.0.0"
    advertised: str | None = None
    ports: range = range(61000, 65000)
    limit: int = 1000
    silent_after: float = 10.0
    priority: bool = True
    hung_after: float = 5.0


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


class _Stream:
    """The main process's end of one stream; everything is passed on to the worker."""

    def __init__(self, engine: MediaControl, number: int, listener: MediaListener) -> None:
        self._engine = engine
        self._number = number
        self.listener = listener
        self.port = 0
        self.alive = True
        self.other: _Stream | None = None
        self.playing: _Play | None = None
        self.takings: dict[int, _Taking] = {}
        self.figures = StreamStatistics()
        self.closed: asyncio.Future[None] | None = None
        self.lost_pending = False

    @property
    def id(self) -> int:
        return self._number

    @property
    def local(self) -> tuple[str, int]:
        return (self._engine.advertised, self.port)

    def _tell(self, command: protocol.Command) -> None:
        if self.alive:
            self._engine.tell(command)

    def configure(self, settings: StreamSettings) -> None:
        self._tell(
            protocol.Configure(
                self._number,
                settings.remote,
                settings.codec,
                settings.payload_types,
                settings.dtmf,
                settings.ptime,
                settings.send,
                settings.receive,
                settings.guess,
            )
        )

    def connect(self, other: MediaStream) -> None:
        if not isinstance(other, _Stream):
            raise TypeError("a stream of another engine")
        if not (self.alive and other.alive) or other is self:
            return
        for side in (self, other):
            side.unpair()
            side.playing = None
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
        self.playing = _Play(number, self._engine.clock.now(), offset)
        self._tell(protocol.Play(self._number, number, str(clip.path), clip.digest, seconds, offset))
        return number

    def tone(self, frequency: float, seconds: float, second: float = 0.0) -> int:
        number = self._engine.new_number()
        self.playing = _Play(number, self._engine.clock.now(), 0.0)
        self._tell(protocol.Tone(self._number, number, frequency, second, seconds))
        return number

    def stop(self) -> float:
        play, self.playing = self.playing, None
        if play is None:
            return 0.0
        self._tell(protocol.Stop(self._number))
        position = play.offset + self._engine.clock.now() - play.begun
        return position % play.duration if play.duration else position

    def record(self, path: Path, *, limit: float, silence: float = 0.0) -> int:
        number = self._engine.new_number()
        if self.alive:
            self._engine.begin_recording(self, number, path)
        self._tell(protocol.Record(self._number, number, limit, silence))
        return number

    def stop_record(self) -> None:
        self._tell(protocol.StopRecord(self._number))

    def send_digit(self, digit: str, milliseconds: int = 100) -> None:
        self._tell(protocol.SendDigit(self._number, digit, milliseconds))

    def statistics(self) -> StreamStatistics:
        return self.figures

    async def close(self) -> StreamStatistics:
        await self._engine.close_stream(self)
        return self.figures


class MediaControl:
    """Implements `MediaEngine`. `start` raises Failure("unavailable") when no worker comes up."""

    def __init__(self, clock: Clock, metrics: Metrics, plan: MediaPlan | None = None) -> None:
        self.clock = clock
        self._metrics = metrics
        self._plan = plan or MediaPlan()
        self.advertised = self._plan.advertised or self._plan.address
        self._numbers = itertools.count(1)
        self._streams: dict[int, _Stream] = {}
        self._opening: dict[int, asyncio.Future[int]] = {}
        self._spool: Spool | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._handle: int | None = None  # pidfd of the process
        self._writer: asyncio.StreamWriter | None = None
        self._pulse: Timer | None = None
        self._answered = 0.0
        self._late = (0.0, 0.0)
        metrics.gauge("media.streams", self.loaded)
        metrics.gauge("media.beat_late_p50_ms", lambda: self._late[0])
        metrics.gauge("media.beat_late_p99_ms", lambda: self._late[1])

    # --- life

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._spool = Spool(lambda work: loop.call_soon_threadsafe(work))
        self._spool.start()
        self._keeper = asyncio.create_task(self._keep())
        try:
            await asyncio.wait_for(self._ready.wait(), 2 * _PATIENCE)
        except TimeoutError:
            await self.close()
            raise Failure("unavailable", "the media worker does not start") from None

    async def close(self) -> None:
        """End the worker; recordings in progress are closed as they stand."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        spool, self._spool = self._spool, None
        if spool is not None:
            await asyncio.to_thread(spool.close)
        await asyncio.sleep(0)  # what the spool has posted is told before we say goodbye

    @property
    def worker_pid(self) -> int | None:
        """The process that holds the media now (None: it is being started)."""
        return self._process.pid if self._process is not None and self._ready.is_set() else None

    def loaded(self) -> int:
        return len(self._streams)

    # --- streams

    async def open(self, listener: MediaListener) -> MediaStream:
        try:
            await asyncio.wait_for(self._ready.wait(), _PATIENCE)
        except TimeoutError:
            raise _unavailable("no media worker") from None
        number = self.new_number()
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._opening[number] = answer
        self._streams[number] = stream = _Stream(self, number, listener)
        self.tell(protocol.Open(number))
        try:
            stream.port = await asyncio.wait_for(answer, _PATIENCE)
        except TimeoutError:
            self._drop_opening(number)
            raise _unavailable("the media worker does not answer") from None
        except (Failure, asyncio.CancelledError):
            self._drop_opening(number)
            raise
        return stream

    def _drop_opening(self, number: int) -> None:
        self._opening.pop(number, None)
        self._streams.pop(number, None)
        self.tell(protocol.Close(number))

    async def close_stream(self, stream: _Stream) -> None:
        stream.disconnect()
        if not stream.alive:
            return
        if stream.closed is None:
            stream.closed = asyncio.get_running_loop().create_future()
            self.tell(protocol.Close(stream.id))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(stream.closed), _PATIENCE)
        stream.alive = False
        self._streams.pop(stream.id, None)

    def new_number(self) -> int:
        return next(self._numbers)

    def tell(self, command: protocol.Command) -> None:
        """Pass a command on; without a worker there is nobody to tell."""
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        writer.write(protocol.frame(command))
        if writer.transport.get_write_buffer_size() > _MOST_WAITING:
            self._kill("its channel is full")

    # --- the worker

    async def _keep(self) -> None:
        """Start the worker, listen to it until it ends, start it again."""
        pauses = iter(_PAUSES)
        while True:
            begun = self.clock.now()
            try:
                await self._run_worker()
            except OSError as error:
                _log.error("media worker does not start", error=str(error))
            finally:
                await self._bury()
            if self.clock.now() - begun > _HEALTHY_AFTER:
                pauses = iter(_PAUSES)
            self._metrics.count("media.worker_restarts")
            await self._pause(next(pauses, _PAUSES[-1]))

    async def _pause(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self.clock.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    async def _run_worker(self) -> None:
        ours, theirs = socket.socketpair()
        plan = self._plan
        settings = {
            "address": plan.address,
            "first_port": plan.ports.start,
            "last_port": plan.ports.stop - 1,
            "limit": plan.limit,
            "silent_after": plan.silent_after,
            "priority": plan.priority,
        }
        path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "pbx.mediaproxy.worker",
                str(theirs.fileno()),
                msgspec.json.encode(settings).decode(),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
            )
        self._handle = os.pidfd_open(self._process.pid)
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self._answered = self.clock.now()
        self._beat()
        frames = protocol.Frames()
        expected = 1
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                for body in frames.feed(data):
                    numbered = protocol.event_decoder.decode(body)
                    if numbered.number != expected:
                        _log.error("media events missed", expected=expected, got=numbered.number)
                    expected = numbered.number + 1
                    self._take(numbered.event)

    def _beat(self) -> None:
        if self.clock.now() - self._answered > self._plan.hung_after:
            self._kill("it does not answer")
            return
        self.tell(protocol.Ping(self.new_number()))
        self._pulse = self.clock.call_later(_HEARTBEAT, self._beat)

    def _kill(self, why: str) -> None:
        _log.error("media worker killed", why=why)
        self._end_process()

    def _end_process(self) -> None:
        """By its descriptor: a number may be somebody else's by now, and `Process.kill` may take the exit status away
        from asyncio's own watcher."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def _bury(self) -> None:
        """The worker is gone, or has to go: tell everybody who had a stream in it."""
        self._ready.clear()
        if self._pulse is not None:
            self._pulse.cancel()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        for answer in self._opening.values():
            if not answer.done():
                answer.set_exception(_unavailable("the media worker has died"))
        self._opening.clear()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            self._lose(stream)
        process, self._process = self._process, None
        if process is not None:
            if streams:
                _log.error("media worker lost", streams=len(streams))
            self._end_process()
            await process.wait()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _lose(self, stream: _Stream) -> None:
        """First the recordings are closed with what had come, then the stream is told lost."""
        if not stream.alive:
            return
        stream.alive, stream.playing = False, None
        if stream.closed is not None:
            if not stream.closed.done():
                stream.closed.set_result(None)
            return
        if not stream.port:
            return
        stream.lost_pending = True
        for number in list(stream.takings):
            self._end_recording(stream, number, "lost")
        self._tell_lost(stream)

    def _tell_lost(self, stream: _Stream) -> None:
        if stream.lost_pending and not stream.takings:
            stream.lost_pending = False
            stream.listener.media_lost()

    # --- events

    def _take(self, event: protocol.Event) -> None:
        """A listener that fails must not cost the others their media."""
        try:
            self._event(event)
        except Exception:
            self._metrics.count("media.listener_failed")
            _log.exception("media event not taken", event_name=type(event).__name__)

    def _event(self, event: protocol.Event) -> None:
        self._answered = self.clock.now()
        match event:
            case protocol.Ready():
                _log.info("media worker ready", process=event.process)
                self._ready.set()
                return
            case protocol.Pong():
                return
            case protocol.Beats():
                self._late = (event.late_p50, event.late_p99)
                for name, amount in event.counted.items():
                    if not self._metrics.value(name):  # once; the figures tell the rest
                        _log.info("first of its kind", counted=name)
                    self._metrics.count(name, amount)
                return
            case protocol.Statistics():
                for number, figures in event.streams.items():
                    if number in self._streams:
                        self._streams[number].figures = _statistics(figures)
                return
        stream = self._streams.get(event.stream)
        if stream is not None:
            self._stream_event(stream, event)

    def _stream_event(
        self,
        stream: _Stream,
        event: protocol.Opened
        | protocol.Refused
        | protocol.Digit
        | protocol.Playing
        | protocol.Played
        | protocol.Sound
        | protocol.Silent
        | protocol.Closed,
    ) -> None:
        match event:
            case protocol.Opened():
                self._opened(event.stream, lambda answer: answer.set_result(event.port))
            case protocol.Refused():
                self._metrics.count("media.refused")
                error = _unavailable(f"no {event.reason} left")
                self._opened(event.stream, lambda answer: answer.set_exception(error))
            case protocol.Digit():
                stream.listener.media_digit(event.digit, event.milliseconds)
            case protocol.Playing():
                self._playing(stream, event)
            case protocol.Played():
                if stream.playing is not None and stream.playing.number == event.play:
                    stream.playing = None
                    stream.listener.media_played(event.play)
            case protocol.Sound():
                self._sound(stream, event)
            case protocol.Silent():
                stream.listener.media_silent(event.seconds)
            case protocol.Closed():
                stream.figures = _statistics(event.figures)
                if stream.closed is not None and not stream.closed.done():
                    stream.closed.set_result(None)
            case _:
                assert_never(event)

    def _opened(self, number: int, answer: Callable[[asyncio.Future[int]], None]) -> None:
        waiting = self._opening.pop(number, None)
        if waiting is not None and not waiting.done():
            answer(waiting)

    def _playing(self, stream: _Stream, event: protocol.Playing) -> None:
        if event.trouble:
            self._metrics.count("media.clips_unreadable")
            _log.warning("prompt cannot be played", stream=stream.id, reason=event.trouble)
        play = stream.playing
        if play is not None and play.number == event.play:
            play.begun, play.duration = self.clock.now(), event.duration or None

    # --- recordings

    def begin_recording(self, stream: _Stream, number: int, path: Path) -> None:
        taking = stream.takings[number] = _Taking(number, Recording(path))
        self._write(stream, taking, b"")

    def _write(self, stream: _Stream, taking: _Taking, samples: bytes) -> None:
        if self._spool is not None:
            self._spool.write(taking.recording, samples, lambda error: self._failed(stream, taking, error))

    def _failed(self, stream: _Stream, taking: _Taking, error: OSError) -> None:
        """The disk is full, or the folder is gone: the file is removed, the listener told."""
        if stream.takings.pop(taking.number, None) is None:
            return
        self._metrics.count("media.recordings_failed")
        _log.error("recording failed", path=str(taking.recording.path), error=str(error))
        stream.stop_record()
        stream.listener.media_recorded(taking.number, "failed", 0.0)
        self._tell_lost(stream)

    def _sound(self, stream: _Stream, event: protocol.Sound) -> None:
        taking = stream.takings.get(event.record)
        if taking is None:
            return
        self._write(stream, taking, event.samples)
        if event.cause:
            self._end_recording(stream, event.record, event.cause)

    def _end_recording(self, stream: _Stream, number: int, cause: str) -> None:
        taking = stream.takings[number]

        def closed(seconds: float) -> None:
            if stream.takings.pop(number, None) is not None:
                stream.listener.media_recorded(number, cause, seconds)
                self._tell_lost(stream)

        if self._spool is not None:
            self._spool.finish(taking.recording, closed)


def _statistics(figures: protocol.Figures) -> StreamStatistics:
    return StreamStatistics(*msgspec.structs.astuple(figures))


def _unavailable(reason: str) -> Failure:
    return Failure("unavailable", "no media to be had now", private=reason, temporary=True)
