"""One stream in the worker: its two sockets, its latch and counters, and who gets what comes in.

Not here: the relay lane (`relay`), nor the studio lane (`ear`, `studio`), which plays, records and echoes at the beat.
RFC 3550, RFC 3551, RFC 4961.
"""

from __future__ import annotations

import socket
from collections import Counter

from base.entropy import Entropy
from pbx.mediaproxy import protocol, rtcp, rtp
from pbx.mediaproxy.bundle import Bundle
from pbx.mediaproxy.codecs import CODECS
from pbx.mediaproxy.continuity import Continuity, Speaker
from pbx.mediaproxy.digits import Digit, DigitReceiver
from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.ear import Ear
from pbx.mediaproxy.engine import StreamSettings
from pbx.mediaproxy.g711 import LAWS, Law
from pbx.mediaproxy.lane import control_packet
from pbx.mediaproxy.latch import Address, Latch
from pbx.mediaproxy.plan import DTMF, numeric
from pbx.mediaproxy.reception import Reception
from pbx.mediaproxy.relay import Relay
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
        self._counted = counted
        self.wire = Wire(media, control, identity, counted)
        self.bundle = Bundle()
        self._carrier: Endpoint | None = None
        self.settings: StreamSettings | None = None
        self.latch = Latch()
        self.keys = DigitReceiver()
        self.ear = Ear()
        self.relay = Relay(self, entropy, counted)
        self.law_sent: Law | None = None  # None when what was negotiated is no G.711
        self.spoken = ""  # the codec that the studio needs for this stream; empty: G.711 will do
        self._voice: Voice | None = None
        self.names: dict[int, str] = {}
        self.playing = False  # a play interrupts what the relay brings
        self.heard_at = 0.0
        self.silence_told = 0.0  # how long it had lasted when it was told
        self.told = 0  # what it had carried when its figures were told
        self.packets_in = self.packets_out = self.octets_in = self.octets_out = 0
        self.this_second = 0
        self.most = MOST_PACKETS
        self.special = False  # not plain RTP: encrypted, on one port with RTCP, or unread
        self.far_lost = 0
        self.far_jitter = 0.0
        self._reported: tuple[int, float] | None = None  # the peer's last sender report and when it came
        self.reception = Reception(self.relay.begin_anew)
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
        self.law_sent = LAWS.get(self.names.get(settings.codec, ""))
        self._find_voice()
        self.special = self.wire.lane is not None or settings.mux or settings.carriage != "audio"
        self.ear.turn_to(self.law_sent or Law.ULAW)
        self.relay.renew()

    def _find_voice(self) -> None:
        name = "" if self.settings is None else self.names.get(self.settings.codec, "")
        self.spoken = "" if name in LAWS or name not in CODECS or not CODECS[name].both_ways else name

    @property
    def voice(self) -> Voice:
        """The studio's voice in `spoken`, begun when the studio first has something to do with this stream."""
        if self._voice is None or self._voice.name != self.spoken:
            self._voice = Voice(self.spoken)
        return self._voice

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

    def receive(self, buffer: memoryview, size: int, source: Address, now: float) -> Digit | None:
        """A datagram has come to the RTP port; returns a digit that is complete by it."""
        if self.special:
            size, source = self._unwrap(buffer, size, source, now)
            if not size:
                return None
        # Nearly all voice begins with 0x80; what claims more (CSRC, extension, padding) must have it.
        if size < rtp.HEADER or size > rtp.LONGEST or (buffer[0] != 0x80 and rtp.parse(buffer[:size]) is None):
            self._counted["media.malformed"] += 1
            return None
        _, second, sequence, timestamp, ssrc = rtp.FIXED.unpack_from(buffer)
        number = second & 0x7F
        name = self.names.get(number)
        if name is None:
            self._counted["media.unknown_payload"] += 1
            return None
        before = self.latch.source
        if not self.latch.accept(source, ssrc, now):
            self._counted["media.waiting" if self.latch.waits(source) else "media.strangers"] += 1
            return None
        if before is not self.latch.source:
            self._aim()
        self.this_second += 1
        if self.this_second > self.most:
            self._counted["media.flood"] += 1
            return None
        self.heard_at = now
        self.packets_in += 1
        self.octets_in += size
        self.reception.packet(sequence, ssrc)
        if self.relay.peer is not None:
            self.relay.forward(buffer, size, number)
        if name == DTMF:
            packet = rtp.parse(buffer[:size])
            return self.keys.receive(timestamp, packet.payload, now) if packet is not None else None
        self.reception.timing(timestamp, now)
        if self.ear.listening:
            self.ear.hear(name, buffer[:size], now)
        return None

    # --- what is not plain RTP

    def _unwrap(self, buffer: memoryview, size: int, source: Address, now: float) -> tuple[int, Address]:
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
            self._take_control(bytes(buffer[:size]), now)
            return 0, source
        if settings.carriage == "audio":
            return size, source
        self._pass_on(buffer, size, source, now)
        return 0, source

    def _pass_on(self, buffer: memoryview, size: int, source: Address, now: float) -> None:
        """Unread: video, whose packets are only checked to be RTP, and datagrams that are something else."""
        assert self.settings is not None
        ssrc = 0
        if self.settings.carriage == "rtp":
            if size < rtp.HEADER or buffer[0] >> 6 != 2:
                self._counted["media.malformed"] += 1
                return
            ssrc = int.from_bytes(buffer[8:12], "big")
        before = self.latch.source
        if not size or not self.latch.accept(source, ssrc, now):
            self._counted["media.waiting" if self.latch.waits(source) else "media.strangers"] += 1
            return
        if before is not self.latch.source:
            self._aim()
        self._forward(buffer, size, now)

    def _forward(self, buffer: memoryview, size: int, now: float) -> None:
        assert self.settings is not None
        self.this_second += 1
        if self.this_second > self.most:
            self._counted["media.flood"] += 1
            return
        self.heard_at = now
        self.packets_in += 1
        self.octets_in += size
        peer = self.relay.peer
        if peer is not None and peer.settings is not None and peer.settings.carriage == self.settings.carriage:
            peer.send(buffer[:size])

    def receive_control(self, data: memoryview, source: Address, now: float) -> None:
        """A datagram has come to the RTCP port: believed when it comes from the peer's host."""
        if self.settings is None or self._carrier is not None:
            self._counted["media.early"] += 1  # the peer is quicker than its answer
            return
        if not self.latch.belongs(source):
            self.latch.strangers += 1
            self._counted["media.strangers"] += 1
            return
        opened: bytes | None = bytes(data)
        if self.wire.control_lane is not None:
            opened = self.wire.control_lane.receive(bytes(data), source, True)
        if opened is not None and self._take_control(opened, now):
            self.wire.control_source = source

    def _take_control(self, data: bytes, now: float) -> bool:
        """An RTCP packet of the peer: read for its figures, and forwarded as it is."""
        if not _RTCP_SMALLEST <= len(data) <= rtp.LONGEST or data[0] >> 6 != 2 or not control_packet(data[1]):
            self._counted["media.malformed"] += 1
            return False
        self.this_second += 1
        if self.this_second > self.most:
            self._counted["media.flood"] += 1
            return False
        reports = rtcp.parse(data)
        if reports.blocks:
            self.far_lost, self.far_jitter = max(0, reports.blocks[0].lost), reports.blocks[0].jitter / 8
        if reports.sent is not None:
            self._reported = (reports.sent, now)
        peer = self.relay.peer
        if peer is not None and self.relay.forwards_control:
            peer.send_control(data)
        return True

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
            self._take_control(bytes(buffer[:size]), now)
        elif buffer[0] >> 6 == 2:
            self._forward(buffer, size, now)

    # --- sending

    def send(self, data: bytes | memoryview, speaker: Speaker | None = None) -> None:
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
        self.relay.disconnect()
        self.join_bundle(None)
        self.wire.close()
