"""G.711 µ-law and A-law as tables: octets to samples, samples to octets, and one law to the other without samples.

Not a codec with state: each octet stands alone. ITU-T G.711; payload names of RFC 3551 §4.5.14.
"""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
Octets = npt.NDArray[np.uint8]


class Law(enum.IntEnum):
    """The two laws; the number is the place of the law's table in `DECODE`."""

    ULAW = 0
    ALAW = 1

    @property
    def silence(self) -> int:
        """The octet of a sample of (nearly) zero."""
        return 0xFF if self is Law.ULAW else 0xD5


LAWS = {"PCMU/8000": Law.ULAW, "PCMA/8000": Law.ALAW}


def _decode_ulaw() -> Samples:
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    value = magnitude - 0x84
    return np.where(code & 0x80, -value, value).astype(np.int16)


def _decode_alaw() -> Samples:
    code = np.arange(256) ^ 0x55
    exponent = (code & 0x70) >> 4
    value = ((code & 0x0F) << 4) + 8
    value = np.where(exponent > 0, (value + 0x100) << np.maximum(exponent - 1, 0), value)
    return np.where(code & 0x80, value, -value).astype(np.int16)


def _encoder(decode: Samples) -> Octets:
    """For each of the 65,536 samples the octet whose value is nearest."""
    order = np.argsort(decode, kind="stable")
    values = decode[order].astype(np.int32)
    samples = np.arange(-32768, 32768, dtype=np.int32)
    right = np.clip(np.searchsorted(values, samples), 1, 255)
    left = right - 1
    nearest = np.where(samples - values[left] < values[right] - samples, left, right)
    table = np.empty(65536, dtype=np.uint8)
    table[samples & 0xFFFF] = order[nearest]
    return table


# Row 0 µ-law, row 1 A-law; flat, so that `octet + 256 * law` finds the sample.
DECODE: Samples = np.concatenate([_decode_ulaw(), _decode_alaw()])
_ENCODE = (_encoder(DECODE[:256]), _encoder(DECODE[256:]))
_ACROSS = tuple(_ENCODE[1 - law][DECODE[256 * law : 256 * law + 256].view(np.uint16)].tobytes() for law in Law)


def encode(samples: Samples, law: Law) -> bytes:
    """16-bit samples to octets."""
    return _ENCODE[law][samples.view(np.uint16)].tobytes()


def decode(octets: bytes, law: Law) -> Samples:
    """Octets to 16-bit samples."""
    return DECODE[256 * law : 256 * law + 256][np.frombuffer(octets, dtype=np.uint8)]


def across(law: Law) -> bytes:
    """The 256-octet table for `bytes.translate` from `law` to the other one."""
    return _ACROSS[law]
