"""Which SIP sockets a configuration means on this machine, with their certificates. It opens none."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from base.certificates import Certificates, client_context
from base.config import LISTEN, Config, Listen, SipConfig
from base.failures import Failure
from pbx.nat.surroundings import Surroundings
from pbx.sipcore.timers import Timers
from pbx.transport.admission import AdmissionLimits
from pbx.transport.doors import SECURE, StackSettings
from pbx.transport.network import Endpoint
from pbx.transport.origins import Origins


def surroundings(config: Config) -> Surroundings:
    """`[nat] public` counts before `[sip]` and `[media] advertised`."""
    nat, signalling, media = config.nat, config.sip.advertised, config.media.advertised
    return Surroundings(
        lan=nat.lan,
        nated=nat.nated,
        public=nat.public or ((signalling,) if signalling else ()),
        public_media=(media,) if media else (),
    )


def stack_settings(
    config: Config, timers: Timers, certificates: Certificates | None, ours: Callable[[str], bool]
) -> StackSettings:
    """`ours` tells whether a host means this server. Without certificates (a simulation) nothing that needs them is
    opened. Raises Failure("unavailable")."""
    sip = config.sip
    listens = [each for each in wanted(sip) if certificates is not None or each.transport not in SECURE]
    try:
        client = None
        if certificates is not None:
            client = client_context(verify=sip.tls_verify, authorities=sip.tls_authorities)
    except OSError as error:
        raise Failure("unavailable", f"[sip] tls_authorities {sip.tls_authorities}: {error}") from error
    return StackSettings(
        udp=_of(listens, "udp"),
        tcp=_of(listens, "tcp"),
        tls=_of(listens, "tls"),
        ws=_of(listens, "ws"),
        wss=_of(listens, "wss"),
        surroundings=surroundings(config),
        timers=timers,
        server_tls=certificates.context if certificates is not None else None,
        client_tls=client,
        admission=admission(sip),
        # Of the default, which nobody asked for, a port that is taken costs only itself.
        dispensable=frozenset({"tls", "ws", "wss"}) if sip.listen is LISTEN else frozenset(),
        origins=Origins(sip.origins, ours).admits,
    )


def admission(sip: SipConfig) -> AdmissionLimits:
    """How many are let in."""
    rate = float(sip.admission) if isinstance(sip.admission, int) else 0.0
    return AdmissionLimits(active=sip.admission != "off", rate=rate)


def wanted(sip: SipConfig) -> Sequence[Listen]:
    """What is configured; of the default, only what this machine can have."""
    if sip.listen is LISTEN and not has_ipv6():
        return [each for each in LISTEN if ":" not in each.host]
    return sip.listen


def has_ipv6() -> bool:
    """Whether the system gives out IPv6 sockets at all; kernels may be set not to."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _of(listens: Sequence[Listen], transport: str) -> tuple[Endpoint, ...]:
    return tuple((each.host, each.port) for each in listens if each.transport == transport)
