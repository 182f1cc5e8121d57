"""What the administrator says of a trunk. Plain values; its password is kept apart, sealed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from directory.numbers import written
from pbx.mediaproxy.cadence import Cadence
from pbx.sipcore.uri import Uri
from pbx.trunk.tones import tones

INBOUND = ("auto", "contact", "address")
SHOWS = ("line", "caller")
SUPERVISION = ("none", "key")
_OURS = ("target", "inbound", "numbers", "country", "shows", "options", "supervision", "recording", "disconnect_tone")
"""What the provider is told nothing of."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """One line of a provider.

    `domain` is what stands in Request-URI, From and To: carriers tell their customers by it, so it is never replaced
    by an address. `proxy` (host or host:port) is where requests go when that is not the domain's own servers.
    `target` is who gets its calls when the number that was called belongs to nobody here. `inbound`: by what a call is
    known as the provider's: it names our registered `contact`, or it also may come from the `address` of his server;
    `auto` is the latter until he has named the contact once (over TCP and TLS, where no address is forged, always).
    `numbers` is a form of `numbers.FORMS`, in which called numbers and those of callers are sent; `country` (a code of
    two letters) is where they are dialled. `shows`: what a callee sees, the number of the `line` or of the `caller`.
    `options`: seconds from one OPTIONS to the next by which it is asked whether it answers, 0: never.
    `supervision`: with `key`, who is rung by it beside or instead of others must press 1 before the call is his, since
    a gateway with an analog line (FXO) answers as soon as it seizes the line. `recording`: with `always`, calls by it
    are recorded, whoever of us talks. `disconnect_tone`: what an analog line brings when the other party has gone, a
    country or `425/480,0/480` (`tones`); then the call ends.
    """

    name: str
    domain: str
    user: str = ""
    login: str = ""
    proxy: str = ""
    transport: str = ""
    registers: bool = True
    expires: int = 600
    target: str = "pbx"
    inbound: str = "auto"
    numbers: str = "dialled"
    country: str = ""
    shows: str = "line"
    options: int = 60
    supervision: str = "none"
    recording: str = "none"
    disconnect_tone: str = ""

    def is_same_line(self, other: Trunk) -> bool:
        """Whether a registration of the one serves the other: nothing else that he is told differs."""
        return replace(self, **{name: getattr(other, name) for name in _OURS}) == other

    def number(self, dialled: str) -> str:
        """A number as the provider wants it."""
        return written(dialled, self.numbers, self.country)

    @property
    def disconnect_tones(self) -> tuple[Cadence, ...]:
        return tones(self.disconnect_tone)

    @property
    def identity(self) -> Uri:
        """Our address at the provider."""
        return Uri(user=self.user, host=self.domain)

    @property
    def registrar(self) -> Uri:
        """The Request-URI of REGISTER (RFC 3261 §10.2): a domain, without a user."""
        return Uri(host=self.domain)

    @property
    def next_hop(self) -> Uri:
        """Where requests go."""
        host, _, port = self.proxy.partition(":") if self.proxy.count(":") == 1 else (self.proxy, "", "")
        params = {"transport": self.transport} if self.transport else {}
        return Uri(host=host or self.domain, port=int(port) if port.isdigit() else None, params=params)
