"""The streams of a media worker, and what each command of the main process does with them.

Not here: the loop that reads sockets and commands (`worker`), what a stream does with a packet (`endpoint`) and at the
beat (`studio`).
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, assert_never

from base.entropy import Entropy
from pbx.mediaproxy import protocol
from pbx.mediaproxy.clips import Clips
from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.pipe import Pipe
from pbx.mediaproxy.pipe import Poll as PipePoll
from pbx.mediaproxy.player import Clip, Player
from pbx.mediaproxy.ports import PortPairs
from pbx.mediaproxy.studio import Studio
from pbx.mediaproxy.track import Track

_NOTHING = protocol.Figures(0, 0, 0, 0, 0, 0.0, 0)


class Poll(PipePoll, Protocol):
    """The worker's."""

    def watch(self, sock: socket.socket) -> None:
        """Datagrams that come there are for an endpoint."""

    def unwatch(self, sock: socket.socket) -> None: ...


class Streams:
    """`media` and `control` are endpoints by the descriptors of their sockets; `tracks` all by their numbers."""

    def __init__(
        self,
        settings: protocol.Settings,
        entropy: Entropy,
        poll: Poll,
        tell: Callable[[protocol.Event], None],
        wake: Callable[[], None],
        counted: Counter[str],
    ) -> None:
        """`wake` is called by a thread when there is something for `collect`."""
        self._limit = settings.limit
        self._entropy = entropy
        self._poll = poll
        self._tell = tell
        self._counted = counted
        self._ports = PortPairs(settings.address, range(settings.first_port, settings.last_port + 1))
        self._pipes: dict[int, Pipe] = {}
        self._clips = Clips(wake)
        self.identity = Identity()
        self.tracks: dict[int, Track] = {}
        self.media: dict[int, Endpoint] = {}
        self.control: dict[int, Endpoint] = {}
        self.studio = Studio(tell, counted)

    def collect(self) -> None:
        """Hand out the sounds that have been read."""
        self._clips.collect()

    # --- commands

    def obey(self, command: protocol.Command) -> None:
        """Do it; what is told a stream that is not there is forgotten."""
        match command:
            case protocol.Ping():
                self._tell(protocol.Pong(command.number))
            case protocol.Open():
                self._open(command)
            case protocol.Close():
                self._close(command.stream)
            case protocol.Tape():
                self.studio.tape(command.tape, self.tracks.get(command.left), self.tracks.get(command.right))
            case protocol.EndTape():
                self.studio.end_tape(command.tape, "stopped")
            case _ if command.stream in self.tracks:
                self._tell_track(self.tracks[command.stream], command)
            case _ if command.stream in self._pipes:
                self._tell_pipe(self._pipes[command.stream], command)

    def _tell_track(self, track: Track, command: protocol.StreamCommand) -> None:
        match command:
            case protocol.Configure():
                carrier = self.tracks.get(command.settings.carrier)
                track.endpoint.join_bundle(None if carrier is None else carrier.endpoint)
                track.endpoint.configure(command.settings)
                track.configure()
                self.studio.watch(track, command.settings.disconnect_tones)
            case protocol.Connect():
                self._connect(track, command.other)
            case protocol.Disconnect():
                track.endpoint.relay.disconnect()
            case protocol.Echo():
                track.echo = command.on
                track.listen()
            case protocol.Play():
                self._play(track, command)
            case protocol.Tone():
                self._tone(track, command)
            case protocol.Stop():
                track.play(None)
            case protocol.Record():
                self.studio.record(track, command.record, command.limit, command.silence)
            case protocol.StopRecord():
                self.studio.end_record(track, "stopped")
            case protocol.Mix():
                self.studio.mix(track, tuple(self.tracks[other] for other in command.others if other in self.tracks))
            case protocol.SendDigit():
                track.press(command.digit, command.milliseconds)
            case _:
                assert_never(command)

    def _tell_pipe(self, pipe: Pipe, command: protocol.StreamCommand) -> None:
        """The few things that a stream over TCP can be told."""
        match command:
            case protocol.Configure():
                pipe.configure(command.settings)
            case protocol.Connect() if command.other in self._pipes:
                pipe.connect(self._pipes[command.other])
            case protocol.Disconnect():
                pipe.disconnect()

    def _connect(self, track: Track, other: int) -> None:
        far = self.tracks.get(other)
        if far is None or far is track:
            return
        for side in (track, far):
            side.play(None)
        track.endpoint.relay.connect(far.endpoint.relay)

    # --- opening and closing

    def _open(self, command: protocol.Open) -> None:
        port = self._open_pipe(command) if command.tcp else self._open_endpoint(command)
        if isinstance(port, str):
            self._tell(protocol.Refused(command.stream, port))
        else:
            self._tell(protocol.Opened(command.stream, port))

    def _open_pipe(self, command: protocol.Open) -> int | str:
        """The port, or what there is none left of."""
        pipe = self._pipes.get(command.stream)
        if pipe is None:
            full = len(self._pipes) >= self._limit
            listener = None if full else self._ports.listen(ipv6=command.ipv6)
            if listener is None:
                return "ports"
            pipe = self._pipes[command.stream] = Pipe(command.stream, listener, self._poll, self._counted)
        return pipe.port

    def _open_endpoint(self, command: protocol.Open) -> int | str:
        """The same."""
        known = self.tracks.get(command.stream)
        if known is not None:
            return known.endpoint.wire.port
        if len(self.tracks) >= self._limit:
            return "streams"
        pair = self._ports.take(ipv6=command.ipv6)
        if pair is None:
            return "ports"
        endpoint = Endpoint(command.stream, *pair, self.identity, self._entropy, self._counted)
        self._add(endpoint)
        return endpoint.wire.port

    def _add(self, endpoint: Endpoint) -> None:
        for table, sock in ((self.media, endpoint.wire.media), (self.control, endpoint.wire.control)):
            table[sock.fileno()] = endpoint
            self._poll.watch(sock)
        draw = self._entropy.number
        # RFC 3550 §5.1: SSRC, first sequence number and first timestamp are drawn at random
        ssrc, sequence, timestamp = draw(1, 0xFFFFFFFF), draw(0, 0x7FFF), draw(0, 0xFFFFFFFF)
        track = self.tracks[endpoint.number] = Track(endpoint, ssrc, sequence, timestamp)
        self.studio.add(track)

    def _close(self, stream: int) -> None:
        pipe, track = self._pipes.pop(stream, None), self.tracks.pop(stream, None)
        figures = _NOTHING
        if pipe is not None:
            pipe.close()
            figures = protocol.Figures(0, 0, pipe.octets_in, pipe.octets_out, 0, 0.0, 0)
        elif track is not None:
            figures = track.endpoint.figures()
            self._remove(track.endpoint)
        self._tell(protocol.Closed(stream, figures))

    def _remove(self, endpoint: Endpoint) -> None:
        self.studio.remove(endpoint.number)
        for table, sock in ((self.media, endpoint.wire.media), (self.control, endpoint.wire.control)):
            del table[sock.fileno()]
            self._poll.unwatch(sock)
        endpoint.close()

    # --- playing

    def _play(self, track: Track, command: protocol.Play) -> None:
        player = Player(command.play, command.seconds, command.offset)
        track.play(player)

        def arrived(clip: Clip | None, trouble: str) -> None:
            self._begin(track, player, clip, trouble)

        self._clips.get(command.digest, Path(command.path), arrived)

    def _tone(self, track: Track, command: protocol.Tone) -> None:
        player = Player(command.play, command.seconds)
        track.play(player)
        self._begin(track, player, self._clips.tone(command.frequency, command.second), "")

    def _begin(self, track: Track, player: Player, clip: Clip | None, trouble: str) -> None:
        """The clip is there. A play that has nothing to say ends at the next beat, like any other."""
        if track.player is player:
            player.load(clip)
            duration = len(clip) / 8000 if clip is not None else 0.0
            self._tell(protocol.Playing(track.endpoint.number, player.number, duration, trouble))
