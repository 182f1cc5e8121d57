"""The media engine as the rest of `pbx` sees it: streams with a port of ours, that relay, play, record and hear digits.

Not here: sockets and samples. The engine of a running server is a worker process behind a control channel
(`pbx.mediaproxy.control`); a simulation hands out a stand-in. No call here blocks; news comes back to a `MediaListener`
on the main loop. RFC 3550, RFC 3551, RFC 4733; RFC 3711, RFC 5764, RFC 8445 for what is encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pbx.mediaproxy.cadence import Cadence

Carriage = Literal["audio", "rtp", "raw"]
"""`audio`: RTP that we may understand, play into and record. `rtp`: RTP passed on unread (video). `raw`: datagrams
passed on unread (T.38)."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master keys of one stream, each with its salt behind it, as RFC 4568 §6.1 writes them. `mki` stands in each
    packet that comes in (empty: nothing does); ours have none."""

    suite: str
    send: bytes
    receive: bytes
    mki: bytes = b""


@dataclass(frozen=True, slots=True)
class DtlsPeer:
    """Who must be at the other end of a DTLS-SRTP handshake (RFC 5763 §5), and whether we begin it.

    `fingerprints` are pairs of a lower-case algorithm and upper-case hexadecimal octets with colons.
    """

    fingerprints: tuple[tuple[str, str], ...]
    client: bool


@dataclass(frozen=True, slots=True)
class IceKeys:
    """Short-term credentials of connectivity checks (RFC 8445 §7.2.2). We are a lite agent: we only answer."""

    ufrag: str
    password: str
    peer_ufrag: str


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What offer and answer agreed on for one stream.

    `remote` is the peer's SDP address; `payload_types` maps RTP payload numbers to upper-case `NAME/rate`; `codec` is
    the payload number that we send; `dtmf` the telephone-event payload number or None; `ptime` in milliseconds;
    `guess` where the signalling came from, when the peer seems to be behind NAT: until its first packet, ours go to
    both addresses. `control` is where the peer wants RTCP (None: the port after `remote`'s); with `mux` it goes to the
    RTP port (RFC 5761). With `srtp` or `dtls` nothing leaves or enters unencrypted; with `ice` only who knows its
    password is the peer. Over TCP we connect to the peer when `active`, else it connects to us (RFC 4145).
    `carrier` is the stream on whose port, and with whose keys, the packets of this one come and go (0: on its own);
    they are told by `payload_types` (RFC 9143 §9). `disconnect_tones` are what an analog line brings when the party
    behind it has hung up; they are listened for as long as the stream is there, and cut from recordings.
    """

    remote: tuple[str, int]
    codec: int
    payload_types: dict[int, str]
    dtmf: int | None = None
    ptime: int = 20
    send: bool = True
    receive: bool = True
    guess: tuple[str, int] | None = None
    carriage: Carriage = "audio"
    control: tuple[str, int] | None = None
    mux: bool = False
    srtp: SrtpKeys | None = None
    dtls: DtlsPeer | None = None
    ice: IceKeys | None = None
    active: bool = False
    carrier: int = 0
    disconnect_tones: tuple[Cadence, ...] = ()


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound to play: a WAV or AU file, named by the hash of its content so that a worker reads it once."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """What one stream has carried; loss and jitter as RFC 3550 §6.4 and §A.8 count them (jitter in milliseconds);
    `far_…` is what the peer's RTCP says of what it gets from us."""

    packets_received: int = 0
    packets_sent: int = 0
    octets_received: int = 0
    octets_sent: int = 0
    lost: int = 0
    jitter: float = 0.0
    strangers: int = 0
    far_lost: int = 0
    far_jitter: float = 0.0


class MediaListener(Protocol):
    """Who is told what happens to a stream."""

    def media_digit(self, digit: str, milliseconds: int) -> None:
        """A whole digit was heard (RFC 4733 keyed by timestamp: once per press): 0-9, *, #, A-D."""

    def media_played(self, play: int) -> None:
        """The player of that number has come to its end by itself."""

    def media_recorded(self, record: int, cause: str, seconds: float) -> None:
        """The recording is closed on disk. `cause`: `stopped`, `limit`, `silence`, `failed` (disk full), `lost`,
        `hung up` (`media_hung_up` follows)."""

    def media_silent(self, seconds: float) -> None:
        """Nothing has come in for so long, though the peer should be sending."""

    def media_hung_up(self) -> None:
        """The line has brought one of its disconnect tones; told once."""

    def media_lost(self) -> None:
        """The worker that held the stream has died; the stream is gone."""


class MediaStream(Protocol):
    """One RTP endpoint of ours. Operations on a closed or lost stream do nothing."""

    @property
    def id(self) -> int: ...

    @property
    def local(self) -> tuple[str, int]:
        """The address and RTP port to write into our SDP (RTCP is on the next port)."""

    @property
    def fingerprint(self) -> str:
        """Our certificate for DTLS-SRTP, as the value of `a=fingerprint` (RFC 8122 §5)."""

    def configure(self, settings: StreamSettings) -> None:
        """Set or change what was negotiated; latching starts anew when `remote` changes."""

    def connect(self, other: MediaStream) -> None:
        """Relay lane: forward both ways without decoding, payload numbers translated where they differ.
        telephone-event is forwarded and reported too. Ends whatever was played."""

    def disconnect(self) -> None:
        """End the relay, for both sides."""

    def echo(self, on: bool) -> None:
        """Send back what comes in."""

    def play(self, clip: Clip, *, seconds: float | None = None, offset: float = 0.0) -> int:
        """Studio lane: play once (None), in a loop for `seconds`, or for ever (negative). Replaces what plays.
        Returns the number that `media_played` will name."""

    def tone(self, frequency: float, seconds: float, second: float = 0.0) -> int:
        """Play a sine of `frequency` hertz (0: silence), with another one added when `second` is given."""

    def stop(self) -> float:
        """Stop playing; returns the position in seconds that the player had reached, as far as known."""

    def record(self, path: Path, *, limit: float, silence: float = 0.0) -> int:
        """Record what comes in as 8 kHz mono 16-bit WAV into `path`; the file is whole and playable after each second.
        Ends after `limit` seconds, or after `silence` seconds without speech (0: never)."""

    def stop_record(self) -> None:
        """End the recording; `media_recorded` follows when the file is closed."""

    def mix(self, others: Sequence[MediaStream]) -> None:
        """Send it the sum of what comes in on those, instead of what it is connected with; none: no more."""

    def send_digit(self, digit: str, milliseconds: int = 100) -> None:
        """Send a digit as telephone-event where negotiated."""

    def statistics(self) -> StreamStatistics:
        """The last figures reported by the worker (once a second, and at close)."""

    async def close(self) -> StreamStatistics:
        """Free the port; returns the final figures."""


class MediaTape(Protocol):
    """A recording of two streams, one on each side of a stereo WAV (8 kHz, 16 bit). It keeps pace with the clock:
    what a stream does not bring is silence."""

    def turn(self, left: MediaStream | None, right: MediaStream | None) -> None:
        """Whom it hears from here on; None: silence on that side."""

    def end(self) -> None:
        """No more; `told` follows when the file is closed."""


class MediaEngine(Protocol):
    """Where streams come from."""

    async def open(self, listener: MediaListener, *, ipv6: bool = False, tcp: bool = False) -> MediaStream:
        """Take a port pair; with `tcp` a listening port instead, for a stream that can only be configured as `raw` and
        connected. Raises Failure("unavailable") when no port or worker is to be had."""

    def tape(self, path: Path, told: Callable[[str, float], None]) -> MediaTape:
        """Begin a file, which is whole and playable after each second. `told` gets the cause of its end and its
        seconds, once, when it is closed: `stopped`, `limit`, `failed` (disk full: the file is removed), `lost`."""

    def loaded(self) -> int:
        """How many streams are open."""

    def room(self) -> bool:
        """Whether a new call may come. Never asked for one that goes on."""

    def translates(self, under_way: int) -> bool:
        """Whether one more call may have its codecs translated, with so many that have or may come to it."""
