"""What the media worker makes of octets: RTP in all its lanes, RTCP, telephone-events, STUN.

Each target takes any octets and raises nothing that is not documented. See `targets_sip`.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

from base.entropy import SeededEntropy
from pbx.mediaproxy import rtcp, rtp
from pbx.mediaproxy.digits import KEYS, DigitReceiver
from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.engine import IceKeys, SrtpKeys, StreamSettings
from pbx.mediaproxy.latch import Address
from pbx.mediaproxy.srtp import Sealer
from pbx.nat import stun

HERE, THERE, STRANGER = ("192.0.2.1", 4000), ("192.0.2.2", 5000), ("198.51.100.1", 6000)
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS_OF = SrtpKeys(SUITE, bytes(range(30)), bytes(range(1, 31)))
G711 = {0: "PCMU/8000", 8: "PCMA/8000", 101: "telephone-event/8000"}
_TYPES = (
    G711,
    {9: "G722/8000", 101: "telephone-event/8000"},
    {111: "opus/48000/2", 110: "telephone-event/8000"},
    {3: "GSM/8000"},
    {18: "G729/8000", 13: "CN/8000"},
    {2: "G726-32/8000"},
)


class _Wire:
    """A socket that keeps the last datagram."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.last = b""

    def getsockname(self) -> tuple[str, int]:
        return ("192.0.2.100", self._port)

    def sendto(self, data: bytes, target: Address) -> None:
        self.last = bytes(data)

    def close(self) -> None: ...


@lru_cache(maxsize=1)
def _identity() -> Identity:
    return Identity()


def _endpoint(number: int, settings: StreamSettings) -> Endpoint:
    wires = [cast(socket.socket, _Wire(61_000 + 2 * number + at)) for at in (0, 1)]
    made = Endpoint(number, wires[0], wires[1], _identity(), SeededEntropy(number), Counter())
    made.configure(settings)
    return made


def _settings(kind: int, remote: Address) -> StreamSettings:
    """One of the forms that a stream may have."""
    types = _TYPES[kind % len(_TYPES)]
    codec = next(iter(types))
    match kind // len(_TYPES) % 6:
        case 0:
            return StreamSettings(remote, codec, types, dtmf=101 if 101 in types else None)
        case 1:
            return StreamSettings(remote, codec, types, mux=True)
        case 2:
            return StreamSettings(remote, codec, types, srtp=KEYS_OF)
        case 3:
            return StreamSettings(remote, codec, types, mux=True, ice=IceKeys("ours", "secret-secret-1234", "theirs"))
        case 4:
            return StreamSettings(remote, 0, {}, carriage="rtp")
        case _:
            return StreamSettings(remote, 0, {}, carriage="raw", send=kind % 2 == 0)


def _pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Datagrams, each behind an octet of what it is and its length."""
    at = 0
    while at + 2 < len(data):
        size = data[at + 1]
        yield data[at], data[at + 2 : at + 2 + size]
        at += 2 + size


def rtp_stream(data: bytes) -> None:
    """Two streams of any kind that are joined; datagrams to both ports of both, from their peers and from strangers."""
    kinds = (data[0], data[1]) if len(data) > 1 else (0, 0)
    left, right = _endpoint(1, _settings(kinds[0], HERE)), _endpoint(2, _settings(kinds[1], THERE))
    left.relay.connect(right.relay)
    left.ear.listen(kinds[0] % 2 == 1)
    sealer = Sealer(SUITE, KEYS_OF.receive)
    buffer = memoryview(bytearray(2048))
    now = 1.0
    for what, piece in _pieces(data[2:]):
        side, source = (left, HERE) if what & 1 else (right, THERE)
        source = STRANGER if what & 2 else source
        if what & 8 and len(piece) >= 12 and piece[0] >> 6 == 2:
            piece = sealer.seal(piece) or piece
        if what & 4:
            side.receive_control(memoryview(piece), source, now)
        else:
            buffer[: len(piece)] = piece
            digit = side.receive(buffer, len(piece), source, now)
            assert digit is None or digit.key in KEYS
        now += (what >> 4) * 0.02
        if what == 0xFF:
            side.tick()
    for side in (left, right):
        _sound_rtp(side)
        side.figures()
        side.report(1, "x", None, now)


def _sound_rtp(side: Endpoint) -> None:
    last, settings = cast(_Wire, side.wire.media).last, side.settings
    if last and settings is not None and settings.carriage == "audio" and side.wire.lane is None and not settings.mux:
        assert rtp.parse(last) is not None


def rtcp_packet(data: bytes) -> None:
    """A compound of reports."""
    found = rtcp.parse(data)
    assert all(-0x800000 <= block.lost <= 0x7FFFFF for block in found.blocks)
    for block in found.blocks[:2]:
        again = rtcp.parse(rtcp.report(7, "x", None, block))
        assert again.blocks[0].lost == block.lost


def events(data: bytes) -> None:
    """Telephone-events of six octets each: two of a timestamp, four of the event."""
    receiver = DigitReceiver()
    for at in range(0, len(data) - 5, 6):
        stamp = int.from_bytes(data[at : at + 2], "big") * 80
        digit = receiver.receive(stamp, data[at + 2 : at + 6], at * 0.02)
        assert digit is None or (digit.key in KEYS and digit.milliseconds >= 0)


def stun_message(data: bytes) -> None:
    """Octets as they are, and as the attributes of a message whose header is right."""
    _stun(data)
    body = data[2:]
    body += b"\0" * (-len(body) % 4)
    kind = int.from_bytes(data[:2], "big") & 0x3FFF
    _stun(struct.pack("!HH", kind, len(body) & 0xFFFC) + stun.COOKIE + bytes(12) + body)


def _stun(data: bytes) -> None:
    with contextlib.suppress(stun.StunError):
        message = stun.parse(data)
        stun.intact(data, b"secret")
        for _, value in message.attributes:
            with contextlib.suppress(stun.StunError):
                stun.read_xor_address(value, message.transaction)
        again = stun.parse(message.encode(b"secret", fingerprint=True))
        assert again.kind is message.kind
        assert again.method == message.method
    with contextlib.suppress(stun.StunError):
        stun.answer_keepalive(data, HERE)
