"""What the studio hears of one stream: packets of any codec that we decode, as G.711 octets in a jitter buffer.

The octets are of the law in which the stream is sent, so that an echo is copied and not decoded. Not here: the beat,
which takes them out (`studio`). RFC 3551 §4.5, RFC 7587.
"""

from __future__ import annotations

from pbx.mediaproxy import g711, rtp
from pbx.mediaproxy.codecs import CODECS, Decoder, Resampler, decoder
from pbx.mediaproxy.g711 import LAWS, Law
from pbx.mediaproxy.jitter import JitterBuffer

_RATE = 8000


class _Understanding:
    """Of a codec that is not G.711."""

    def __init__(self, name: str) -> None:
        codec = CODECS[name]
        self._decoder: Decoder = decoder(name)
        self._resampler = Resampler(codec.rate, _RATE)
        self.scale = codec.clock // _RATE
        """Timestamp units of this codec for one of the buffer's."""

    def octets(self, payload: bytes, law: Law) -> bytes:
        return g711.encode(self._resampler.resample(self._decoder.decode(payload)), law)


class Ear:
    """One stream's. It hears nothing until it listens."""

    def __init__(self) -> None:
        self.law = Law.ULAW
        self.buffer = JitterBuffer()
        self.listening = False
        self._understandings: dict[str, _Understanding] = {}

    def turn_to(self, law: Law) -> None:
        """The law of the octets from here on."""
        if law is not self.law:
            self.law = law
            self.buffer = JitterBuffer(law.silence)

    def listen(self, on: bool) -> None:
        if on and not self.listening:  # what an earlier listener left is out of date
            self.buffer = JitterBuffer(self.law.silence)
        self.listening = on

    def hear(self, name: str, data: memoryview, now: float) -> None:
        """A packet has come whose payload is called `name`; of a codec that we do not know nothing is heard."""
        packet = rtp.parse(data)
        if packet is None:
            return
        law = LAWS.get(name)
        if law is self.law:
            self.buffer.put(packet.timestamp, packet.ssrc, packet.payload, now)
        elif law is not None:
            self.buffer.put(packet.timestamp, packet.ssrc, packet.payload.translate(g711.across(law)), now)
        elif name in CODECS:
            known = self._understandings.get(name)
            if known is None:
                known = self._understandings[name] = _Understanding(name)
            octets = known.octets(packet.payload, self.law)
            self.buffer.put(packet.timestamp // known.scale, packet.ssrc, octets, now)

    def pull(self) -> bytes | None:
        """The next 20 ms; None while nobody listens, and where nothing has come."""
        return self.buffer.pull() if self.listening else None
