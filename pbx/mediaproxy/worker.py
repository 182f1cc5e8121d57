"""The media worker: a process with one loop over its sockets and a beat of 20 ms. `python -m pbx.mediaproxy.worker FD`.

No asyncio and no signalling: commands come over the control socket (its inherited descriptor is the argument), events
go back, and when the main process is gone so is this one. Not here: what a stream does (`endpoint`, `studio`).
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
from pathlib import Path
from typing import assert_never

import msgspec

from base.entropy import Entropy, SystemEntropy
from pbx.mediaproxy import protocol
from pbx.mediaproxy.clips import Clips
from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.pipe import Pipe
from pbx.mediaproxy.player import Clip, Player
from pbx.mediaproxy.ports import PortPairs
from pbx.mediaproxy.studio import BEAT, Studio, Track

# Limit: beats made up for after a pause of the machine; more are left out.
_CATCH_UP = 3
_REPORT_EACH = 5  # seconds; RFC 3550 §6.2
# Limit: events waiting for a main process that does not read; then recordings would be lost anyway.
_MOST_WAITING = 64 << 20


class Settings(msgspec.Struct, frozen=True):
    """What the main process hands over at start, as JSON in the second argument."""

    address: str
    first_port: int
    last_port: int
    limit: int
    silent_after: float
    priority: bool


class Worker:
    """The loop and its tables."""

    def __init__(
        self,
        channel: socket.socket,
        settings: Settings,
        entropy: Entropy,
        now: Callable[[], float],
        wall: Callable[[], float],
        worked: Callable[[], float],
    ) -> None:
        """`worked`: seconds of processor that we have had: what other programs take is no work of ours."""
        self._channel = channel
        self._settings = settings
        self._entropy = entropy
        self._now = now
        self._wall = wall
        self._worked = worked
        self._name = entropy.token(8)  # RFC 7022 §4.2: a CNAME that tells nothing
        self._seconds = 0
        self._ports = PortPairs(settings.address, range(settings.first_port, settings.last_port + 1))
        self._identity = Identity()
        self._counted: Counter[str] = Counter()
        self._endpoints: dict[int, Endpoint] = {}
        self._tracks: dict[int, Track] = {}
        self._pipes: dict[int, Pipe] = {}
        self._heeded: dict[int, Callable[[int], None]] = {}  # by descriptor
        self._media: dict[int, Endpoint] = {}  # by descriptor
        self._control: dict[int, Endpoint] = {}
        self._studio = Studio(self._tell, self._counted)
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._clips = Clips(self._wake)
        self._poll = select.epoll()
        self._frames = protocol.Frames()
        self._waiting = bytearray()
        self._number = 0
        self._late: list[float] = []
        self._translation = 0.0  # seconds since `_reported_at`
        self._translators: set[int] = set()
        self._reported_at, self._reported_work = now(), worked()
        self._reported: dict[int, int] = {}
        self._silence_told: dict[int, float] = {}
        self._buffer = bytearray(2048)
        self._view = memoryview(self._buffer)
        self._running = True

    # --- the loop

    def run(self) -> None:
        """Serve until the main process closes the channel."""
        self._channel.setblocking(False)
        self._poll.register(self._channel, select.EPOLLIN)
        self._poll.register(self._woken, select.EPOLLIN)
        self._tell(protocol.Ready(os.getpid(), self._identity.fingerprint))
        beat = self._now() + BEAT
        second = beat + 1.0
        while self._running:
            found = self._poll.poll(max(0.0, beat - self._now()), 256)
            for descriptor, events in found:
                try:
                    self._ready(descriptor, events)
                except Exception:  # one packet's or command's fault must not cost a thousand calls
                    self._counted["media.worker_faults"] += 1
                    traceback.print_exc()
            now = self._now()
            if now >= beat:
                self._late.append((now - beat) * 1000)
                self._studio.beat(now)
                beat += BEAT
                if now - beat > _CATCH_UP * BEAT:
                    self._counted["media.beats_left_out"] += round((now - beat) / BEAT)
                    beat = now + BEAT
                if now >= second:
                    second = now + 1.0
                    self._report(now)
            self._flush()

    def _ready(self, descriptor: int, events: int) -> None:
        endpoint = self._media.get(descriptor)
        if endpoint is not None:
            self._receive(endpoint)
        elif descriptor == self._channel.fileno():
            self._obey()
        elif descriptor == self._woken.fileno():
            self._woken.recv(4096)
            self._clips.collect()
        elif (endpoint := self._control.get(descriptor)) is not None:
            self._receive_control(endpoint)
        elif (work := self._heeded.get(descriptor)) is not None:
            work(events)

    def heed(self, sock: socket.socket, events: int, work: Callable[[int], None]) -> None:
        """Call `work` with the events of a socket (`pipe.Poll`)."""
        known = sock.fileno() in self._heeded
        self._heeded[sock.fileno()] = work
        (self._poll.modify if known else self._poll.register)(sock, events)

    def forget(self, sock: socket.socket) -> None:
        if self._heeded.pop(sock.fileno(), None) is not None:
            self._poll.unregister(sock)

    def _receive(self, endpoint: Endpoint) -> None:
        try:
            size, source = endpoint.wire.media.recvfrom_into(self._buffer)
        except OSError:  # an ICMP error of an earlier packet, or nothing there after all
            return
        if len(source) > 2:  # IPv6 brings flow and scope as well
            source = source[:2]
        before = self._worked() if endpoint.transcoder is not None else 0.0
        digit = endpoint.receive(self._view, size, source, self._now(), self._counted)
        if endpoint.transcoder is not None:
            self._translation += self._worked() - before
            self._translators.add(endpoint.number)
        if digit is not None:
            self._tell(protocol.Digit(endpoint.number, digit.key, digit.milliseconds))

    def _receive_control(self, endpoint: Endpoint) -> None:
        try:
            size, source = endpoint.wire.control.recvfrom_into(self._buffer)
        except OSError:
            return
        endpoint.receive_control(self._view[:size], source[:2], self._now(), self._counted)

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
            self._command(protocol.command_decoder.decode(body))

    def _command(self, command: protocol.Command) -> None:
        match command:
            case protocol.Ping():
                self._tell(protocol.Pong(command.number))
                return
            case protocol.Open():
                self._open(command)
                return
            case protocol.Close():
                self._close(command.stream)
                return
        track = self._tracks.get(command.stream)
        if track is None:
            self._command_pipe(command)
            return
        endpoint = track.endpoint
        match command:
            case protocol.Configure():
                endpoint.join_bundle(self._endpoints.get(command.settings.carrier))
                endpoint.configure(command.settings)
                track.configure()
            case protocol.Connect():
                self._connect(track, command.other)
            case protocol.Disconnect():
                endpoint.disconnect()
            case protocol.Echo():
                track.echo = command.on
                track.listen()
            case protocol.Play():
                self._play(track, command)
            case protocol.Tone():
                self._tone(track, command)
            case protocol.Stop():
                track.player, endpoint.playing = None, False
            case protocol.Record():
                self._studio.record(track, command.record, command.limit, command.silence)
            case protocol.StopRecord():
                self._studio.end_record(track, "stopped")
            case protocol.SendDigit():
                track.keys.push(command.digit, command.milliseconds)
                endpoint.playing = True  # what the relay brings waits until it is pressed
            case _:
                assert_never(command)

    def _command_pipe(self, command: protocol.Command) -> None:
        """The few things that a stream over TCP can be told."""
        match command:
            case protocol.Configure() if command.stream in self._pipes:
                self._pipes[command.stream].configure(command.settings)
            case protocol.Connect() if command.stream in self._pipes and command.other in self._pipes:
                self._pipes[command.stream].connect(self._pipes[command.other])
            case protocol.Disconnect() if command.stream in self._pipes:
                self._pipes[command.stream].disconnect()

    def _open_pipe(self, command: protocol.Open) -> None:
        pipe = self._pipes.get(command.stream)
        if pipe is None:
            full = len(self._pipes) >= self._settings.limit
            listener = None if full else self._ports.listen(ipv6=command.ipv6)
            if listener is None:
                self._tell(protocol.Refused(command.stream, "ports"))
                return
            pipe = self._pipes[command.stream] = Pipe(command.stream, listener, self, self._counted)
        self._tell(protocol.Opened(command.stream, pipe.port))

    def _open(self, command: protocol.Open) -> None:
        if command.tcp:
            self._open_pipe(command)
            return
        stream = command.stream
        endpoint = self._endpoints.get(stream)
        if endpoint is None:
            if len(self._endpoints) >= self._settings.limit:
                self._tell(protocol.Refused(stream, "streams"))
                return
            pair = self._ports.take(ipv6=command.ipv6)
            if pair is None:
                self._tell(protocol.Refused(stream, "ports"))
                return
            endpoint = self._add(Endpoint(stream, *pair, self._identity, self._entropy, self._counted))
        self._tell(protocol.Opened(stream, endpoint.wire.port))

    def _add(self, endpoint: Endpoint) -> Endpoint:
        number = endpoint.number
        self._endpoints[number] = endpoint
        self._media[endpoint.wire.media.fileno()] = endpoint
        self._control[endpoint.wire.control.fileno()] = endpoint
        self._poll.register(endpoint.wire.media, select.EPOLLIN)
        self._poll.register(endpoint.wire.control, select.EPOLLIN)
        draw = self._entropy.number
        # RFC 3550 §5.1: SSRC, first sequence number and first timestamp are drawn at random
        ssrc, sequence, timestamp = draw(1, 0xFFFFFFFF), draw(0, 0x7FFF), draw(0, 0xFFFFFFFF)
        track = self._tracks[number] = Track(endpoint, ssrc, sequence, timestamp)
        self._studio.add(track)
        return endpoint

    def _close(self, stream: int) -> None:
        pipe = self._pipes.pop(stream, None)
        if pipe is not None:
            pipe.close()
            self._tell(protocol.Closed(stream, protocol.Figures(0, 0, pipe.octets_in, pipe.octets_out, 0, 0.0, 0)))
            return
        endpoint = self._endpoints.pop(stream, None)
        if endpoint is None:
            self._tell(protocol.Closed(stream, protocol.Figures(0, 0, 0, 0, 0, 0.0, 0)))
            return
        self._studio.remove(stream)
        del self._tracks[stream]
        for table, sock in ((self._media, endpoint.wire.media), (self._control, endpoint.wire.control)):
            del table[sock.fileno()]
            self._poll.unregister(sock)
        self._reported.pop(stream, None)
        self._silence_told.pop(stream, None)
        figures = endpoint.figures()
        endpoint.close()
        self._tell(protocol.Closed(stream, figures))

    def _connect(self, track: Track, other: int) -> None:
        far = self._tracks.get(other)
        if far is None or far is track:
            return
        for side in (track, far):
            side.player, side.endpoint.playing = None, False
        if track.endpoint.peer is not far.endpoint:
            track.endpoint.connect(far.endpoint)

    # --- playing

    def _play(self, track: Track, command: protocol.Play) -> None:
        player = Player(command.play, command.seconds, command.offset)
        track.player, track.endpoint.playing = player, True

        def arrived(clip: Clip | None, trouble: str) -> None:
            self._begin(track, player, clip, trouble)

        self._clips.get(command.digest, Path(command.path), arrived)

    def _tone(self, track: Track, command: protocol.Tone) -> None:
        player = Player(command.play, command.seconds)
        track.player, track.endpoint.playing = player, True
        self._begin(track, player, self._clips.tone(command.frequency, command.second), "")

    def _begin(self, track: Track, player: Player, clip: Clip | None, trouble: str) -> None:
        """The clip is there. A play that has nothing to say ends at the next beat, like any other."""
        if track.player is player:
            player.load(clip)
            duration = len(clip) / 8000 if clip is not None else 0.0
            self._tell(protocol.Playing(track.endpoint.number, player.number, duration, trouble))

    # --- once a second

    def _report(self, now: float) -> None:
        self._seconds += 1
        wall = self._wall()
        for number, track in self._tracks.items():
            if (number + self._seconds) % _REPORT_EACH == 0:
                track.report(self._name, now, wall)
        figures: dict[int, protocol.Figures] = {}
        for number, endpoint in self._endpoints.items():
            endpoint.tick()
            carried = endpoint.packets_in + endpoint.packets_out + endpoint.latch.strangers
            if carried != self._reported.get(number, 0):
                self._reported[number] = carried
                figures[number] = endpoint.figures()
            self._watch_silence(endpoint, now)
        self._tell(protocol.Statistics(figures))
        self._tell(self._beats(now))
        self._late.clear()
        self._counted.clear()
        self._translators.clear()
        self._translation, self._reported_at, self._reported_work = 0.0, now, self._worked()

    def _beats(self, now: float) -> protocol.Beats:
        late, seconds = sorted(self._late) or [0.0], max(1e-9, now - self._reported_at)
        return protocol.Beats(
            late[len(late) // 2],
            late[min(len(late) - 1, len(late) * 99 // 100)],
            dict(self._counted),
            (self._worked() - self._reported_work) / seconds,
            self._translation / seconds,
            len(self._translators),
        )

    def _watch_silence(self, endpoint: Endpoint, now: float) -> None:
        """Tell each time that nothing has come in for another so many seconds."""
        settings = endpoint.settings
        if settings is None or not settings.receive or not endpoint.targets:
            endpoint.heard_at = now
            return
        if not endpoint.heard_at:
            endpoint.heard_at = now
        silent = now - endpoint.heard_at
        if silent < self._settings.silent_after:
            self._silence_told.pop(endpoint.number, None)
        elif silent - self._silence_told.get(endpoint.number, 0.0) >= self._settings.silent_after:
            self._silence_told[endpoint.number] = silent
            self._tell(protocol.Silent(endpoint.number, silent))


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
    settings = msgspec.json.decode(sys.argv[2], type=Settings)
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
