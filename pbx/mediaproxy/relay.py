"""The relay lane: what comes in on one stream goes on to the stream that it is connected with.

A packet keeps sequence, timestamp and SSRC unless somebody else has spoken there before (`continuity`); else at most
its payload number (and law) is changed. Where the two have no codec in common it is turned into the other's, as a
stream of our own (`transcoder`). RFC 3264 §6.1, RFC 3550, RFC 3551.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from base.entropy import Entropy
from pbx.mediaproxy import rtp
from pbx.mediaproxy.continuity import Continuity, Numbers, Speaker
from pbx.mediaproxy.engine import StreamSettings
from pbx.mediaproxy.plan import DTMF, Translation, translations, understood
from pbx.mediaproxy.reception import Reception
from pbx.mediaproxy.transcoder import Transcoder


class Side(Protocol):
    """A stream, as the relay sees it."""

    settings: StreamSettings | None
    names: dict[int, str]
    playing: bool
    continuity: Continuity
    reception: Reception
    heard_at: float

    def send(self, data: bytes | memoryview, speaker: Speaker | None = None) -> None: ...

    def send_control(self, data: bytes) -> None: ...


class Relay:
    """From `side` to its peer. `plan`: how each payload number is written there; absent ones do not go on."""

    def __init__(self, side: Side, entropy: Entropy, counted: Counter[str]) -> None:
        self._side = side
        self._entropy = entropy
        self._counted = counted
        self._peer: Relay | None = None
        self.plan: dict[int, Translation] = {}
        self.transcoder: Transcoder | None = None

    @property
    def peer(self) -> Side | None:
        """Who is at the other end."""
        return None if self._peer is None else self._peer._side

    def connect(self, other: Relay) -> None:
        if self._peer is other:
            return
        for each in (self, other):
            each.disconnect()
        self._peer, other._peer = other, self
        self.renew()

    def disconnect(self) -> None:
        """End it, for both sides."""
        self._stop()
        if self._peer is not None:
            self._peer._stop()
        other, self._peer = self._peer, None
        self.plan = {}
        if other is not None:
            other._peer, other.plan = None, {}

    def renew(self) -> None:
        """What was negotiated on one side is another now: find out again what goes on, both ways."""
        self._find()
        if self._peer is not None:
            self._peer._find()

    def _find(self) -> None:
        peer, settings = self.peer, self._side.settings
        self.plan = {}
        if peer is None or peer.settings is None or settings is None:
            self.transcoder = None
        elif settings.receive and peer.settings.send:
            self.plan = translations(self._side.names, peer.names, peer.settings.dtmf)
            self._find_transcoder(peer.names, peer.settings.codec)

    def _find_transcoder(self, outward: dict[int, str], sent: int) -> None:
        names = understood(self._side.names, outward, sent, self.plan)
        if names is None:
            if self.transcoder is not None:
                self._stop()
            self.transcoder = None
        elif self.transcoder is None or self.transcoder.names != (*names, sent):
            self._stop()
            draw = self._entropy.number  # RFC 3550 §5.1
            self.transcoder = Transcoder(*names, sent, draw(1, 0xFFFFFFFF), draw(0, 0x7FFF), draw(0, 0xFFFFFFFF))
            self._counted["media.transcoded"] += 1

    @property
    def forwards_control(self) -> bool:
        """Whether the reports of the party behind are the peer's: then RTCP goes through as it is."""
        settings, other = self._side.settings, self._peer
        if settings is None or other is None:
            return False
        if settings.carriage != "audio":
            return settings.carriage == "rtp"
        true = other._side.continuity.true_of(self) and self._side.continuity.true_of(other)
        return true and bool(self.plan) and self.transcoder is None

    # --- as who speaks to the peer

    def last(self) -> Numbers:
        """Of the packet that came last, or was made of it (`continuity.Speaker`)."""
        return (self.transcoder or self._side.reception).last(self._side.heard_at)

    def begin_anew(self) -> None:
        """Another source speaks on this side, or the same one with numbers far from those before."""
        if self.transcoder is None:
            self._stop()

    def _stop(self) -> None:
        if self._peer is not None:
            self._peer._side.continuity.stop(self)

    # --- packets

    def forward(self, buffer: memoryview, size: int, number: int) -> None:
        """Pass a packet of that payload number on; the buffer may be changed."""
        if self.transcoder is not None:
            self._transcode(buffer[:size], number, self.transcoder)
            return
        peer, translation = self.peer, self.plan.get(number)
        if peer is None or translation is None or peer.playing:
            self._counted["media.not_forwarded"] += 1
        elif translation.table is not None:
            self._translate(peer, buffer[:size], translation.payload_type, translation.table)
        else:
            if translation.payload_type != number:
                buffer[1] = (buffer[1] & 0x80) | translation.payload_type
            peer.send(buffer[:size], self)

    def _translate(self, peer: Side, data: memoryview, payload_type: int, table: bytes) -> None:
        packet = rtp.parse(data)
        if packet is None:
            self._counted["media.malformed"] += 1
            return
        payload = packet.payload.translate(table)
        made = rtp.build(payload_type, packet.sequence, packet.timestamp, packet.ssrc, payload, marker=packet.marker)
        peer.send(made, self)

    def _transcode(self, data: memoryview, number: int, transcoder: Transcoder) -> None:
        peer, packet = self.peer, rtp.parse(data)
        if peer is None or packet is None or peer.playing:
            self._counted["media.not_forwarded"] += 1
            return
        name, event = self._side.names.get(number), self.plan.get(number)
        if name == transcoder.names[0]:
            for made in transcoder.feed(packet):
                peer.send(made, self)
        elif name == DTMF and event is not None:
            peer.send(transcoder.event(packet, event.payload_type), self)
