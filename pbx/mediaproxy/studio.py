"""The studio lane: at each beat of 20 ms it plays, echoes, sends digits, and records. RFC 3551, RFC 4733.

Sound that is only copied (clips, echo) stays G.711 octets; what must be understood (recordings) is decoded for all
streams at once, one row of a matrix each. Not here: sockets, files and time; the worker drives it.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pbx.mediaproxy import g711, protocol, rtcp, rtp
from pbx.mediaproxy.continuity import Numbers
from pbx.mediaproxy.digits import DigitSender
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.framer import Framer
from pbx.mediaproxy.jitter import FRAME, JitterBuffer
from pbx.mediaproxy.player import Player
from pbx.mediaproxy.speech import SpeechDetector, decibels
from pbx.mediaproxy.voice import Voice

BEAT = 0.02
# Recorded sound goes to the main process in pieces of half a second.
_PIECE = 25
# Limit: a recording is never longer than four hours, whatever was asked for.
_LONGEST_RECORDING = 4 * 3600
_CONCEALED = 3  # frames repeated, fading, when sound is lost

Tell = Callable[[protocol.Event], None]


@dataclass(slots=True)
class Recorder:
    """One recording in progress: samples not yet handed over, and what ends it."""

    number: int
    beats_left: int
    silent_beats: int  # 0: silence does not end it
    pieces: list[bytes] = field(default_factory=list)
    speech: SpeechDetector = field(default_factory=SpeechDetector)
    missing: int = _CONCEALED
    last: bytes = bytes(2 * FRAME)

    def over(self, level: float) -> str:
        """Take one frame's level; the cause when it was the last one."""
        self.beats_left -= 1
        self.speech.hear(level)
        if self.silent_beats and self.speech.silent_beats >= self.silent_beats:
            return "silence"
        return "limit" if self.beats_left <= 0 else ""


class Track:
    """The studio's side of one stream: what goes out (own SSRC, sequence and timestamps) and what is kept."""

    def __init__(self, endpoint: Endpoint, ssrc: int, sequence: int, timestamp: int) -> None:
        self.endpoint = endpoint
        self.ssrc = ssrc
        self.sequence = sequence
        self.framer = Framer(timestamp)
        self.keys = DigitSender()
        self.player: Player | None = None
        self.recorder: Recorder | None = None
        self.echo = False
        self.row = 0
        self.at = 0.0  # of the last beat
        self._scale = 1  # timestamp units of the codec for one of the framer's
        self._told = 0
        self.quiet = True  # nothing was sent in the beat before: the next packet begins a talkspurt

    def configure(self) -> None:
        settings = self.endpoint.settings
        if settings is not None:
            self.framer.set_ptime(settings.ptime)
            if self.endpoint.buffer.silence != self.endpoint.law.silence:
                self.endpoint.buffer = JitterBuffer(self.endpoint.law.silence)

    def listen(self) -> None:
        """Let sound into the jitter buffer as long as somebody wants it."""
        wanted = self.echo or self.recorder is not None
        if wanted and not self.endpoint.listening:  # what an earlier listener left is out of date
            self.endpoint.buffer = JitterBuffer(self.endpoint.law.silence)
        self.endpoint.listening = wanted

    def send(self, payload: bytes, counted: Counter[str]) -> None:
        settings = self.endpoint.settings
        if settings is None:
            return
        self._scale = 1
        for timestamp, octets in self.framer.push(payload):
            packet = rtp.build(settings.codec, self.sequence, timestamp, self.ssrc, octets, marker=self.quiet)
            self.quiet = False
            self._send(packet, counted)

    def speak(self, sound: bytes, voice: Voice, counted: Counter[str]) -> None:
        """The same through a codec; always 20 ms a packet."""
        settings = self.endpoint.settings
        payload = voice.say(sound)
        self._scale = voice.scale
        timestamp = self.framer.timestamp * voice.scale
        self.framer.skip()
        if settings is None or not payload:
            return
        packet = rtp.build(settings.codec, self.sequence, timestamp, self.ssrc, payload, marker=self.quiet)
        self.quiet = False
        self._send(packet, counted)

    def _send(self, packet: bytes, counted: Counter[str]) -> None:
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.endpoint.send(packet, counted, self)

    def last(self) -> Numbers:
        """Of what was sent last (`continuity.Speaker`)."""
        return Numbers((self.sequence - 1) & 0xFFFF, (self.framer.timestamp - FRAME) * self._scale, self.at)

    def report(self, name: str, now: float, wall: float) -> None:
        """Each five seconds: what we sent and what we got (RFC 3550 §6.2), unless the relay passes on what the party
        behind says."""
        endpoint = self.endpoint
        settings = endpoint.settings
        if settings is None or settings.carriage != "audio" or endpoint.forwards_control or not endpoint.targets:
            return
        heard, packets = endpoint.continuity, endpoint.packets_out
        if heard.changes or heard.passes is self:
            octets = endpoint.octets_out - rtp.HEADER * packets
            sent = rtcp.Sent(wall, heard.timestamp(now), packets, octets) if packets > self._told else None
            endpoint.report(heard.ssrc, name, sent, now)
        else:
            endpoint.report(self.ssrc, name, None, now)
        self._told = packets

    def send_digits(self, counted: Counter[str]) -> bool:
        """The packet of a digit in progress, instead of sound; False when there is none."""
        settings = self.endpoint.settings
        if not self.keys.busy or settings is None or settings.dtmf is None:
            return False
        event = self.keys.beat(self.framer.timestamp)
        if event is not None:
            for _ in range(event.copies):
                packet = rtp.build(
                    settings.dtmf, self.sequence, event.timestamp, self.ssrc, event.payload, marker=event.marker
                )
                self._send(packet, counted)
        self.framer.skip()
        self.quiet = True
        return True


class Studio:
    """All tracks of a worker."""

    def __init__(self, tell: Tell, counted: Counter[str]) -> None:
        self._tell = tell
        self._counted = counted
        self._tracks: dict[int, Track] = {}
        self._recording: list[Track] = []
        self._reserve(16)

    def _reserve(self, rows: int) -> None:
        """Matrices for so many recordings, made once and grown by doubling."""
        self._codes: npt.NDArray[np.uint16] = np.zeros((rows, FRAME), dtype=np.uint16)
        self._sound: npt.NDArray[np.int16] = np.zeros((rows, FRAME), dtype=np.int16)
        self._power: npt.NDArray[np.float32] = np.zeros((rows, FRAME), dtype=np.float32)

    def add(self, track: Track) -> None:
        self._tracks[track.endpoint.number] = track

    def remove(self, number: int) -> None:
        track = self._tracks.pop(number, None)
        if track is not None:
            self.end_record(track, "stopped")

    def record(self, track: Track, number: int, limit: float, silence: float) -> None:
        """Begin to record; a recording in progress ends."""
        self.end_record(track, "stopped")
        beats = max(1, round(min(limit, _LONGEST_RECORDING) / BEAT))
        track.recorder = Recorder(number, beats, round(silence / BEAT))
        track.listen()
        self._recording.append(track)
        if len(self._recording) > len(self._codes):
            self._reserve(2 * len(self._codes))

    def end_record(self, track: Track, cause: str) -> None:
        recorder, track.recorder = track.recorder, None
        if recorder is not None:
            self._recording.remove(track)
            self._tell(protocol.Sound(track.endpoint.number, recorder.number, b"".join(recorder.pieces), cause))
            track.listen()

    def beat(self, now: float) -> None:
        """20 ms have passed."""
        recording = self._recording
        for row, track in enumerate(recording):
            track.row = row
        arrived = [False] * len(recording)
        for track in list(self._tracks.values()):
            try:
                self._beat_track(track, arrived, now)
            except Exception:  # one stream's fault must not cost the others their beat
                self._counted["media.worker_faults"] += 1
                traceback.print_exc()
                self.remove(track.endpoint.number)
                return
        if recording:
            self._record(arrived)

    def _beat_track(self, track: Track, arrived: list[bool], now: float) -> None:
        endpoint = track.endpoint
        if endpoint.keys.pressed and (digit := endpoint.keys.tick(now)) is not None:
            self._tell(protocol.Digit(endpoint.number, digit.key, digit.milliseconds))
        frame = endpoint.buffer.pull() if endpoint.listening else None
        if track.recorder is not None and frame is not None:
            arrived[track.row] = True
            self._codes[track.row] = np.frombuffer(frame, dtype=np.uint8)
            if endpoint.law is g711.Law.ALAW:
                self._codes[track.row] += 256
        self._outward(track, frame, now)

    def _outward(self, track: Track, frame: bytes | None, now: float) -> None:
        endpoint, track.at = track.endpoint, now
        law = endpoint.law_sent
        player = track.player
        if player is None and endpoint.peer is not None and not track.keys.busy:
            endpoint.playing = False
            track.framer.skip()
            track.quiet = True
            return
        if player is not None:
            sound = player.take(law or g711.Law.ULAW)
        elif track.echo and frame is not None:
            sound = frame
        else:
            sound = bytes([endpoint.law.silence]) * FRAME
        if not track.send_digits(self._counted) and endpoint.targets:
            if law is not None:
                track.send(sound, self._counted)
            elif endpoint.spoken:
                track.speak(sound, endpoint.voice, self._counted)
        if player is not None and player.ended:
            track.player, endpoint.playing = None, False
            self._tell(protocol.Played(endpoint.number, player.number))

    def _record(self, arrived: list[bool]) -> None:
        """Decode, measure and keep one frame of each recording."""
        rows = len(arrived)
        sound = self._sound[:rows]
        np.take(g711.DECODE, self._codes[:rows], out=sound, mode="clip")
        for row, track in enumerate(self._recording):
            recorder = track.recorder
            assert recorder is not None
            if arrived[row]:
                recorder.missing = 0
            else:  # lost: the frame before, fading, then silence
                recorder.missing += 1
                before = np.frombuffer(recorder.last, dtype=np.int16)
                sound[row] = before // 2 if recorder.missing <= _CONCEALED else 0
        power = self._power[:rows]
        np.multiply(sound, sound, out=power, dtype=np.float32)
        levels = power.mean(axis=1)
        for row, track in list(enumerate(self._recording)):
            recorder = track.recorder
            assert recorder is not None
            recorder.last = sound[row].tobytes()
            recorder.pieces.append(recorder.last)
            cause = recorder.over(decibels(float(levels[row])))
            if cause:
                self.end_record(track, cause)
            elif len(recorder.pieces) >= _PIECE:
                self._tell(protocol.Sound(track.endpoint.number, recorder.number, b"".join(recorder.pieces), ""))
                recorder.pieces.clear()
