"""A flow: the way between us and one peer address (RFC 5626 §2). A plain value; it holds no socket."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a message came from, and so the way back.

    `transport` is `udp`, `tcp`, `tls`, `ws` or `wss`; `local` and `remote` are (address, port);
    `connection` numbers a stream connection and is 0 for datagrams.
    """

    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    connection: int = 0

    @property
    def reliable(self) -> bool:
        """True where the transport itself retransmits (RFC 3261 §17)."""
        return self.transport != "udp"

    @property
    def secure(self) -> bool:
        """True where TLS is between us and the peer: what a `sips:` address asks for (RFC 3261 §26.2.2)."""
        return self.transport in ("tls", "wss")

    @property
    def web(self) -> bool:
        """A browser's (RFC 7118): it takes no media but DTLS-SRTP with ICE."""
        return self.transport in ("ws", "wss")
