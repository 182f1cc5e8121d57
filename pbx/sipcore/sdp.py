"""Session descriptions, lossless: every line is kept as it came, and only the line that is asked about is read.

What an offer means for its answer is in `offer_answer.py`.

RFC 8866 (and 4566), RFC 3551 §6 (static payload numbers), RFC 3605 (a=rtcp), RFC 3264 §8.4 (hold).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from pbx.sipcore.failures import SipSyntaxError

CONTENT_TYPE = "application/sdp"
MAX_LINES = 1000
MAX_MEDIA = 16

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")
_MEDIA = re.compile(r"m=([A-Za-z0-9\-]+) +([0-9]{1,5})(?:/[0-9]+)? +([A-Za-z0-9/\-]+)(?: +(\S.*))?")
_CONNECTION = re.compile(r"c=IN +IP[46] +(\S+) *")
_ORIGIN = re.compile(r"o=(\S+) +([0-9]{1,20}) +([0-9]{1,20}) +IN +IP[46] +(\S+) *")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}")
_RTPMAP = re.compile(r"([0-9]{1,3}) +([A-Za-z0-9\-_.]+)/([0-9]{1,6})(?:/([0-9]{1,2}))? *")

STATIC = {
    0: "PCMU/8000",
    3: "GSM/8000",
    4: "G723/8000",
    8: "PCMA/8000",
    9: "G722/8000",  # RFC 3551 §4.5.2: the clock rate of G.722 is 8000 by an old mistake
    13: "CN/8000",
    15: "G728/8000",
    18: "G729/8000",
}
"""RFC 3551 table 4, as far as telephones use it."""

NOWHERE = frozenset({"0.0.0.0", "::"})
"""Where who holds in the old way says that it listens."""

_RTP = frozenset({"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"})


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line: who made the session, and which version of it this is (RFC 8866 §5.2)."""

    username: str
    session: int
    version: int
    address: str

    def next(self) -> Origin:
        """For a changed description of the same session (RFC 3264 §8)."""
        return replace(self, version=self.version + 1)

    def __str__(self) -> str:
        return f"o={self.username} {self.session} {self.version} {network(self.address)}"


@dataclass(frozen=True, slots=True)
class Media:
    """One m= section; `lines` begins with the m= line."""

    lines: tuple[str, ...]
    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]

    @classmethod
    def parse(cls, lines: tuple[str, ...]) -> Media:
        match = _MEDIA.fullmatch(lines[0].rstrip())
        if match is None or int(match.group(2)) > 65535:
            raise SipSyntaxError("Malformed m= line")
        kind, port, protocol, formats = match.groups()
        return cls(lines, kind, int(port), protocol, tuple((formats or "").split()))

    def attributes(self, name: str) -> list[str]:
        """The values of all `a=name:value` (an `a=name` gives an empty text)."""
        return _attributes(self.lines, name)

    @property
    def payload_types(self) -> dict[int, str]:
        """Payload number to upper-case `NAME/rate`, in the order of the m= line; `NAME/rate/2` for two channels."""
        named: dict[int, str] = {}
        for value in self.attributes("rtpmap"):
            match = _RTPMAP.fullmatch(value)
            if match is not None:
                number, name, rate, channels = match.groups()
                stereo = f"/{channels}" if channels not in (None, "1") else ""
                named.setdefault(int(number), f"{name.upper()}/{int(rate)}{stereo}")
        numbers = [int(each) for each in self.formats if _NUMBER.fullmatch(each)]
        found = ((number, named.get(number) or STATIC.get(number)) for number in numbers if number < 128)
        return {number: name for number, name in found if name is not None}

    def fmtp(self, payload: int) -> str | None:
        """The format parameters of a payload number."""
        for value in self.attributes("fmtp"):
            number, _, parameters = value.partition(" ")
            if number == str(payload):
                return parameters.strip()
        return None

    @property
    def ptime(self) -> int | None:
        """Milliseconds of sound that its author wants in a packet."""
        values = self.attributes("ptime")
        whole = values[0].partition(".")[0].strip() if values else ""
        return int(whole) if whole.isascii() and whole.isdigit() and 0 < len(whole) < 5 and int(whole) else None

    @property
    def is_rtp(self) -> bool:
        """RTP, encrypted or not (RFC 3551, RFC 4585, RFC 3711, RFC 5764)."""
        return self.protocol.upper() in _RTP

    @property
    def is_encrypted(self) -> bool:
        """Whether its profile insists on SRTP."""
        return self.is_rtp and "SAVP" in self.protocol.upper()

    def rejected(self) -> Media:
        """The same section refused (RFC 3264 §6): port 0, and nothing but its m= line."""
        return Media.parse((f"m={self.kind} 0 {self.protocol} {' '.join(self.formats) or '0'}",))

    def with_lines(self, lines: Iterable[str]) -> Media:
        return Media.parse(tuple(lines))


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """Session lines and media sections."""

    lines: tuple[str, ...]
    media: tuple[Media, ...] = ()

    @classmethod
    def parse(cls, text: str | bytes) -> SessionDescription:
        """Read a body. Lone line feeds are taken as line ends too (RFC 8866 §5). Raises SipSyntaxError."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
        if not lines or lines[0].strip() != "v=0":
            raise SipSyntaxError("Not a session description")
        if len(lines) > MAX_LINES or any(len(line) < 2 or line[1] != "=" or "\r" in line for line in lines):
            raise SipSyntaxError("Malformed session description")
        starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
        if len(starts) > MAX_MEDIA:
            raise SipSyntaxError("Too many media sections")
        sections = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=False)]
        media = tuple(Media.parse(tuple(section)) for section in sections)
        return cls(tuple(lines[: starts[0]] if starts else lines), media)

    def __str__(self) -> str:
        return "".join(f"{line}\r\n" for line in (*self.lines, *(line for each in self.media for line in each.lines)))

    def encode(self) -> bytes:
        return str(self).encode()

    @property
    def audio(self) -> Media | None:
        """The audio section that counts: the first that is RTP, not refused, and not encrypted without any key."""
        certified = bool(self.attributes("fingerprint"))
        return next((each for each in self.media if _is_audio(each, certified)), None)

    def attributes(self, name: str) -> list[str]:
        """The values of all `a=name:value` of the session."""
        return _attributes(self.lines, name)

    @property
    def origin(self) -> Origin | None:
        for line in self.lines:
            match = _ORIGIN.fullmatch(line)
            if match is not None:
                return Origin(match.group(1), int(match.group(2)), int(match.group(3)), match.group(4))
        return None

    def address(self, media: Media) -> str | None:
        """Where this section's author wants it: its own c= line, else the session's (RFC 8866 §5.7)."""
        for line in (*media.lines, *self.lines):
            match = _CONNECTION.fullmatch(line)
            if match is not None:
                return match.group(1)
        return None

    def direction(self, media: Media) -> Direction:
        """What its author wants to do; a c= of 0.0.0.0 (or ::) means it does not listen (RFC 3264 §8.4)."""
        said = _direction(media.lines) or _direction(self.lines) or "sendrecv"
        if self.address(media) in NOWHERE:
            return "sendonly" if said in ("sendrecv", "sendonly") else "inactive"
        return said

    def same_as(self, other: SessionDescription | None) -> bool:
        """Whether both say the same; who said it when (o=) is no matter."""
        return other is not None and self.media == other.media and _unsigned(self.lines) == _unsigned(other.lines)

    @property
    def on_hold(self) -> bool:
        """Whether its author does not listen."""
        audio = self.audio
        return audio is not None and self.direction(audio) in ("sendonly", "inactive")

    def restrict(self, wanted: Callable[[str], bool]) -> SessionDescription:
        """Only those payloads of the audio section whose `NAME/rate` is wanted (decoding, recording: no G.729)."""
        chosen = self.audio
        if chosen is None:
            return self
        kept = [number for number, name in chosen.payload_types.items() if wanted(name)]
        gone = set(chosen.formats).difference(map(str, kept))
        first = f"m={chosen.kind} {chosen.port} {chosen.protocol} {' '.join(map(str, kept)) or '0'}"
        lines = [line for line in chosen.lines[1:] if payload_of(line) not in gone]
        media = tuple(
            (each.with_lines([first, *lines]) if kept else each.rejected()) if each is chosen else each
            for each in self.media
        )
        return replace(self, media=media)

    def widened(self, audio: Media) -> SessionDescription:
        """The same with the codecs of another audio section of its author behind its own, under their numbers."""
        chosen = self.audio
        if chosen is None:
            return self
        more = [each for each in audio.formats if each not in chosen.formats]
        first = f"m={chosen.kind} {chosen.port} {chosen.protocol} {' '.join((*chosen.formats, *more))}"
        lines = [line for line in audio.lines[1:] if payload_of(line) in more]
        wider = chosen.with_lines([first, *chosen.lines[1:], *lines])
        return replace(self, media=tuple(wider if each is chosen else each for each in self.media))

    def with_direction(self, direction: Direction) -> SessionDescription:
        """The same with another direction of the audio section (music on hold, resume)."""
        chosen = self.audio
        if chosen is None:
            return self
        session = tuple(line for line in self.lines if line[2:] not in _DIRECTIONS)
        lines = [line for line in chosen.lines if line[2:] not in _DIRECTIONS]
        changed = chosen.with_lines([*lines, f"a={direction}"])
        return SessionDescription(session, tuple(changed if each is chosen else each for each in self.media))


def _unsigned(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if not line.startswith("o=")]


def network(address: str) -> str:
    """`IN IP4 address` or `IN IP6 address`."""
    return f"IN IP{6 if ':' in address else 4} {address}"


def nowhere(address: str) -> str:
    """That one of `NOWHERE` which a peer can read that uses the family of `address`."""
    return "::" if ":" in address else "0.0.0.0"


def is_numeric(address: str) -> bool:
    """A plain unicast IP address: nothing to look up, no group to flood."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not ip.is_multicast


def _is_audio(media: Media, certified: bool) -> bool:
    if media.kind != "audio" or not media.is_rtp or not media.port:
        return False
    return not media.is_encrypted or certified or bool(media.attributes("crypto") or media.attributes("fingerprint"))


def _attributes(lines: Iterable[str], name: str) -> list[str]:
    values = []
    for line in lines:
        if line.startswith("a="):
            attribute, _, value = line[2:].partition(":")
            if attribute.strip().lower() == name:
                values.append(value.strip())
    return values


def _direction(lines: Iterable[str]) -> Direction | None:
    said = {line[2:].strip().lower() for line in lines if line.startswith("a=")}
    return next((each for each in _DIRECTIONS if each in said), None)


def payload_of(line: str) -> str | None:
    """The payload number that an a=rtpmap, fmtp or rtcp-fb line is about."""
    name, _, value = line.partition(":")
    if name in ("a=rtpmap", "a=fmtp", "a=rtcp-fb"):
        return value.split(" ", 1)[0]
    return None
