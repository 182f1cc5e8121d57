"""Offers and answers for one audio stream: what we propose, what we take, and what both then do.

It sets no stream up; `AgreedAudio` is what the media needs to know.

RFC 3264, RFC 4733 §2.5 (telephone-event), RFC 3551.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pbx.sipcore.failures import NotAcceptable
from pbx.sipcore.sdp import Direction, Media, Origin, SessionDescription, is_numeric, network

STUDIO = ("PCMU/8000", "PCMA/8000")
"""What our programs can hear and speak, in order of preference."""

DTMF = "TELEPHONE-EVENT/8000"
_DYNAMIC = {DTMF: 101}
_NOT_SPEECH = ("TELEPHONE-EVENT", "CN", "RED")


@dataclass(frozen=True, slots=True)
class AgreedAudio:
    """What offer and answer agreed on.

    `remote` is the peer's address; `codec` the payload number that we send; `payload_types` maps every agreed number
    to upper-case `NAME/rate`; `dtmf` is the peer's telephone-event number or None; `ptime` in milliseconds.
    """

    remote: tuple[str, int]
    codec: int
    payload_types: dict[int, str]
    dtmf: int | None = None
    ptime: int = 20
    send: bool = True
    receive: bool = True


def make_offer(
    origin: Origin,
    address: str,
    port: int,
    *,
    codecs: Sequence[str] = STUDIO,
    ptime: int = 20,
    direction: Direction = "sendrecv",
) -> SessionDescription:
    """An offer of ours: these codecs, and telephone-event 101."""
    static = {"PCMU/8000": 0, "PCMA/8000": 8, "G722/8000": 9, "GSM/8000": 3, "G729/8000": 18}
    numbers: dict[int, str] = {}
    for name in (*codecs, DTMF):
        number = static.get(name) if name in static else _DYNAMIC.get(name)
        numbers[number if number is not None else 96 + len(numbers)] = name
    return _description(origin, address, [_section(port, "RTP/AVP", numbers, ptime, direction)])


def answer(
    offer: SessionDescription,
    origin: Origin,
    address: str,
    port: int,
    *,
    codecs: Sequence[str] = STUDIO,
    direction: Direction = "sendrecv",
) -> tuple[SessionDescription, AgreedAudio]:
    """Our answer (RFC 3264 §6): the offerer's numbers and order, its other media refused.

    Raises NotAcceptable when there is no audio section of plain RTP with a codec that both know.
    """
    audio = offer.audio
    if audio is None:
        raise NotAcceptable("No audio that we can take")
    known = {*codecs, DTMF}
    numbers = {number: name for number, name in audio.payload_types.items() if name in known}
    if not any(is_speech(name) for name in numbers.values()):
        raise NotAcceptable("No common codec")
    way = answered_direction(offer.direction(audio), direction)
    # an encrypted profile is set with its keys (`section_guard`)
    protocol = "RTP/AVP" if audio.is_encrypted else audio.protocol
    section = _section(port, protocol, numbers, audio.ptime or 20, way)
    sections = [section if each is audio else each.rejected() for each in offer.media]
    ours = _description(origin, address, sections)
    return ours, agree(ours, offer)


def agree(ours: SessionDescription, theirs: SessionDescription) -> AgreedAudio:
    """What follows from the description that we sent and the one that came, whichever was the offer (RFC 3264 §7).

    Serves relays too: `ours` is then the other side's description as we rewrote it. Raises NotAcceptable.
    """
    mine = ours.audio
    peer = None if mine is None else section_at(theirs, ours.media.index(mine))
    if mine is None or peer is None or peer.kind != "audio" or not peer.is_rtp or not peer.port:
        raise NotAcceptable("The audio was refused")
    address = theirs.address(peer)
    if address is None or not is_numeric(address):
        raise NotAcceptable("The audio has no usable address")
    my_types, peer_types = mine.payload_types, peer.payload_types
    common = {number: name for number, name in peer_types.items() if name in my_types.values()}
    codec = next((number for number, name in common.items() if is_speech(name)), None)
    if codec is None:
        raise NotAcceptable("No common codec")
    # RFC 3264 §5.1: we send with the peer's numbers, and may be sent our own
    heard = {number: name for number, name in my_types.items() if name in common.values()}
    my_way, peer_way = ours.direction(mine), theirs.direction(peer)
    return AgreedAudio(
        remote=(address, peer.port),
        codec=codec,
        payload_types={**heard, **common},
        dtmf=next((number for number, name in common.items() if name == DTMF), None),
        ptime=min(max(peer.ptime or 20, 10), 60),
        send=_sends(my_way) and _listens(peer_way),
        receive=_listens(my_way) and _sends(peer_way),
    )


def section_at(description: SessionDescription, at: int) -> Media | None:
    """Sections of offer and answer belong together by their place (RFC 3264 §6)."""
    return description.media[at] if at < len(description.media) else None


def answered_direction(offered: Direction, wanted: Direction = "sendrecv") -> Direction:
    """Our direction in an answer (RFC 3264 §6.1): only what the offer allows and we want."""
    sends = _listens(offered) and _sends(wanted)
    listens = _sends(offered) and _listens(wanted)
    if sends:
        return "sendrecv" if listens else "sendonly"
    return "recvonly" if listens else "inactive"


def _sends(direction: Direction) -> bool:
    return direction in ("sendrecv", "sendonly")


def _listens(direction: Direction) -> bool:
    return direction in ("sendrecv", "recvonly")


def is_speech(name: str) -> bool:
    return name.partition("/")[0] not in _NOT_SPEECH


def _section(port: int, protocol: str, numbers: dict[int, str], ptime: int, direction: Direction) -> Media:
    lines = [f"m=audio {port} {protocol} {' '.join(map(str, numbers))}"]
    for number, name in numbers.items():
        lines.append(f"a=rtpmap:{number} {'telephone-event/8000' if name == DTMF else name}")
        if name == DTMF:
            lines.append(f"a=fmtp:{number} 0-15")
    lines += [f"a=ptime:{ptime}", f"a={direction}"]
    return Media.parse(tuple(lines))


def _description(origin: Origin, address: str, sections: list[Media]) -> SessionDescription:
    lines = ("v=0", str(origin), "s=-", f"c={network(address)}", "t=0 0")
    return SessionDescription(lines, tuple(sections))
