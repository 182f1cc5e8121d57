"""What a stream is told when offer and answer are known: the protection of its section in the media engine's words."""

from __future__ import annotations

from pbx.mediaproxy.cadence import Cadence
from pbx.mediaproxy.engine import Carriage, DtlsPeer, IceKeys, SrtpKeys, StreamSettings
from pbx.sipcore.section_guard import Protection


def stream_settings(
    remote: tuple[str, int],
    protection: Protection,
    carriage: Carriage,
    *,
    codec: int = 0,
    payload_types: dict[int, str] | None = None,
    dtmf: int | None = None,
    ptime: int = 20,
    send: bool = True,
    receive: bool = True,
    guess: tuple[str, int] | None = None,
    active: bool = False,
    carrier: int = 0,
    disconnect_tones: tuple[Cadence, ...] = (),
) -> StreamSettings:
    """Of one section; all but its protection as `StreamSettings` has it."""
    srtp, dtls, ice = protection.srtp, protection.dtls, protection.ice
    return StreamSettings(
        remote,
        codec,
        payload_types or {},
        dtmf,
        ptime,
        send,
        receive,
        guess,
        carriage,
        protection.control,
        protection.mux,
        None if srtp is None else SrtpKeys(*srtp),
        None if dtls is None else DtlsPeer(*dtls),
        None if ice is None else IceKeys(*ice),
        active,
        carrier,
        disconnect_tones,
    )
