"""Content transfer encodings and charsets undone, for searching and showing (RFC 2045 §6); never for storing."""

from __future__ import annotations

import binascii
import quopri
import re

# Codecs of Python that are no charsets of mail, and slow on purpose-made input.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "unicode-escape"})
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def decoded(octets: bytes, encoding: bytes, charset: bytes) -> str:
    """The text of a part; what cannot be decoded is replaced, an unknown charset is read as UTF-8."""
    match encoding.lower():
        case b"base64":
            octets = unbase64(octets)
        case b"quoted-printable":
            octets = quopri.decodestring(octets)
        case _:
            pass
    name = charset.decode("ascii", "replace").lower()
    try:
        return octets.decode("utf-8" if name in _NO_CHARSETS else name, "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")


def unbase64(octets: bytes) -> bytes:
    """Base64 with whatever is none of its letters passed over (RFC 2045 §6.8), and an end that may be cut."""
    clean = _NOT_BASE64.sub(b"", octets)
    clean = clean[: len(clean) // 4 * 4 + (len(clean) % 4 if len(clean) % 4 != 1 else 0)]
    try:
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
    except binascii.Error:
        return b""
