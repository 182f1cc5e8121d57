"""Where this server stands: which peers are inside, with us, which are outside, and what each is to call us.

Pure, made from `[nat]` of the configuration. A server in a cloud or a container has an address of its own that nobody
outside can use; those outside are told the public one, those inside never (a router seldom turns packets round).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from pbx.nat.detection import behind_nat, media_behind_nat, numeric, private
from pbx.sipcore.flow import Flow

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`lan`: networks that reach us without a router in between (none: all private ones). `nated`: networks whose
    telephones always count as behind a router, whatever they say. `public`: our addresses as those outside see them,
    at most one of IPv4 and one of IPv6; `public_media` likewise for audio, where it is not the same."""

    lan: tuple[Network, ...] = ()
    nated: tuple[Network, ...] = ()
    public: tuple[str, ...] = ()
    public_media: tuple[str, ...] = ()

    def inside(self, host: str) -> bool:
        """Whether a peer at `host` is on our side of any router. A router's own address in our network counts."""
        return _within(host, self.lan) if self.lan else private(host)

    def public_for(self, host: str) -> str:
        """What a peer at `host` must call us instead of our own address; empty when that will do."""
        return self._of(self.public, host)

    def public_media_for(self, host: str) -> str:
        """The same for where our media ports are."""
        return self._of(self.public_media, host) or self._of(self.public, host)

    def _of(self, public: tuple[str, ...], host: str) -> str:
        named = next((each for each in public if (":" in each) == (":" in host)), "")
        if not named or _loopback(host):
            return ""
        if not self.lan and private(named):  # a container in an office: private to private, and yet not reachable
            return named
        return "" if self.inside(host) else named

    def behind_nat(self, said: str, source: str) -> bool:
        """A peer that calls itself `said` and sends from `source`: is there a router in between?"""
        return behind_nat(said, source) or _within(source, self.nated)

    def media_guess(self, said: tuple[str, int], source: str) -> tuple[str, int] | None:
        """Where the audio of a peer behind a router may really come from, until it does (decision 12)."""
        if numeric(said[0]) == numeric(source):
            return None
        hidden = media_behind_nat(said[0], source) or (said[0] not in ("0.0.0.0", "::") and _within(source, self.nated))
        return (source, said[1]) if hidden else None


class Standing(Protocol):
    """The part of the SIP stack that knows where it stands."""

    @property
    def surroundings(self) -> Surroundings: ...

    def advertised_host(self, flow: Flow) -> str: ...


def media_host(stack: Standing, flow: Flow, bound: str) -> str:
    """The address of a media port bound at `bound`, as the peer on that flow must use it: the public one for a peer
    outside, that of our signalling where the port is bound everywhere."""
    peer = flow.remote[0]
    public = stack.surroundings.public_media_for(peer)
    if public:
        return public
    unlike = (":" in bound) != (":" in peer)
    return stack.advertised_host(flow) if bound in ("", "0.0.0.0", "::") or unlike else bound


def _loopback(host: str) -> bool:
    text = numeric(host)
    return text is not None and ipaddress.ip_address(text).is_loopback


def _within(host: str, networks: tuple[Network, ...]) -> bool:
    text = numeric(host)
    if text is None:
        return False
    address = ipaddress.ip_address(text)
    return any(address in network for network in networks)
