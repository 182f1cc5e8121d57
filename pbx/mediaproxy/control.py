"""The media engine of a running server: streams that live in a worker process, reached over a control channel.

If the worker dies it is started again with growing pauses; its streams are lost, its recordings keep what had come
until then, and signalling goes on. Not here: sockets of media and samples (`worker`), nor writing (`spool`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import msgspec

from base.clock import Clock
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from pbx.mediaproxy import protocol
from pbx.mediaproxy.burden import Burden
from pbx.mediaproxy.engine import MediaListener, MediaStream, StreamStatistics
from pbx.mediaproxy.keeper import LONGEST_START, MediaPlan, WorkerKeeper
from pbx.mediaproxy.spool import Recording, Report, Spool, Trouble
from pbx.mediaproxy.stream import WorkerStream
from pbx.mediaproxy.taping import WorkerTape

__all__ = ["MediaControl", "MediaPlan"]

# Limit: how long `open` waits for a worker that is being started, and for its answer.
_PATIENCE = 5.0
_TOLD_EACH = 60.0  # seconds between two lines of the log about a worker that is full

_log = get_logger("pbx.mediaproxy")


class MediaControl:
    """Implements `MediaEngine`. `start` raises Failure("unavailable") when no worker comes up."""

    def __init__(self, clock: Clock, metrics: Metrics, plan: MediaPlan | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._plan = plan or MediaPlan()
        self.advertised = self._plan.advertised or self._plan.address
        self._closing = False
        self._numbers = itertools.count(1)
        self._streams: dict[int, WorkerStream] = {}
        self._tapes: dict[int, WorkerTape] = {}
        self._opening: dict[int, asyncio.Future[int]] = {}
        self._spool: Spool | None = None
        self._keeper = WorkerKeeper(clock, metrics, self._plan, self)
        self._late = (0.0, 0.0)
        self.burden = Burden()
        self._told = False
        metrics.gauge("media.streams", self.loaded)
        metrics.gauge("media.beat_late_p50_ms", lambda: self._late[0])
        metrics.gauge("media.beat_late_p99_ms", lambda: self._late[1])
        metrics.gauge("media.busy", lambda: round(self.burden.busy, 2))
        metrics.gauge("media.translation", lambda: round(self.burden.translation, 2))
        metrics.gauge("media.full", lambda: int(self.burden.full))

    # --- life

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._spool = Spool(lambda work: loop.call_soon_threadsafe(work))
        self._spool.start()
        self._keeper.start()
        try:
            await asyncio.wait_for(self._keeper.ready.wait(), LONGEST_START)
        except TimeoutError:
            await self.close()
            raise Failure("unavailable", "the media worker does not start") from None

    async def close(self) -> None:
        """End the worker; recordings in progress are closed as they stand."""
        self._closing = True
        await self._keeper.close()
        spool, self._spool = self._spool, None
        if spool is not None:
            await asyncio.to_thread(spool.close)
        await asyncio.sleep(0)  # what the spool has posted is told before we say goodbye

    @property
    def worker_pid(self) -> int | None:
        """The process that holds the media now (None: it is being started)."""
        return self._keeper.pid

    def loaded(self) -> int:
        return len(self._streams)

    def room(self) -> bool:
        if self.burden.full:
            self._metrics.count("media.calls_refused")
        return not self.burden.full

    def translates(self, under_way: int) -> bool:
        may = self.burden.translates(under_way)
        if not may:
            self._metrics.count("media.translations_refused")
        return may

    # --- streams

    @property
    def fingerprint(self) -> str:
        """Of the certificate that the present worker shows in DTLS handshakes."""
        return self._keeper.fingerprint

    async def open(self, listener: MediaListener, *, ipv6: bool = False, tcp: bool = False) -> MediaStream:
        try:
            await asyncio.wait_for(self._keeper.ready.wait(), _PATIENCE)
        except TimeoutError:
            raise _unavailable("no media worker") from None
        number = self.new_number()
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._opening[number] = answer
        self._streams[number] = stream = WorkerStream(self, number, listener)
        self.tell(protocol.Open(number, ipv6, tcp))
        try:
            stream.port = await asyncio.wait_for(answer, _PATIENCE)
        except TimeoutError:
            self._drop_opening(number)
            raise _unavailable("the media worker does not answer") from None
        except (Failure, asyncio.CancelledError):
            self._drop_opening(number)
            raise
        return stream

    def tape(self, path: Path, told: Callable[[str, float], None]) -> WorkerTape:
        number = self.new_number()

        def closed(cause: str, seconds: float) -> None:
            self._tapes.pop(number, None)
            told(cause, seconds)

        tape = self._tapes[number] = WorkerTape(self, number, path, closed)
        return tape

    def _drop_opening(self, number: int) -> None:
        self._opening.pop(number, None)
        self._streams.pop(number, None)
        self.tell(protocol.Close(number))

    async def close_stream(self, stream: WorkerStream) -> None:
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

    # --- what a stream needs of us

    def now(self) -> float:
        return self._clock.now()

    def new_number(self) -> int:
        return next(self._numbers)

    def tell(self, command: protocol.Command) -> None:
        self._keeper.tell(command)

    def write(self, recording: Recording, samples: bytes, trouble: Trouble) -> None:
        if self._spool is not None:
            self._spool.write(recording, samples, trouble)

    def finish(self, recording: Recording, report: Report) -> None:
        if self._spool is not None:
            self._spool.finish(recording, report)

    # --- the worker's news

    def worker_lost(self) -> None:
        for answer in self._opening.values():
            if not answer.done():
                answer.set_exception(_unavailable("the media worker has died"))
        self._opening.clear()
        self.burden.forget()
        streams, self._streams = self._streams, {}
        if streams and not self._closing:
            _log.error("media worker lost", streams=len(streams))
        for tape in list(self._tapes.values()):
            self._safely(tape.lose)
        for stream in streams.values():
            self._safely(stream.lose)

    def worker_event(self, event: protocol.Event) -> None:
        self._safely(lambda: self._event(event))

    def _safely(self, tell: Callable[[], None]) -> None:
        """A listener that fails must not cost the others their media."""
        try:
            tell()
        except Exception:
            self._metrics.count("media.listener_failed")
            _log.exception("media event not taken")

    def _event(self, event: protocol.Event) -> None:
        match event:
            case protocol.Ready() | protocol.Pong():
                return
            case protocol.Beats():
                self._late = (event.late_p50, event.late_p99)
                if self.burden.measured(event.busy, event.late_p99, event.translation, event.translators):
                    self._tell_burden()
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
            case protocol.Taped():
                if event.tape in self._tapes:
                    self._tapes[event.tape].sound(event.samples, event.cause)
                return
        stream = self._streams.get(event.stream)
        if stream is not None:
            self._stream_event(stream, event)

    def _tell_burden(self) -> None:
        """Say that the worker is full, and once a minute that it still is or is not any more."""
        if self._told:
            return
        self._told = self.burden.full
        if self._told:
            self._clock.call_later(_TOLD_EACH, self._tell_again)
        figures = {"busy": round(self.burden.busy, 2), "late_ms": round(self._late[1], 1), "streams": self.loaded()}
        refused = self._metrics.value("media.calls_refused")
        _log.warning("media worker full" if self._told else "media worker has room", **figures, refused=refused)

    def _tell_again(self) -> None:
        self._told = False
        if not self._closing:
            self._tell_burden()

    def _stream_event(
        self,
        stream: WorkerStream,
        event: protocol.StreamEvent,
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
                if event.trouble:
                    self._metrics.count("media.clips_unreadable")
                    _log.warning("prompt cannot be played", stream=stream.id, reason=event.trouble)
                stream.playing(event.play, event.duration)
            case protocol.Played():
                stream.played(event.play)
            case protocol.Sound():
                stream.sound(event.record, event.samples, event.cause)
            case protocol.Silent():
                stream.listener.media_silent(event.seconds)
            case protocol.HungUp():
                stream.listener.media_hung_up()
            case protocol.Closed():
                stream.gone(_statistics(event.figures))
            case _:
                assert_never(event)

    def _opened(self, number: int, answer: Callable[[asyncio.Future[int]], None]) -> None:
        waiting = self._opening.pop(number, None)
        if waiting is not None and not waiting.done():
            answer(waiting)


def _statistics(figures: protocol.Figures) -> StreamStatistics:
    return StreamStatistics(*msgspec.structs.astuple(figures))


def _unavailable(reason: str) -> Failure:
    return Failure("unavailable", "no media to be had now", private=reason, temporary=True)
