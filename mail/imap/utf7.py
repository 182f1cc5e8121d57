"""Modified UTF-7 of mailbox names on the wire (RFC 3501 §5.1.3)."""

from __future__ import annotations

import base64
import binascii
import re

_SHIFTED = re.compile(rb"&([^-]*)-")
_PRINTABLE = re.compile(r"[\x20-\x7e]+")


def encode(name: str) -> bytes:
    """`Entwürfe` → `Entw&APw-rfe`."""
    found: list[bytes] = []
    at = 0
    while at < len(name):
        plain = _PRINTABLE.match(name, at)
        if plain:
            found.append(plain[0].replace("&", "&-").encode())
            at = plain.end()
            continue
        end = at
        while end < len(name) and not " " <= name[end] <= "~":
            end += 1
        coded = base64.b64encode(name[at:end].encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
        found.append(b"&" + coded + b"-")
        at = end
    return b"".join(found)


def decode(octets: bytes) -> str:
    """The name meant. Raises ValueError for what is no modified UTF-7; UTF-8 is let through.

    Interop: some clients send UTF-8 without having enabled it.
    """
    if not octets.isascii():
        return octets.decode("utf-8")
    pieces: list[str] = []
    at = 0
    for match in _SHIFTED.finditer(octets):
        pieces.append(octets[at : match.start()].decode())
        pieces.append(_shifted(match[1]))
        at = match.end()
    rest = octets[at:]
    if b"&" in rest:
        raise ValueError("unfinished shift")
    pieces.append(rest.decode())
    return "".join(pieces)


def _shifted(coded: bytes) -> str:
    if not coded:
        return "&"
    try:
        padded = coded.replace(b",", b"/") + b"=" * (-len(coded) % 4)
        return base64.b64decode(padded, validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("bad shift") from error
