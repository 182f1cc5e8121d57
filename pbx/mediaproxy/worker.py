"""The media worker: a process with one loop over its sockets and a beat of 20 ms. `python -m pbx.mediaproxy.worker FD`.

No asyncio and no signalling: commands come over the control socket (its inherited descriptor is the argument), events
go back, and when the main process is gone so is this one. Not here: the streams (`streams`), and what
is told of them each second (`reports`).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: one row operation needs no threads

import gc
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable

import msgspec

from base.entropy import Entropy, SystemEntropy
from pbx.mediaproxy import protocol
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.recorder import BEAT
from pbx.mediaproxy.reports import Reports
from pbx.mediaproxy.streams import Streams

# Limit: beats made up for after a pause of the machine; more are left out.
_CATCH_UP = 3
# Limit: events waiting for a main process that does not read; then recordings would be lost anyway.
_MOST_WAITING = 64 << 20


class Worker:
    """The loop over the sockets of its streams and over the channel."""

    def __init__(
        self,
        channel: socket.socket,
        settings: protocol.Settings,
        entropy: Entropy,
        now: Callable[[], float],
        wall: Callable[[], float],
        worked: Callable[[], float],
    ) -> None:
        """`worked`: seconds of processor that we have had: what other programs take is no work of ours."""
        self._channel = channel
        self._now = now
        self._wall = wall
        self._worked = worked
        self._counted: Counter[str] = Counter()
        self._heeded: dict[int, Callable[[int], None]] = {}  # by descriptor
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._poll = select.epoll()
        self._frames = protocol.Frames()
        self._waiting = bytearray()
        self._number = 0
        self._streams = Streams(settings, entropy, self, self._tell, self._wake, self._counted)
        self._reports = Reports(self._tell, self._counted, entropy, settings.silent_after, now(), worked)
        self._buffer = bytearray(2048)
        self._view = memoryview(self._buffer)
        self._running = True

    # --- the loop

    def run(self) -> None:
        """Serve until the main process closes the channel."""
        self._channel.setblocking(False)
        self._poll.register(self._channel, select.EPOLLIN)
        self._poll.register(self._woken, select.EPOLLIN)
        self._tell(protocol.Ready(os.getpid(), self._streams.identity.fingerprint))
        beat = self._now() + BEAT
        second = beat + 1.0
        while self._running:
            found = self._poll.poll(max(0.0, beat - self._now()), 256)
            for descriptor, events in found:
                try:
                    self._ready(descriptor, events)
                except Exception:  # see `_fault`
                    self._fault()
            now = self._now()
            if now >= beat:
                self._reports.late((now - beat) * 1000)
                self._streams.studio.beat(now)
                beat += BEAT
                if now - beat > _CATCH_UP * BEAT:
                    self._counted["media.beats_left_out"] += round((now - beat) / BEAT)
                    beat = now + BEAT
                if now >= second:
                    second = now + 1.0
                    self._reports.second(self._streams.tracks, now, self._wall())
            self._flush()

    def _fault(self) -> None:
        """One packet's or command's must not cost a thousand calls."""
        self._counted["media.worker_faults"] += 1
        traceback.print_exc()

    def _ready(self, descriptor: int, events: int) -> None:
        endpoint = self._streams.media.get(descriptor)
        if endpoint is not None:
            self._receive(endpoint)
        elif descriptor == self._channel.fileno():
            self._obey()
        elif descriptor == self._woken.fileno():
            self._woken.recv(4096)
            self._streams.collect()
        elif (endpoint := self._streams.control.get(descriptor)) is not None:
            self._receive_control(endpoint)
        elif (work := self._heeded.get(descriptor)) is not None:
            work(events)

    def _receive(self, endpoint: Endpoint) -> None:
        try:
            size, source = endpoint.wire.media.recvfrom_into(self._buffer)
        except OSError:  # an ICMP error of an earlier packet, or nothing there after all
            return
        if len(source) > 2:  # IPv6 brings flow and scope as well
            source = source[:2]
        translates = endpoint.relay.transcoder is not None
        before = self._worked() if translates else 0.0
        digit = endpoint.receive(self._view, size, source, self._now())
        if translates:
            self._reports.translated(endpoint.number, self._worked() - before)
        if digit is not None:
            self._tell(protocol.Digit(endpoint.number, digit.key, digit.milliseconds))

    def _receive_control(self, endpoint: Endpoint) -> None:
        try:
            size, source = endpoint.wire.control.recvfrom_into(self._buffer)
        except OSError:
            return
        endpoint.receive_control(self._view[:size], source[:2], self._now())

    # --- what is waited for (`streams.Poll`)

    def watch(self, sock: socket.socket) -> None:
        self._poll.register(sock, select.EPOLLIN)

    def unwatch(self, sock: socket.socket) -> None:
        self._poll.unregister(sock)

    def heed(self, sock: socket.socket, events: int, work: Callable[[int], None]) -> None:
        known = sock.fileno() in self._heeded
        self._heeded[sock.fileno()] = work
        (self._poll.modify if known else self._poll.register)(sock, events)

    def forget(self, sock: socket.socket) -> None:
        if self._heeded.pop(sock.fileno(), None) is not None:
            self._poll.unregister(sock)

    # --- the control channel

    def _wake(self) -> None:
        """From the clip thread: there is something to collect."""
        try:
            self._waker.send(b"\0")
        except BlockingIOError:
            pass  # it is awake already

    def _tell(self, event: protocol.Event) -> None:
        self._number += 1
        self._waiting += protocol.frame(protocol.NumberedEvent(self._number, event))

    def _flush(self) -> None:
        if not self._waiting:
            return
        try:
            sent = self._channel.send(self._waiting)
            del self._waiting[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._running = False
        if len(self._waiting) > _MOST_WAITING:
            self._running = False

    def _obey(self) -> None:
        try:
            data = self._channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._running = False
            return
        for body in self._frames.feed(data):
            try:
                self._streams.obey(protocol.command_decoder.decode(body))
            except Exception:  # those behind it are for other calls
                self._fault()


def _hurry() -> None:
    """Real-time scheduling where permitted, else a better priority, else nothing."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except OSError:
        try:
            os.nice(-10)
        except OSError:
            pass


def _allow_descriptors() -> None:
    """Two sockets a stream: as many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Take over the channel, settle memory, run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which closes the channel
    channel = socket.socket(fileno=int(sys.argv[1]))
    settings = msgspec.json.decode(sys.argv[2], type=protocol.Settings)
    _allow_descriptors()
    worker = Worker(channel, settings, SystemEntropy(), time.monotonic, time.time, time.thread_time)
    if settings.priority:
        _hurry()
    gc.collect()
    gc.freeze()
    worker.run()
    os._exit(0)  # no waiting for a thread that reads a clip


if __name__ == "__main__":
    main()
