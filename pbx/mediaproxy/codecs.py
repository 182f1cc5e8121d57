"""Codecs other than G.711 behind one shape: samples in, payload out, and back.

RFC 3551 (§4.5.4: G726-32 has the first sample in the low bits, AAL2-G726-32 in the high ones), RFC 7587 (Opus).

They are called only for streams that can do nothing else: packets are relayed unread wherever both sides know a codec.
Not here: RTP, and who is turned into whom (`transcoder`, `voice`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
import soundfile

from pbx.mediaproxy import g711
from pbx.mediaproxy.g711 import Law
from pbx.mediaproxy.g726 import G726Encoder

Samples = npt.NDArray[np.int16]
# Limit: a payload holds at most 120 ms (RFC 7587 §4.2 allows Opus no more).
_LONGEST = 1400


class Encoder(Protocol):
    """Takes frames of 20 ms at the codec's own rate."""

    def encode(self, samples: Samples) -> bytes: ...


class Decoder(Protocol):
    """Gives what it can make of a payload: nothing of garbage."""

    def decode(self, payload: bytes) -> Samples: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """`rate` is of its samples, `clock` of its RTP timestamps (for G.722 they differ by an old mistake)."""

    rate: int
    clock: int
    both_ways: bool = True

    @property
    def frame(self) -> int:
        """Samples of 20 ms."""
        return self.rate // 50


CODECS: Mapping[str, Codec] = {
    "PCMU/8000": Codec(8000, 8000),
    "PCMA/8000": Codec(8000, 8000),
    "G722/8000": Codec(16000, 8000),
    "OPUS/48000/2": Codec(48000, 48000),
    "GSM/8000": Codec(8000, 8000),
    "G726-32/8000": Codec(8000, 8000),
    "AAL2-G726-32/8000": Codec(8000, 8000),
    "G729/8000": Codec(8000, 8000, both_ways=False),
}


def encoder(name: str) -> Encoder:
    """Raises KeyError for what cannot be encoded."""
    match name:
        case "PCMU/8000":
            return _G711(Law.ULAW)
        case "PCMA/8000":
            return _G711(Law.ALAW)
        case "G722/8000":
            return _AvEncoder("g722", 16000, 64000)
        case "OPUS/48000/2":
            return _AvEncoder("libopus", 48000, 24000, {"application": "voip"})
        case "GSM/8000":
            return _GsmEncoder()
        case "G726-32/8000":
            return _G726(0, 4)
        case "AAL2-G726-32/8000":
            return _G726(4, 0)
    raise KeyError(name)


def decoder(name: str) -> Decoder:
    """Raises KeyError for what cannot be decoded."""
    match name:
        case "PCMU/8000":
            return _G711(Law.ULAW)
        case "PCMA/8000":
            return _G711(Law.ALAW)
        case "G722/8000":
            return _AvDecoder("g722", 16000)
        case "OPUS/48000/2":
            return _AvDecoder("libopus", 48000)
        case "GSM/8000":
            return _AvDecoder("gsm", 8000, 33)
        case "G729/8000":
            return _AvDecoder("g729", 8000, 10)
        case "G726-32/8000":
            return _AvDecoder("g726le", 8000, options=_FOUR_BITS)
        case "AAL2-G726-32/8000":
            return _AvDecoder("g726", 8000, options=_FOUR_BITS)
    raise KeyError(name)


class Resampler:
    """From one rate to another that is a multiple or a part of it; so many samples out as belong to those in.

    A windowed sinc that cuts at the lower rate's limit, kept going over the pieces.
    """

    def __init__(self, source: int, target: int) -> None:
        self._up, self._down = max(1, target // source), max(1, source // target)
        ratio = max(self._up, self._down)
        reach = 16 * ratio
        places = np.arange(-reach, reach + 1)
        taps = np.sinc(places * 0.92 / ratio) * np.hamming(len(places))
        self._taps = (taps / taps.sum() * self._up).astype(np.float32)
        self._before = np.zeros(2 * reach, dtype=np.float32)

    def resample(self, samples: Samples) -> Samples:
        if self._up == self._down:
            return samples
        wide = np.zeros(len(samples) * self._up, dtype=np.float32)
        wide[:: self._up] = samples
        whole = np.concatenate([self._before, wide])
        self._before = whole[-len(self._before) :]
        sound = np.convolve(whole, self._taps, "valid")[:: self._down]
        return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


class _G711:
    def __init__(self, law: Law) -> None:
        self._law = law

    def encode(self, samples: Samples) -> bytes:
        return g711.encode(samples, self._law)

    def decode(self, payload: bytes) -> Samples:
        return g711.decode(payload, self._law)


class _AvEncoder:
    def __init__(self, name: str, rate: int, bits: int, options: dict[str, str] | None = None) -> None:
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.format, context.bit_rate = rate, "mono", "s16", bits
        context.options = options or {}
        self._context = context
        self._rate = rate
        self._at = 0

    def encode(self, samples: Samples) -> bytes:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = self._rate, self._at
        self._at += len(samples)
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


class _AvDecoder:
    """`block`: payloads are cut into pieces of so many octets (0: they are not)."""

    def __init__(self, name: str, rate: int, block: int = 0, options: dict[str, str] | None = None) -> None:
        context = av.CodecContext.create(name, "r")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.options = rate, "mono", options or {}
        self._context = context
        self._block = block

    def decode(self, payload: bytes) -> Samples:
        if not payload or len(payload) > _LONGEST:
            return np.zeros(0, dtype=np.int16)
        size = self._block or len(payload)
        pieces: list[Samples] = []
        for at in range(0, len(payload) - size + 1, size):
            try:
                frames = self._context.decode(av.Packet(payload[at : at + size]))
            except (av.FFmpegError, ValueError):
                break
            pieces += [_samples(frame) for frame in frames]
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int16)


def _samples(frame: av.AudioFrame) -> Samples:
    """The first channel, as 16-bit samples."""
    sound = frame.to_ndarray()
    if not frame.format.is_planar:
        sound = sound.reshape(-1, len(frame.layout.channels)).T
    if sound.dtype != np.int16:
        sound = np.clip(sound * 32767.0, -32768, 32767).astype(np.int16)
    return np.ascontiguousarray(sound[0])


_FOUR_BITS = {"bits_per_coded_sample": "4"}


class _G726:
    """Two samples an octet; the numbers say how far the first and the second are shifted."""

    def __init__(self, first: int, second: int) -> None:
        self._encoder = G726Encoder()
        self._first, self._second = first, second

    def encode(self, samples: Samples) -> bytes:
        codes = iter([self._encoder.encode(sample) for sample in samples.tolist()])
        return bytes(one << self._first | other << self._second for one, other in zip(codes, codes, strict=False))


class _GsmEncoder:
    """libsndfile writes raw GSM 06.10, 33 octets for 160 samples, into a file that is none."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._file = soundfile.SoundFile(self._sink, "w", 8000, 1, subtype="GSM610", format="RAW")

    def encode(self, samples: Samples) -> bytes:
        self._file.write(samples)
        self._file.flush()
        return self._sink.taken()


class _Sink(io.RawIOBase):
    """Takes what is written and forgets it when it is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0
        self._data = bytearray()

    def write(self, data: object) -> int:
        octets = bytes(data)  # type: ignore[call-overload]  # a buffer of cffi
        self._data += octets
        self._at += len(octets)
        return len(octets)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._at + offset if whence == 1 else self._at
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: object) -> int:
        return 0

    def taken(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data
