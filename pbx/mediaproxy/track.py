"""The studio's side of one stream: what goes out at the beat (own SSRC, sequence and timestamps), and who listens.

Not here: the beat (`studio`), what comes in (`ear`). RFC 3550, RFC 3551, RFC 4733.
"""

from __future__ import annotations

from pbx.mediaproxy import rtcp, rtp
from pbx.mediaproxy.cadence import Cadence
from pbx.mediaproxy.continuity import Numbers
from pbx.mediaproxy.digits import DigitSender
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.framer import Framer
from pbx.mediaproxy.hearing import Heard
from pbx.mediaproxy.jitter import FRAME
from pbx.mediaproxy.player import Player
from pbx.mediaproxy.recorder import Recorder
from pbx.mediaproxy.tone_watch import ToneWatch


class Track:
    """One stream's."""

    def __init__(self, endpoint: Endpoint, ssrc: int, sequence: int, timestamp: int) -> None:
        self.endpoint = endpoint
        self.ssrc = ssrc
        self.sequence = sequence
        self.framer = Framer(timestamp)
        self.keys = DigitSender()
        self.player: Player | None = None
        self.recorder: Recorder | None = None
        self.tones: tuple[Cadence, ...] = ()
        self.watch: ToneWatch | None = None  # for these; None once one has been heard
        self.heard: Heard | None = None
        self.sources: tuple[Track, ...] = ()  # whose sum is sent to it
        self.echo = False
        self.at = 0.0  # of the last beat
        self._scale = 1  # timestamp units of the codec for one of the framer's
        self._told = 0
        self.quiet = True  # nothing was sent in the beat before: the next packet begins a talkspurt

    def configure(self) -> None:
        settings = self.endpoint.settings
        if settings is not None:
            self.framer.set_ptime(settings.ptime)

    @property
    def doubtful(self) -> int:
        """How many of the last beats may be a disconnect tone: nobody is to hear them before that is known."""
        return 0 if self.watch is None else self.watch.suspected

    def listen(self) -> None:
        """Let sound into the jitter buffer as long as somebody wants it."""
        self.endpoint.ear.listen(self.echo or self.heard is not None)

    def play(self, player: Player | None) -> None:
        """None: nothing any more."""
        self.player = player
        self._interrupt()

    def mix(self, sources: tuple[Track, ...]) -> None:
        """None: it gets what the relay brings again."""
        self.sources = sources
        self._interrupt()

    def _interrupt(self) -> None:
        self.endpoint.playing = self.player is not None or bool(self.sources) or self.keys.busy

    def press(self, key: str, milliseconds: int) -> None:
        """What the relay brings waits meanwhile (RFC 4733 §2.3: the press is part of the one stream)."""
        self.keys.push(key, milliseconds)
        self._interrupt()

    # --- what goes out

    def say(self, sound: bytes) -> None:
        """20 ms of G.711, of the law that is sent, else of µ-law."""
        if self.send_digits() or not self.endpoint.targets:
            return
        if self.endpoint.law_sent is not None:
            self._send(sound)
        elif self.endpoint.spoken:
            self._speak(sound)

    def pause(self) -> None:
        """20 ms in which others speak to it."""
        self.framer.skip()
        self.quiet = True
        if self.endpoint.playing:
            self._interrupt()

    def last(self) -> Numbers:
        """Of what was sent last (`continuity.Speaker`)."""
        return Numbers((self.sequence - 1) & 0xFFFF, (self.framer.timestamp - FRAME) * self._scale, self.at)

    def _send(self, payload: bytes) -> None:
        settings = self.endpoint.settings
        if settings is None:
            return
        self._scale = 1
        for timestamp, octets in self.framer.push(payload):
            packet = rtp.build(settings.codec, self.sequence, timestamp, self.ssrc, octets, marker=self.quiet)
            self._hand_on(packet)

    def _speak(self, sound: bytes) -> None:
        """The same through a codec; always 20 ms a packet."""
        settings, voice = self.endpoint.settings, self.endpoint.voice
        payload = voice.say(sound)
        self._scale = voice.scale
        timestamp = self.framer.timestamp * voice.scale
        self.framer.skip()
        if settings is None or not payload:
            return
        packet = rtp.build(settings.codec, self.sequence, timestamp, self.ssrc, payload, marker=self.quiet)
        self._hand_on(packet)

    def _hand_on(self, packet: bytes) -> None:
        self.quiet = False
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.endpoint.send(packet, self)

    def send_digits(self) -> bool:
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
                self._hand_on(packet)
        self.framer.skip()
        self.quiet = True
        return True

    def report(self, name: str, now: float, wall: float) -> None:
        """Each five seconds: what we sent and what we got (RFC 3550 §6.2), unless the relay passes on what the party
        behind says."""
        endpoint = self.endpoint
        settings = endpoint.settings
        if settings is None or settings.carriage != "audio" or endpoint.relay.forwards_control or not endpoint.targets:
            return
        heard, packets = endpoint.continuity, endpoint.packets_out
        if heard.changes or heard.passes is self:
            octets = endpoint.octets_out - rtp.HEADER * packets
            sent = rtcp.Sent(wall, heard.timestamp(now), packets, octets) if packets > self._told else None
            endpoint.report(heard.ssrc, name, sent, now)
        else:
            endpoint.report(self.ssrc, name, None, now)
        self._told = packets
