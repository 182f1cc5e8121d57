"""STUN messages as octets and back: what a keepalive, ICE or a NAT probe says. Pure; it sends nothing.

Not here: retransmission, TURN, long-term credentials. RFC 8489 (RFC 5389 messages are the same), RFC 5769 test vectors,
RFC 5626 §4.4.2 (keepalive on a SIP socket), RFC 8445 §7.1 (the attributes of ICE are passed through by number).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |0 0|  method and class (14)    |      length after the header  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                    magic cookie 0x2112A442                    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                    transaction id (96 bits)                   |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  attributes: type (16), length (16), value, padding to 4 ...
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

COOKIE = b"\x21\x12\xa4\x42"
HEADER = 20
BINDING = 0x001
LARGEST = 2048
"""Limit: no STUN message of a keepalive or of ICE comes near to it."""
_MOST_ATTRIBUTES = 32

MAPPED_ADDRESS = 0x0001
USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
PRIORITY = 0x0024
USE_CANDIDATE = 0x0025
FINGERPRINT = 0x8028
ICE_CONTROLLED = 0x8029
ICE_CONTROLLING = 0x802A

_KNOWN = frozenset(
    {MAPPED_ADDRESS, USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES, XOR_MAPPED_ADDRESS, PRIORITY,
     USE_CANDIDATE}
)  # fmt: skip
_FINGERPRINT_XOR = 0x5354554E

Address = tuple[str, int]


class StunError(Exception):
    """These octets are no STUN message; the text says why."""


class StunClass(IntEnum):
    """RFC 8489 §5"""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class StunMessage:
    """One message. Attributes in their order, values without padding; the checksums are among them when parsed, and
    `encode` adds them when asked, never from here."""

    kind: StunClass
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...] = ()
    method: int = BINDING

    def get(self, attribute: int) -> bytes | None:
        """The first value of an attribute (RFC 8489 §14: later ones are passed over)."""
        return next((value for number, value in self.attributes if number == attribute), None)

    def encode(self, key: bytes | None = None, *, fingerprint: bool = False) -> bytes:
        """The octets; with MESSAGE-INTEGRITY (RFC 8489 §14.5) when a key is given, FINGERPRINT (§14.7) when asked."""
        body = b"".join(
            _attribute(number, value)
            for number, value in self.attributes
            if number not in (MESSAGE_INTEGRITY, FINGERPRINT)
        )
        if key is not None:
            digest = hmac.new(key, self._header(len(body) + 24) + body, hashlib.sha1).digest()
            body += _attribute(MESSAGE_INTEGRITY, digest)
        if fingerprint:
            body += _attribute(FINGERPRINT, _fingerprint(self._header(len(body) + 8) + body))
        return self._header(len(body)) + body

    def _header(self, length: int) -> bytes:
        return struct.pack("!HH", _type(self.method, self.kind), length) + COOKIE + self.transaction


def looks_like_stun(data: bytes) -> bool:
    """Cheap enough for each datagram: no SIP message begins so (RFC 8489 §5, RFC 5626 §8)."""
    return len(data) >= HEADER and data[0] < 64 and data[4:8] == COOKIE


def parse(data: bytes) -> StunMessage:
    """Raises StunError. A FINGERPRINT that is there must be right; integrity is checked by `intact`."""
    if not looks_like_stun(data):
        raise StunError("no STUN header")
    word, length = struct.unpack_from("!HH", data)
    if length % 4 or HEADER + length != len(data) or len(data) > LARGEST:
        raise StunError("wrong length")
    attributes = tuple((number, value) for number, value, _ in _walk(data))
    for number, value, start in _walk(data):
        if number == FINGERPRINT and (start + 8 != len(data) or not _same(value, _fingerprint(data[:start]))):
            raise StunError("wrong fingerprint")
    kind = StunClass((word >> 4 & 1) | (word >> 7 & 2))
    method = (word & 0xF) | (word >> 1 & 0x70) | (word >> 2 & 0xF80)
    return StunMessage(kind, data[8:HEADER], attributes, method)


def intact(data: bytes, key: bytes) -> bool:
    """True when octets that `parse` took bear a MESSAGE-INTEGRITY made with `key`; what follows it does not count."""
    for number, value, start in _walk(data):
        if number == MESSAGE_INTEGRITY:
            covered = data[:2] + struct.pack("!H", start + 24 - HEADER) + data[4:start]
            return _same(value, hmac.new(key, covered, hashlib.sha1).digest())
    return False


def request(transaction: bytes, attributes: Iterable[tuple[int, bytes]] = ()) -> StunMessage:
    """A Binding request; `transaction` is 12 random octets."""
    if len(transaction) != 12:
        raise ValueError("a transaction id has 12 octets")
    return StunMessage(StunClass.REQUEST, transaction, tuple(attributes))


def success(asked: StunMessage, source: Address) -> StunMessage:
    """The answer to a Binding request from `source` (RFC 8489 §6.3.1.1)."""
    mapped = (XOR_MAPPED_ADDRESS, xor_address(source, asked.transaction))
    return StunMessage(StunClass.SUCCESS, asked.transaction, (mapped,))


def failure(asked: StunMessage, code: int, reason: str, unknown: Iterable[int] = ()) -> StunMessage:
    """An error response (RFC 8489 §14.8)."""
    value = struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()
    attributes = [(ERROR_CODE, value)]
    if numbers := tuple(unknown):
        attributes.append((UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(numbers)}H", *numbers)))
    return StunMessage(StunClass.ERROR, asked.transaction, tuple(attributes), asked.method)


def answer_keepalive(data: bytes, source: Address) -> bytes | None:
    """What a SIP socket answers to STUN octets; None where silence is due. Raises StunError."""
    asked = parse(data)
    if asked.kind is not StunClass.REQUEST:
        return None  # RFC 8489 §6.3.2: indications are not answered; answers were not asked for
    if asked.method != BINDING:
        return failure(asked, 400, "Bad Request").encode()
    strange = unknown(asked)
    if strange:
        return failure(asked, 420, "Unknown Attribute", strange).encode()  # RFC 8489 §6.3.1
    return success(asked, source).encode()


def unknown(message: StunMessage) -> tuple[int, ...]:
    """The attributes that must be understood and are not (RFC 8489 §14)."""
    return tuple(dict.fromkeys(number for number, _ in message.attributes if number < 0x8000 and number not in _KNOWN))


def xor_address(address: Address, transaction: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS (RFC 8489 §14.2). Raises ValueError for a host that is no number."""
    host = ipaddress.ip_address(address[0].partition("%")[0])
    pad = COOKIE + transaction
    hidden = bytes(octet ^ mask for octet, mask in zip(host.packed, pad, strict=False))
    return struct.pack("!BBH", 0, 1 if host.version == 4 else 2, address[1] ^ 0x2112) + hidden


def read_xor_address(value: bytes, transaction: bytes) -> Address:
    """Raises StunError."""
    size = {1: 4, 2: 16}.get(value[1] if len(value) > 1 else 0)
    if size is None or len(value) != 4 + size:
        raise StunError("wrong address")
    port = struct.unpack_from("!H", value, 2)[0] ^ 0x2112
    plain = bytes(octet ^ mask for octet, mask in zip(value[4:], COOKIE + transaction, strict=False))
    return str(ipaddress.ip_address(plain)), port


def _walk(data: bytes) -> Iterable[tuple[int, bytes, int]]:
    """Attribute, value, and where it starts. Raises StunError."""
    position, count = HEADER, 0
    while position < len(data):
        if position + 4 > len(data):
            raise StunError("an attribute is cut off")
        number, length = struct.unpack_from("!HH", data, position)
        end = position + 4 + length
        count += 1
        if end > len(data) or count > _MOST_ATTRIBUTES:
            raise StunError("an attribute is cut off" if end > len(data) else "too many attributes")
        yield number, data[position + 4 : end], position
        position = end + -end % 4


def _attribute(number: int, value: bytes) -> bytes:
    return struct.pack("!HH", number, len(value)) + value + b"\0" * (-len(value) % 4)


def _type(method: int, kind: StunClass) -> int:
    """The bits of the class stand among those of the method (RFC 8489 §5)."""
    spread = (method & 0xF) | (method & 0x70) << 1 | (method & 0xF80) << 2
    return spread | (kind & 1) << 4 | (kind & 2) << 7


def _fingerprint(covered: bytes) -> bytes:
    return struct.pack("!I", zlib.crc32(covered) ^ _FINGERPRINT_XOR)


def _same(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one, other)
