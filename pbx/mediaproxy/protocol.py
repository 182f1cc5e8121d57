"""The control channel between the main process and a media worker: frames of MessagePack over a Unix socket pair.

Each frame is a length of four octets and one tagged value. Operations are idempotent by stream id (and play or record
number); events are numbered by the worker, one up each. Not here: sockets.
"""

from __future__ import annotations

import msgspec

from pbx.mediaproxy.engine import StreamSettings

# Limit: the longest frame either side believes; half a second of recorded sound is 8,000 octets.
LONGEST_FRAME = 1 << 20


class Settings(msgspec.Struct, frozen=True):
    """What the main process hands over when it starts a worker."""

    address: str
    first_port: int
    last_port: int
    limit: int
    silent_after: float
    priority: bool


class _Value(msgspec.Struct, frozen=True, tag=True, array_like=True):
    pass


class Open(_Value, frozen=True):
    """Take a port pair; answered by `Opened` or `Refused`, again if asked again."""

    stream: int
    ipv6: bool = False
    tcp: bool = False


class Configure(_Value, frozen=True):
    stream: int
    settings: StreamSettings


class Connect(_Value, frozen=True):
    stream: int
    other: int


class Disconnect(_Value, frozen=True):
    stream: int


class Echo(_Value, frozen=True):
    stream: int
    on: bool


class Play(_Value, frozen=True):
    """`seconds` None: once; negative: for ever."""

    stream: int
    play: int
    path: str
    digest: str
    seconds: float | None
    offset: float


class Tone(_Value, frozen=True):
    stream: int
    play: int
    frequency: float
    second: float
    seconds: float


class Stop(_Value, frozen=True):
    stream: int


class Record(_Value, frozen=True):
    stream: int
    record: int
    limit: float
    silence: float


class StopRecord(_Value, frozen=True):
    stream: int


class Tape(_Value, frozen=True):
    """Record two streams, one on each side (0: silence there); again with the same number: others from here on."""

    tape: int
    left: int
    right: int


class EndTape(_Value, frozen=True):
    tape: int


class Mix(_Value, frozen=True):
    """Send to a stream the sum of what comes in on others, instead of what it is connected with; none: no more."""

    stream: int
    others: list[int]


class SendDigit(_Value, frozen=True):
    stream: int
    digit: str
    milliseconds: int


class Close(_Value, frozen=True):
    """Answered by `Closed`, again if asked again."""

    stream: int


class Ping(_Value, frozen=True):
    number: int


StreamCommand = Configure | Connect | Disconnect | Echo | Play | Tone | Stop | Record | StopRecord | Mix | SendDigit
Command = Open | StreamCommand | Close | Tape | EndTape | Ping


class Figures(msgspec.Struct, frozen=True, array_like=True):
    """See `engine.StreamStatistics`."""

    packets_received: int
    packets_sent: int
    octets_received: int
    octets_sent: int
    lost: int
    jitter: float
    strangers: int
    far_lost: int = 0
    far_jitter: float = 0.0


class Ready(_Value, frozen=True):
    """The worker stands; its process id, and the fingerprint of the certificate that it shows in DTLS."""

    process: int
    fingerprint: str


class Opened(_Value, frozen=True):
    stream: int
    port: int


class Refused(_Value, frozen=True):
    stream: int
    reason: str


class Digit(_Value, frozen=True):
    stream: int
    digit: str
    milliseconds: int


class Playing(_Value, frozen=True):
    """The sound is loaded and has begun; its length in seconds (0: it could not be read)."""

    stream: int
    play: int
    duration: float
    trouble: str


class Played(_Value, frozen=True):
    stream: int
    play: int


class Sound(_Value, frozen=True):
    """A piece of a recording: 16-bit samples at 8 kHz. `cause` is set on the last one."""

    stream: int
    record: int
    samples: bytes
    cause: str


class Taped(_Value, frozen=True):
    """A piece of a tape: 16-bit samples at 8 kHz, left and right in turn. `cause` is set on the last one."""

    tape: int
    samples: bytes
    cause: str


class Silent(_Value, frozen=True):
    stream: int
    seconds: float


class HungUp(_Value, frozen=True):
    """The line has brought one of its disconnect tones."""

    stream: int


class Statistics(_Value, frozen=True):
    """Once a second: the figures of the streams that carried something since."""

    streams: dict[int, Figures]


class Beats(_Value, frozen=True):
    """Once a second: lateness of the beat in milliseconds, what was counted since (name to amount), the share of a
    processor that the worker used, that part of it that went into translating codecs, and for how many directions."""

    late_p50: float
    late_p99: float
    counted: dict[str, int]
    busy: float = 0.0
    translation: float = 0.0
    translators: int = 0


class Closed(_Value, frozen=True):
    stream: int
    figures: Figures


class Pong(_Value, frozen=True):
    number: int


StreamEvent = Opened | Refused | Digit | Playing | Played | Sound | Silent | HungUp | Closed
Event = Ready | StreamEvent | Taped | Statistics | Beats | Pong


class NumberedEvent(msgspec.Struct, frozen=True, array_like=True):
    number: int
    event: Event


_encoder = msgspec.msgpack.Encoder()
command_decoder = msgspec.msgpack.Decoder(Command)
event_decoder = msgspec.msgpack.Decoder(NumberedEvent)


def frame(value: msgspec.Struct) -> bytes:
    """One value as it goes over the channel."""
    body = _encoder.encode(value)
    return len(body).to_bytes(4, "big") + body


class Frames:
    """Cuts a stream of octets into frame bodies; raises ValueError on a length that nobody sends."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        bodies: list[bytes] = []
        while len(self._buffer) >= 4:
            size = int.from_bytes(self._buffer[:4], "big")
            if size > LONGEST_FRAME:
                raise ValueError(f"a frame of {size} octets")
            if len(self._buffer) < 4 + size:
                break
            bodies.append(bytes(self._buffer[4 : 4 + size]))
            del self._buffer[: 4 + size]
        return bodies
