"""Keeps one media worker process alive: starts it, listens to it, kills it when it hangs, starts it again.

Not here: what is said over the channel; events go to an `Overhearer`, commands come from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from base.clock import Clock, Timer
from base.log import get_logger
from base.metrics import Metrics
from pbx.mediaproxy import protocol

_ROOT = str(Path(__file__).resolve().parents[2])
_HEARTBEAT = 1.0
# Limit: pauses before a dead worker is started again; the first one is short, since calls wait.
_PAUSES = (0.05, 0.2, 1.0, 2.0, 5.0)
_HEALTHY_AFTER = 30.0
# Limit: seconds that a worker may take to begin; on a machine that boots, loading the code alone takes many.
LONGEST_START = 40.0
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


class Overhearer(Protocol):
    """Who has streams in the worker."""

    def worker_event(self, event: protocol.Event) -> None:
        """In the order in which the worker told it. Must not raise."""

    def worker_lost(self) -> None:
        """The worker is gone with all that was in it. Must not raise."""


class WorkerKeeper:
    """The worker's life. `ready` is set while there is one that answers."""

    def __init__(self, clock: Clock, metrics: Metrics, plan: MediaPlan, owner: Overhearer) -> None:
        self._clock = clock
        self._metrics = metrics
        self._plan = plan
        self._owner = owner
        self.ready = asyncio.Event()
        self.fingerprint = ""
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._handle: int | None = None  # pidfd of the process
        self._writer: asyncio.StreamWriter | None = None
        self._pulse: Timer | None = None
        self._pulses = 0
        self._answered = 0.0

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.ready.is_set() else None

    def tell(self, command: protocol.Command) -> None:
        """Pass a command on; without a worker there is nobody to tell."""
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        writer.write(protocol.frame(command))
        if writer.transport.get_write_buffer_size() > _MOST_WAITING:
            self._kill("its channel is full")

    async def _keep(self) -> None:
        """Start the worker, listen to it until it ends, start it again."""
        pauses = iter(_PAUSES)
        while True:
            begun = self._clock.now()
            try:
                await self._run_worker()
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                _log.error("media worker cannot be used", error=str(error))
            finally:
                await self._bury()
            if self._clock.now() - begun > _HEALTHY_AFTER:
                pauses = iter(_PAUSES)
            self._metrics.count("media.worker_restarts")
            await self._pause(next(pauses, _PAUSES[-1]))

    async def _pause(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._clock.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    async def _run_worker(self) -> None:
        """From the start of the process to the end of its channel."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await self._spawn(theirs)
            self._handle = os.pidfd_open(self._process.pid)
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        self._answered = self._clock.now()
        self._beat()
        with contextlib.suppress(ConnectionError):
            await self._listen(reader)

    async def _spawn(self, channel: socket.socket) -> asyncio.subprocess.Process:
        plan = self._plan
        settings = protocol.Settings(
            plan.address, plan.ports.start, plan.ports.stop - 1, plan.limit, plan.silent_after, plan.priority
        )
        path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pbx.mediaproxy.worker",
            str(channel.fileno()),
            msgspec.json.encode(settings).decode(),
            pass_fds=[channel.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        )

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        frames = protocol.Frames()
        expected = 1
        while data := await reader.read(1 << 16):
            self._answered = self._clock.now()
            for body in frames.feed(data):
                numbered = protocol.event_decoder.decode(body)
                if numbered.number != expected:
                    _log.error("media events missed", expected=expected, got=numbered.number)
                expected = numbered.number + 1
                if isinstance(numbered.event, protocol.Ready):
                    _log.info("media worker ready", process=numbered.event.process)
                    self.fingerprint = numbered.event.fingerprint
                    self.ready.set()
                else:
                    self._owner.worker_event(numbered.event)

    def _beat(self) -> None:
        patience = self._plan.hung_after if self.ready.is_set() else max(self._plan.hung_after, LONGEST_START)
        if self._clock.now() - self._answered > patience:
            self._kill("it does not answer")
            return
        self._pulses += 1
        self.tell(protocol.Ping(self._pulses))
        self._pulse = self._clock.call_later(_HEARTBEAT, self._beat)

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
        """The worker is gone, or has to go: so say to the owner."""
        self.ready.clear()
        if self._pulse is not None:
            self._pulse.cancel()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        self._owner.worker_lost()
        process, self._process = self._process, None
        if process is not None:
            self._end_process()
            await process.wait()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
