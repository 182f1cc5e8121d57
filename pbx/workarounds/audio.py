"""Offers made narrower for devices that cannot choose: one codec, no telephone-event. Pure. RFC 3264 §5."""

from __future__ import annotations

from pbx.sipcore.sdp import SessionDescription
from pbx.workarounds.kinds import Workaround

_EVENT = "TELEPHONE-EVENT/"
_NARROWING = frozenset({Workaround.ONE_CODEC, Workaround.INFO_DIGITS})


def narrowed(offer: SessionDescription, done: frozenset[Workaround]) -> SessionDescription:
    """The offer as such a device gets it."""
    audio = offer.audio
    if audio is None or not done & _NARROWING:
        return offer
    first = next((name for name in audio.payload_types.values() if not name.startswith(_EVENT)), None)

    def wanted(name: str) -> bool:
        if name.startswith(_EVENT):
            return Workaround.INFO_DIGITS not in done
        return Workaround.ONE_CODEC not in done or name == first

    return offer.restrict(wanted)
