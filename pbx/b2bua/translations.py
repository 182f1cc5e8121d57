"""Which codecs we offer besides a party's own, and which one a program speaks. Pure; the media engine translates."""

from __future__ import annotations

from collections.abc import Sequence

from pbx.sipcore.offer_answer import STUDIO
from pbx.sipcore.sdp import SessionDescription

TRANSLATED = (
    "PCMU/8000", "PCMA/8000", "G722/8000", "OPUS/48000/2", "GSM/8000", "G726-32/8000", "AAL2-G726-32/8000",
)  # fmt: skip
"""Codecs that the media engine turns into each other, the cheapest first."""
HEARD = (*TRANSLATED, "G729/8000")
"""Codecs of which we understand what comes in."""
_NO_SOUND = ("TELEPHONE-EVENT/", "CN/")
_WIDE = ("G722/8000", "OPUS/48000/2")


def translatable(description: SessionDescription) -> bool:
    """Whether its audio has a codec that we can turn into others."""
    audio = description.audio
    return audio is not None and any(name in TRANSLATED for name in audio.payload_types.values())


def understood(description: SessionDescription) -> SessionDescription:
    """What of it we understand and could say as well; all of it, when that were no sound at all."""
    if not translatable(description):
        return description
    return description.restrict(lambda name: name in TRANSLATED or name.startswith(_NO_SOUND))


def translations(description: SessionDescription) -> Sequence[str]:
    """Codecs to offer behind theirs: wide ones first to who has a wide one."""
    audio = description.audio
    if audio is None:
        return ()
    wide = any(name in _WIDE for name in audio.payload_types.values())
    return sorted(TRANSLATED, key=lambda name: name not in _WIDE) if wide else TRANSLATED


def favourite(offer: SessionDescription) -> Sequence[str]:
    """The first codec of an offer that programs can speak; one that costs work only when there is no other."""
    names = [] if offer.audio is None else list(offer.audio.payload_types.values())
    known = [name for name in names if name in STUDIO] or [name for name in names if name in TRANSLATED]
    return known[:1] or STUDIO
