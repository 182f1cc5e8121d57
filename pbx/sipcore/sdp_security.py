"""What a media section says of keys, certificates and connectivity checks: attribute values read and written. Pure.

What we make of it is in `section_guard`. RFC 4568 (a=crypto), RFC 8122 (a=fingerprint), RFC 4145 and RFC 5763
(a=setup), RFC 8839 (ICE), RFC 3605 (a=rtcp).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from pbx.sipcore.sdp import Media, SessionDescription, is_numeric

# RFC 4568 §6.2, RFC 7714 §14.2: octets of master key and salt
SUITES = {
    "AEAD_AES_256_GCM": 44,
    "AEAD_AES_128_GCM": 28,
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
# Limit: a=crypto lines of one section that are looked at.
_MOST_KEYS = 16
_MOST_PRINTS = 8
_CRYPTO = re.compile(r"([0-9]{1,9}) +([A-Za-z0-9_]+) +inline:([A-Za-z0-9+/=]{1,128})(\|[^ ]*)?(?: +(\S.*))?")
_LIFETIME = re.compile(r"2\^[0-9]{1,2}|[0-9]{1,15}")
_MKI = re.compile(r"([0-9]{1,40}):([0-9]{1,3})")
# Limit: octets of a key's name that are taken; RFC 4568 §6.1 allows 128, phones use 1 to 4.
_LONGEST_MKI = 16
_FINGERPRINT = re.compile(r"(\S{1,20}) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,63})")
_RTCP = re.compile(r"([0-9]{1,5})(?: +IN +IP[46] +(\S+))?")
_ICE_TEXT = re.compile(r"[A-Za-z0-9+/]{4,256}")


@dataclass(frozen=True, slots=True)
class Crypto:
    """One key that a section offers or has chosen; `key` is the master key with its salt behind it, `mki` what its
    owner puts into each packet to name it (RFC 4568 §6.1; empty: nothing)."""

    tag: int
    suite: str
    key: bytes
    mki: bytes = b""

    def __str__(self) -> str:
        return f"a=crypto:{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def cryptos(media: Media) -> list[Crypto]:
    """The keys that we can use, in their order; a line with more than one key is passed over.

    Deviation: RFC 4568 §6.3 session parameters that change the protection (UNENCRYPTED_SRTP, KDR, FEC) are not
    supported, so such a line is taken as one that we do not know (§7.1.2 allows that). A lifetime is not watched: it is
    for the key's owner to offer another in time.
    """
    found = (_crypto(value) for value in media.attributes("crypto")[:_MOST_KEYS])
    return [each for each in found if each is not None]


def _crypto(value: str) -> Crypto | None:
    match = _CRYPTO.fullmatch(value)
    if match is None or not all(map(_harmless, (match.group(5) or "").split())):
        return None
    suite, mki = match.group(2).upper(), _mki(match.group(4))
    try:
        key = base64.b64decode(match.group(3) + "=" * (-len(match.group(3)) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    if SUITES.get(suite) != len(key) or mki is None:
        return None
    return Crypto(int(match.group(1)), suite, key, mki)


def _harmless(parameter: str) -> bool:
    """A window size is a hint (RFC 4568 §6.3.6), and what begins with a dash may be passed over (§6.3.7)."""
    return parameter.upper().startswith("WSH=") or parameter.startswith("-")


def _mki(rest: str | None) -> bytes | None:
    """Of `|lifetime|MKI:length`, either of which may be missing (RFC 4568 §6.1); None: neither of them."""
    found = b""
    for at, part in enumerate((rest or "|").split("|")[1:]):
        match = _MKI.fullmatch(part)
        if match is not None and not found:
            number, length = int(match.group(1)), int(match.group(2))
            if not 0 < length <= _LONGEST_MKI or number >= 1 << 8 * length:
                return None
            found = number.to_bytes(length, "big")
        elif part and (at or _LIFETIME.fullmatch(part) is None):
            return None
    return found


@dataclass(frozen=True, slots=True)
class Browserly:
    """What a section of DTLS-SRTP says: fingerprints, who begins, and the peer's ICE credentials if it has any."""

    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    ice: tuple[str, str] | None


def browserly(description: SessionDescription, media: Media) -> Browserly | None:
    """None when there is no fingerprint; attributes of the session count where the section has none of its own."""
    prints = []
    for value in _either(description, media, "fingerprint")[:_MOST_PRINTS]:
        match = _FINGERPRINT.fullmatch(value)
        if match is not None:
            prints.append((match.group(1).lower(), match.group(2).upper()))
    if not prints:
        return None
    setup = (_either(description, media, "setup") or [""])[0].lower()
    names, words = _either(description, media, "ice-ufrag"), _either(description, media, "ice-pwd")
    ice = None
    if names and words and _ICE_TEXT.fullmatch(names[0]) and _ICE_TEXT.fullmatch(words[0]):
        ice = (names[0], words[0])
    return Browserly(tuple(prints), setup, ice)


def _either(description: SessionDescription, media: Media, name: str) -> list[str]:
    return media.attributes(name) or description.attributes(name)


def control_address(description: SessionDescription, media: Media) -> tuple[str, int] | None:
    """Where a=rtcp wants RTCP; None when it says nothing, or nothing usable."""
    values = media.attributes("rtcp")
    match = _RTCP.fullmatch(values[0]) if values else None
    if match is None:
        return None
    host, port = match.group(2) or description.address(media), int(match.group(1))
    if host is None or not is_numeric(host) or not 0 < port < 65536:
        return None
    return host, port


def has_mux(media: Media) -> bool:
    """RTP and RTCP on one port (RFC 5761 §5.1.1)."""
    return bool(media.attributes("rtcp-mux"))
