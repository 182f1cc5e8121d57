"""One stream in the worker: its two sockets, its latch and counters, and the relay lane.

The relay lane forwards a packet with at most its payload number (and law) changed; sequence, timestamp and SSRC stay
those of who spoke first (`continuity`).
Not here: the studio lane (`studio`), which plays, records and echoes at the beat. RFC 3550, RFC 3551, RFC 4961.
"""

from __future__ import annotations

import socket
from collections import Counter

from base.entropy import Entropy
from pbx.mediaproxy import g711, protocol, rtcp, rtp
from pbx.mediaproxy.bundle import Bundle
from pbx.mediaproxy.codecs import CODECS
from pbx.mediaproxy.continuity import Continuity, Numbers, Speaker
from pbx.mediaproxy.digits import Digit, DigitReceiver
from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.engine import StreamSettings
from pbx.mediaproxy.g711 import LAWS, Law
from pbx.mediaproxy.jitter import JitterBuffer
from pbx.mediaproxy.lane import control_packet
from pbx.mediaproxy.latch import Address, Latch
from pbx.mediaproxy.plan import DTMF, Translation, numeric, translations, understood
from pbx.mediaproxy.reception import Reception
from pbx.mediaproxy.transcoder import Transcoder
from pbx.mediaproxy.voice import Voice
from pbx.mediaproxy.wire import Wire

# Limit: packets a second that one stream may bring; 10 ms frames are 100. Ends a loop of streams as well as a flood.
MOST_PACKETS = 400
# Limit: the same for a stream that may be video; 4,000 packets are some 35 Mbit/s.
MOST_UNREAD = 4000
_RTCP_SMALLEST = 8


class Endpoint:
    """One stream."""

    def __init__(
        self,
        number: int,
        media: socket.socket,
        control: socket.socket,
        identity: Identity,
        entropy: Entropy,
        counted: Counter[str],
    ) -> None:
        self.number = number
        self._entropy = entropy
        self._counted = counted
        self.wire = Wire(media, control, identity, counted)
        self.bundle = Bundle()
        self._carrier: Endpoint | None = None
        self.settings: StreamSettings | None = None
        self.latch = Latch()
        self.keys = DigitReceiver()
        self.buffer = JitterBuffer()
        self.peer: Endpoint | None = None
        self.plan: dict[int, Translation] = {}
        self.transcoder: Transcoder | None = None
        self.spoken = ""  # the codec that the studio needs for this stream; empty: G.711 will do
        self._voice: Voice | None = None
        self.names: dict[int, str] = {}
        self.listening = False  # recording or echo: sound goes to the buffer
        self.playing = False  # a play interrupts what the relay brings
        self.heard_at = 0.0
        self.packets_in = self.packets_out = self.octets_in = self.octets_out = 0
        self.this_second = 0
        self.most = MOST_PACKETS
        self.special = False  # not plain RTP: encrypted, on one port with RTCP, or unread
        self.far_lost = 0
        self.far_jitter = 0.0
        self._reported: tuple[int, float] | None = None  # the peer's last sender report and when it came
        self.reception = Reception(self._begin_anew)
        self.continuity = Continuity()

    def configure(self, settings: StreamSettings) -> None:
        """Take what was negotiated."""
        self.settings = settings
        self.names = {number: name.upper() for number, name in settings.payload_types.items()}
        self.latch.configure(numeric(settings.remote), numeric(settings.guess))
        self.most = MOST_PACKETS if settings.carriage == "audio" else MOST_UNREAD
        self._aim()
        self.wire.secure(settings)
        self._aim()
        self._find_voice()
        self.special = self.wire.lane is not None or settings.mux or settings.carriage != "audio"
        self.plan_relay()
        if self.peer is not None:
            self.peer.plan_relay()

    def _find_voice(self) -> None:
        name = "" if self.settings is None else self.names.get(self.settings.codec, "")
        self.spoken = "" if name in LAWS or name not in CODECS or not CODECS[name].both_ways else name

    @property
    def voice(self) -> Voice:
        """The studio's way into `spoken`, begun when the studio first has something to do with this stream."""
        if self._voice is None or self._voice.name != self.spoken:
            self._voice = Voice(self.spoken)
        return self._voice

    def plan_relay(self) -> None:
        """Find out again what the relay forwards to the peer."""
        peer = self.peer
        self.plan = {}
        if peer is None or peer.settings is None or self.settings is None:
            self.transcoder = None
            return
        if self.settings.receive and peer.settings.send:
            self.plan = translations(self.names, peer.names, peer.settings.dtmf)
            self._plan_transcoding(peer.names, peer.settings.codec)

    def _plan_transcoding(self, outward: dict[int, str], sent: int) -> None:
        names = understood(self.names, outward, sent, self.plan)
        if names is None:
            if self.transcoder is not None:
                self._stop_speaking()
            self.transcoder = None
        elif self.transcoder is None or self.transcoder.names != (*names, sent):
            self._stop_speaking()
            draw = self._entropy.number  # RFC 3550 §5.1
            self.transcoder = Transcoder(*names, sent, draw(1, 0xFFFFFFFF), draw(0, 0x7FFF), draw(0, 0xFFFFFFFF))
            self._counted["media.transcoded"] += 1

    def _aim(self) -> None:
        settings, wire = self.settings, self.wire
        if settings is None or not settings.send or self._carrier is not None:
            wire.targets = ()
        elif settings.ice is None or wire.lane is None or wire.lane.ice is None:
            wire.targets = self.latch.targets()
        else:  # RFC 8445 §12.1: nothing is sent before the peer has checked a path
            wire.targets = () if wire.selected is None else (wire.selected,)

    @property
    def targets(self) -> tuple[Address, ...]:
        """Where its packets go."""
        return self.wire.targets

    # --- receiving

    def receive(
        self, buffer: memoryview, size: int, source: Address, now: float, counted: Counter[str]
    ) -> Digit | None:
        """A datagram has come to the RTP port; returns a digit that is complete by it."""
        if self.special:
            size, source = self._unwrap(buffer, size, source, now, counted)
            if not size:
                return None
        # Nearly all voice begins with 0x80; what claims more (CSRC, extension, padding) must have it.
        if size < rtp.HEADER or size > rtp.LONGEST or (buffer[0] != 0x80 and rtp.parse(buffer[:size]) is None):
            counted["media.malformed"] += 1
            return None
        _, second, sequence, timestamp, ssrc = rtp.FIXED.unpack_from(buffer)
        number = second & 0x7F
        name = self.names.get(number)
        if name is None:
            counted["media.unknown_payload"] += 1
            return None
        before = self.latch.source
        if not self.latch.accept(source, ssrc, now):
            counted["media.waiting" if self.latch.waits(source) else "media.strangers"] += 1
            return None
        if before is not self.latch.source:
            self._aim()
        self.this_second += 1
        if self.this_second > self.most:
            counted["media.flood"] += 1
            return None
        self.heard_at = now
        self.packets_in += 1
        self.octets_in += size
        self.reception.packet(sequence, ssrc)
        if self.peer is not None:
            self._relay(buffer, size, number, counted)
        if name == DTMF:
            packet = rtp.parse(buffer[:size])
            return self.keys.receive(timestamp, packet.payload, now) if packet is not None else None
        self.reception.timing(timestamp, now)
        if self.listening:
            if name in LAWS:
                self._keep(buffer[:size], LAWS[name], now)
            elif name == self.spoken:
                self._understand(buffer[:size], self.voice, now)
        return None

    def _understand(self, data: memoryview, voice: Voice, now: float) -> None:
        packet = rtp.parse(data)
        if packet is not None:
            self.buffer.put(packet.timestamp // voice.scale, packet.ssrc, voice.hear(packet.payload), now)

    def _relay(self, buffer: memoryview, size: int, number: int, counted: Counter[str]) -> None:
        """Forward as it is, but for the payload number (and the law) where the far side has another."""
        peer = self.peer
        if self.transcoder is not None:
            self._transcode(buffer[:size], number, self.transcoder, counted)
            return
        translation = self.plan.get(number)
        if peer is None or translation is None or peer.playing:
            counted["media.not_forwarded"] += 1
            return
        data: memoryview | bytes = buffer[:size]
        if translation.table is not None:
            packet = rtp.parse(data)
            if packet is None:
                counted["media.malformed"] += 1
                return
            data = rtp.build(
                translation.payload_type,
                packet.sequence,
                packet.timestamp,
                packet.ssrc,
                packet.payload.translate(translation.table),
                marker=packet.marker,
            )
        elif translation.payload_type != number:
            buffer[1] = (buffer[1] & 0x80) | translation.payload_type
        peer.send(data, counted, self)

    def _transcode(self, data: memoryview, number: int, transcoder: Transcoder, counted: Counter[str]) -> None:
        peer, packet = self.peer, rtp.parse(data)
        if peer is None or packet is None or peer.playing:
            counted["media.not_forwarded"] += 1
            return
        name, event = self.names.get(number), self.plan.get(number)
        if name == transcoder.names[0]:
            for made in transcoder.feed(packet):
                peer.send(made, counted, self)
        elif name == DTMF and event is not None:
            peer.send(transcoder.event(packet, event.payload_type), counted, self)

    def _keep(self, data: memoryview, law: Law, now: float) -> None:
        packet = rtp.parse(data)
        if packet is None:
            return
        payload = packet.payload if law is self.law else packet.payload.translate(g711.across(law))
        self.buffer.put(packet.timestamp, packet.ssrc, payload, now)

    @property
    def law(self) -> Law:
        """The law that we send, and that the jitter buffer holds."""
        return self.law_sent or Law.ULAW

    @property
    def law_sent(self) -> Law | None:
        """None when what was negotiated is no G.711."""
        return LAWS.get(self.names.get(self.settings.codec, "")) if self.settings is not None else None

    # --- what is not plain RTP

    def _unwrap(
        self, buffer: memoryview, size: int, source: Address, now: float, counted: Counter[str]
    ) -> tuple[int, Address]:
        """Decrypt, part RTCP from RTP, pass on what is unread; what is left (size, source) is plain RTP to be read."""
        settings = self.settings
        if settings is None or self._carrier is not None:
            return 0, source
        wire = self.wire
        if wire.lane is not None:
            opened = wire.lane.receive(bytes(buffer[:size]), source, self.latch.expected(source))
            self._aim()
            if opened is None:
                return 0, source
            size = len(opened)
            buffer[:size] = opened
            if wire.selected is not None:
                # What comes over a checked path is the peer's, whichever of its paths it is.
                source = wire.selected
                self.latch.believe(source)
        rider = self.bundle.owner(buffer[:size]) if self.bundle else None
        if rider is not None:
            rider.ride(buffer, size, now)
            return 0, source
        if settings.mux and settings.carriage != "raw" and size > 1 and control_packet(buffer[1]):
            self._take_control(bytes(buffer[:size]), now, counted)
            return 0, source
        if settings.carriage == "audio":
            return size, source
        self._pass_on(buffer, size, source, now, counted)
        return 0, source

    def _pass_on(self, buffer: memoryview, size: int, source: Address, now: float, counted: Counter[str]) -> None:
        """Unread: video, whose packets are only checked to be RTP, and datagrams that are something else."""
        assert self.settings is not None
        ssrc = 0
        if self.settings.carriage == "rtp":
            if size < rtp.HEADER or buffer[0] >> 6 != 2:
                counted["media.malformed"] += 1
                return
            ssrc = int.from_bytes(buffer[8:12], "big")
        before = self.latch.source
        if not size or not self.latch.accept(source, ssrc, now):
            counted["media.waiting" if self.latch.waits(source) else "media.strangers"] += 1
            return
        if before is not self.latch.source:
            self._aim()
        self._forward(buffer, size, now, counted)

    def _forward(self, buffer: memoryview, size: int, now: float, counted: Counter[str]) -> None:
        assert self.settings is not None
        self.this_second += 1
        if self.this_second > self.most:
            counted["media.flood"] += 1
            return
        self.heard_at = now
        self.packets_in += 1
        self.octets_in += size
        peer = self.peer
        if peer is not None and peer.settings is not None and peer.settings.carriage == self.settings.carriage:
            peer.send(buffer[:size], counted)

    def receive_control(self, data: memoryview, source: Address, now: float, counted: Counter[str]) -> None:
        """A datagram has come to the RTCP port: believed when it comes from the peer's host."""
        if self.settings is None or self._carrier is not None:
            counted["media.early"] += 1  # the peer is quicker than its answer
            return
        if not self.latch.belongs(source):
            self.latch.strangers += 1
            counted["media.strangers"] += 1
            return
        opened: bytes | None = bytes(data)
        if self.wire.control_lane is not None:
            opened = self.wire.control_lane.receive(bytes(data), source, True)
        if opened is not None and self._take_control(opened, now, counted):
            self.wire.control_source = source

    def _take_control(self, data: bytes, now: float, counted: Counter[str]) -> bool:
        """An RTCP packet of the peer: read for its figures, and forwarded as it is."""
        if not _RTCP_SMALLEST <= len(data) <= rtp.LONGEST or data[0] >> 6 != 2 or not control_packet(data[1]):
            counted["media.malformed"] += 1
            return False
        self.this_second += 1
        if self.this_second > self.most:
            counted["media.flood"] += 1
            return False
        reports = rtcp.parse(data)
        if reports.blocks:
            self.far_lost, self.far_jitter = max(0, reports.blocks[0].lost), reports.blocks[0].jitter / 8
        if reports.sent is not None:
            self._reported = (reports.sent, now)
        peer = self.peer
        if peer is not None and self.forwards_control:
            peer.send_control(data)
        return True

    @property
    def forwards_control(self) -> bool:
        """Whether the peer's reports are those of the party behind: packets go through as they are."""
        settings, peer = self.settings, self.peer
        if settings is None or peer is None:
            return False
        if settings.carriage != "audio":
            return settings.carriage == "rtp"
        true = peer.continuity.true_of(self) and self.continuity.true_of(peer)
        return bool(self.plan) and self.transcoder is None and true

    # --- on the port of another one

    def join_bundle(self, carrier: Endpoint | None) -> None:
        """From now on its packets come and go with those of that stream; None: on its own port."""
        if self._carrier is not None:
            self._carrier.bundle.drop(self)
        self._carrier = carrier
        if carrier is not None:
            carrier.bundle.take(self)

    def ride(self, buffer: memoryview, size: int, now: float) -> None:
        """A packet has come to the port of the one that carries it, which has decrypted it."""
        if self.settings is None:
            return
        if control_packet(buffer[1]):
            self._take_control(bytes(buffer[:size]), now, self._counted)
        elif buffer[0] >> 6 == 2:
            self._forward(buffer, size, now, self._counted)

    # --- sending

    def last(self) -> Numbers:
        """Of what its own peer has got of it (`continuity.Speaker`)."""
        return (self.transcoder or self.reception).last(self.heard_at)

    def _begin_anew(self) -> None:
        """Another source speaks from our own peer's address, or the same one with numbers far from those before."""
        if self.transcoder is None:
            self._stop_speaking()

    def _stop_speaking(self) -> None:
        """To its peer: it is no longer joined, or its numbers are about to change."""
        if self.peer is not None:
            self.peer.continuity.stop(self)

    def send(self, data: bytes | memoryview, counted: Counter[str], speaker: Speaker | None = None) -> None:
        """Send one RTP packet to the peer: to the latched source, before that to all that may be it. Without a speaker
        it goes as it is."""
        if speaker is not None and self.continuity.passes is not speaker:
            data = self.continuity.take(data, speaker, self.names)
        carrier = self._carrier
        if carrier is not None:
            carrier.bundle.heard(data, self)
        packets, octets = (self if carrier is None else carrier).wire.send(data)
        self.packets_out += packets
        self.octets_out += octets

    def send_control(self, data: bytes) -> None:
        """Send one RTCP packet."""
        (self if self._carrier is None else self._carrier).wire.send_control(data)

    def report(self, ssrc: int, name: str, sent: rtcp.Sent | None, now: float) -> None:
        """A report of our own, for a stream whose peer hears us and not another party (RFC 3550 §6.4)."""
        heard = self._reported
        # RFC 3550 §6.4.1: LSR and DLSR, the latter in units of 1/65536 seconds
        last, delay = (0, 0) if heard is None else (heard[0], int((now - heard[1]) * 65536))
        self.send_control(rtcp.report(ssrc, name, sent, self.reception.block(last, delay)))

    def tick(self) -> None:
        """Once a second."""
        self.this_second = 0
        self.wire.tick()

    # --- life

    def connect(self, other: Endpoint) -> None:
        for side in (self, other):
            if side.peer is not None:
                side.disconnect()
        self.peer, other.peer = other, self
        self.plan_relay()
        other.plan_relay()

    def disconnect(self) -> Endpoint | None:
        """End the relay; returns who was at the other end."""
        self._stop_speaking()
        other, self.peer = self.peer, None
        self.plan = {}
        if other is not None:
            self.continuity.stop(other)
            other.peer, other.plan = None, {}
        return other

    def figures(self) -> protocol.Figures:
        return protocol.Figures(
            self.packets_in,
            self.packets_out,
            self.octets_in,
            self.octets_out,
            self.reception.lost,
            self.reception.jitter,
            self.latch.strangers,
            self.far_lost,
            self.far_jitter,
        )

    def close(self) -> None:
        self.disconnect()
        self.join_bundle(None)
        self.wire.close()
