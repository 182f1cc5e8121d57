"""All fuzz targets by name, each with octets to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pbx.mediaproxy import rtcp, rtp
from pbx.nat import stun
from tests.fuzz import targets_media, targets_sip

TORTURE = Path(__file__).resolve().parents[1] / "torture"
CORPUS = Path(__file__).parent / "corpus"
MESSAGES = [path.read_bytes() for path in sorted(TORTURE.glob("*/*.dat")) if path.stat().st_size < 4000]
INVITE = (
    b"INVITE sip:202@tandem.test;services=no SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK1;rport\r\n"
    b"Record-Route: <sip:10.0.0.2;lr>, <sip:10.0.0.3;lr>\r\nRoute: <sip:10.0.0.1;lr>\r\nMax-Forwards: 70\r\n"
    b'From: "Al \\"x\\" ice" <sip:alice@tandem.test>;tag=1\r\nTo: <sip:202@tandem.test>\r\nCall-ID: a@b\r\n'
    b"CSeq: 1 INVITE\r\nContact: <sip:alice@10.0.0.9>;q=0.5;expires=60\r\nSupported: timer, replaces\r\n"
    b"Expires: 30\r\nContent-Length: 0\r\n\r\n"
)
OK = INVITE.replace(b"INVITE sip:202@tandem.test;services=no SIP/2.0", b"SIP/2.0 200 OK")
SDP = [
    targets_sip.GOOD.encode(),
    b"v=0\r\no=x 2 3 IN IP6 ::1\r\ns= \r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nm=audio 9 RTP/SAVPF 111 0\r\n"
    b"c=IN IP4 0.0.0.0\r\na=rtpmap:111 opus/48000/2\r\na=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\na=inactive\r\n",
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\na=rtcp:4009\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e|2^20|1:4\r\na=rtcp-mux\r\n"
    b"m=image 4010 udptl t38\r\nm=message 7394 TCP/MSRP *\r\na=path:msrp://10.0.0.9:7394/x;tcp\r\n",
]
CREDENTIALS = [
    b'Digest username="alice", realm="tandem.test", nonce="5", uri="sip:x", response="0123", algorithm=MD5, qop=auth, '
    b'nc=00000001, cnonce="c"',
    b'Digest realm="tandem.test", nonce="5", algorithm=SHA-256, qop="auth,auth-int", stale=FALSE',
]
ADDRESSES = [b'"A" <sip:a@b:5060;transport=tcp?x=y>;tag=1', b"sip:a@b;tag=1", b"<tel:+1-2>", b"sips:[::1]:1"]
PACKETS = [
    rtp.build(0, 1, 160, 7, b"\xff" * 160),
    rtp.build(101, 2, 320, 7, b"\x05\x8a\x03\x20", marker=True),
    rtp.build(111, 3, 320, 7, b"\x08\x01\x02\x03"),
    rtp.build(18, 3, 320, 7, bytes(20)),
    b"\x9f\x00" + bytes(10) + bytes(60) + b"\xbe\xde\x00\x01abcd" + b"\xff" * 20,
    b"\xa0\x00" + bytes(10) + b"\x00\x00\x03",
    b"\x80\xc8" + bytes(26),
]
EVENTS = [b"\x05\x0a\x00\xa0", b"\x05\x8a\x03\x20", b"\x0f\x80\xff\xff"]
_CHECK = stun.request(bytes(12), [(stun.USERNAME, b"ours:theirs")]).encode(b"secret-secret-1234", fingerprint=True)
_REPORT = rtcp.report(7, "x", rtcp.Sent(1.0, 160, 1, 160), rtcp.Block(1, -1, 2, 3))


def _frame(data: bytes, opcode: int = 1) -> bytes:
    """A masked WebSocket frame (RFC 6455 §5.2) whose mask changes nothing."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + data


def _stream(kind: int, packets: Iterable[bytes]) -> bytes:
    return bytes([kind, 0]) + b"".join(
        bytes([what, len(each)]) + each for each in packets for what in (0x11, 0x19, 0x15)
    )


@dataclass(frozen=True, slots=True)
class Target:
    """One target: `run` may be called with anything."""

    run: Callable[[bytes], None]
    seeds: list[bytes]


TARGETS = {
    "sip-message": Target(targets_sip.sip_message, [*MESSAGES, INVITE, OK]),
    "sip-stream": Target(targets_sip.sip_stream, [b"\x20" + a + b"\r\n\r\n" + INVITE for a in MESSAGES[:60]]),
    "address": Target(targets_sip.address, ADDRESSES),
    "description": Target(targets_sip.description, SDP),
    "credentials": Target(targets_sip.credentials, CREDENTIALS),
    "web-socket": Target(
        targets_sip.web_socket,
        [b"\x00\xff" + _frame(INVITE) + _frame(b"x", 9), b"\x00\x03" + _frame(OK, 2) + _frame(b"\x03\xe8", 8),
         b"\x01\x40" + targets_sip._UPGRADE + _frame(INVITE)],
    ),
    "rtp-stream": Target(targets_media.rtp_stream, [_stream(kind, [*PACKETS, _CHECK, _REPORT]) for kind in range(36)]),
    "rtcp-packet": Target(targets_media.rtcp_packet, [_REPORT, PACKETS[-1]]),
    "events": Target(targets_media.events, [b"\0\1" + EVENTS[0] + b"\0\1" + EVENTS[1], b"\1\1" + EVENTS[2]]),
    "stun-message": Target(targets_media.stun_message, [_CHECK, b"\0\1" + _CHECK[20:]]),
}  # fmt: skip
