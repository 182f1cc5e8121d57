"""What an administrator may set of the doors' behaviour, and the words that we speak. Values only."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

ALLOWED = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "INFO",
    "UPDATE",
)  # fmt: skip
"""Methods named in Allow. REFER is added where calls transfer by it."""

IN_DIALOG_ONLY = frozenset({"BYE", "INFO", "UPDATE", "NOTIFY", "PRACK", "REFER"})
"""Methods that mean nothing to us outside a dialog."""

EVENTS = ("message-summary", "dialog", "presence", "reg")
"""Event packages named in Allow-Events."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """`trusted`: peers that are not challenged (addresses or networks). `strangers`: take unauthenticated calls to
    local addresses from foreign domains; off, all of them get the same 401. `extensions`: option tags that a Require
    may name (RFC 3261 §8.2.2.3)."""

    trusted: tuple[str, ...] = ()
    strangers: bool = False
    allowed: tuple[str, ...] = ALLOWED
    extensions: frozenset[str] = frozenset({"path", "timer"})
    free_attempts: int = 5
    longest_delay: float = 8.0
    delayed: int = 1000


class TrustedPeers:
    """Answers whether an address is in the list of trusted peers. A malformed entry raises ValueError."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._networks = tuple(ipaddress.ip_network(entry, strict=False) for entry in entries)

    def __contains__(self, host: object) -> bool:
        if not self._networks or not isinstance(host, str):
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)
