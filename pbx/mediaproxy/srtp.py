"""SRTP of one stream: packets sealed on their way out, opened and checked on their way in. RFC 3711, RFC 7714.

Where the keys come from is not its business (SDP or DTLS). Nothing that fails its check comes through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pylibsrtp

# Limit: synchronisation sources that one stream may use in each direction; each costs memory, and is kept so that no
# key stream is ever used twice.
MOST_SOURCES = 64
# Limit: what fits the buffer of the library with all trailers; video keeps below 1200.
LONGEST = 1350


@dataclass(frozen=True, slots=True)
class Suite:
    """One transform: its libsrtp profile, the name that DTLS uses, the lengths of master key and salt, and how many
    octets of RTP and of RTCP stand behind the place of an MKI (RFC 3711 §3.1, §3.4; none with RFC 7714 §8.2, §9.2)."""

    profile: int
    dtls: str
    key: int
    salt: int
    tag: int = 0
    control_tag: int = 0

    @property
    def octets(self) -> int:
        return self.key + self.salt


SUITES = {
    # RFC 4568 §6.2, RFC 7714 §14.2
    "AEAD_AES_256_GCM": Suite(pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, "SRTP_AEAD_AES_256_GCM", 32, 12),
    "AEAD_AES_128_GCM": Suite(pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, "SRTP_AEAD_AES_128_GCM", 16, 12),
    "AES_CM_128_HMAC_SHA1_80": Suite(
        pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, "SRTP_AES128_CM_SHA1_80", 16, 14, 10, 10
    ),
    "AES_CM_128_HMAC_SHA1_32": Suite(
        pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32, "SRTP_AES128_CM_SHA1_32", 16, 14, 4, 10
    ),
}
"""By the names of RFC 4568, in our order of preference."""


class Opener:
    """What comes in. Raises KeyError for a suite that we do not know, ValueError for a short key.

    With `mki` each packet must name the key so (RFC 3711 §3.1); libsrtp is not told of it, as it is not protected.
    """

    __slots__ = ("_mki", "_session", "_sources", "_suite", "key")

    def __init__(self, suite: str, key: bytes, mki: bytes = b"") -> None:
        self.key = (suite, key, mki)
        self._mki, self._suite = mki, SUITES[suite]
        self._session = _session(SUITES[suite], key, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._sources: set[bytes] = set()

    def open(self, packet: bytes) -> bytes | None:
        """The RTP packet within; None when it is forged, a replay, or of one source too many."""
        return self._apply(self._session.unprotect, packet, packet[8:12], self._suite.tag)

    def open_control(self, packet: bytes) -> bytes | None:
        """The same for RTCP, whose sender is named in octets 4 to 7."""
        return self._apply(self._session.unprotect_rtcp, packet, packet[4:8], self._suite.control_tag)

    def _apply(self, act: Callable[[bytes], bytes], packet: bytes, source: bytes, tag: int) -> bytes | None:
        if self._mki:
            end = len(packet) - tag
            start = end - len(self._mki)
            if start < 0 or packet[start:end] != self._mki:
                return None
            packet = packet[:start] + packet[end:]
        return _apply(act, packet, source, self._sources)


class Sealer:
    """What goes out. Raises as `Opener` does."""

    __slots__ = ("_session", "_sources", "key")

    def __init__(self, suite: str, key: bytes) -> None:
        self.key = (suite, key)
        self._session = _session(SUITES[suite], key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        self._sources: set[bytes] = set()

    def seal(self, packet: bytes) -> bytes | None:
        """None when that number was sealed before: a key stream is used once (RFC 3711 §9.1)."""
        return _apply(self._session.protect, packet, packet[8:12], self._sources)

    def seal_control(self, packet: bytes) -> bytes | None:
        return _apply(self._session.protect_rtcp, packet, packet[4:8], self._sources)


def _apply(act: Callable[[bytes], bytes], packet: bytes, source: bytes, sources: set[bytes]) -> bytes | None:
    if len(packet) > LONGEST or (len(sources) >= MOST_SOURCES and source not in sources):
        return None
    try:
        result = act(packet)
    except (pylibsrtp.Error, ValueError):
        return None
    sources.add(source)
    return result


def _session(suite: Suite, key: bytes, direction: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=key[: suite.octets], ssrc_type=direction, srtp_profile=suite.profile)
    policy.window_size = 128
    return pylibsrtp.Session(policy)
