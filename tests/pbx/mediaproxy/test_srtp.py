"""SRTP whose packets name their key (MKI): taken with the right name only."""

from __future__ import annotations

import pytest

from pbx.mediaproxy import rtcp, rtp
from pbx.mediaproxy.srtp import SUITES, Opener, Sealer

MKI = b"\0\0\0\7"
PACKET = rtp.build(0, 1, 160, 7, b"\xff" * 160)
REPORT = rtcp.report(7, "phone", None, rtcp.Block(1, 3, 10, 8))


def named(sealed: bytes | None, behind: int, mki: bytes = MKI) -> bytes:
    """RFC 3711 §3.1: the MKI stands before the authentication tag, of which AEAD has none (RFC 7714 §8.2)."""
    assert sealed is not None
    at = len(sealed) - behind
    return sealed[:at] + mki + sealed[at:]


@pytest.mark.parametrize("suite", SUITES)
def test_packets_that_name_their_key_are_opened(suite: str) -> None:
    key = bytes(range(SUITES[suite].octets))
    tag = {"AES_CM_128_HMAC_SHA1_80": (10, 10), "AES_CM_128_HMAC_SHA1_32": (4, 10)}.get(suite, (0, 0))
    sealer, opener = Sealer(suite, key), Opener(suite, key, MKI)
    sealed, report = sealer.seal(PACKET), sealer.seal_control(REPORT)
    assert opener.open(named(sealed, tag[0], b"\0\0\0\6")) is None
    assert opener.open(sealed or b"") is None
    assert opener.open(b"") is None
    assert opener.open(named(sealed, tag[0])) == PACKET
    assert opener.open(named(sealed, tag[0])) is None  # a replay
    assert opener.open_control(named(report, tag[1])) == REPORT
