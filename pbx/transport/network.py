"""The port through which SIP reaches a network: datagrams, stream connections, name look-ups.

Not a socket in here: `pbx.transport.sockets` is the operating system's network, `pbx.transport.memory` one inside the
process for simulations. Addresses are (numeric host, port). Callbacks run on the event loop, never inside the call that
caused them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Endpoint = tuple[str, int]
Receive = Callable[[bytes, Endpoint], None]


class Datagrams(Protocol):
    """One bound datagram socket."""

    @property
    def local(self) -> Endpoint: ...

    def send(self, data: bytes, destination: Endpoint) -> None:
        """Send or lose; raises OSError where the system says at once that it cannot work."""

    async def close(self) -> None: ...


class StreamUser(Protocol):
    """Who is told about one stream connection."""

    def received(self, data: bytes) -> None: ...

    def ended(self) -> None:
        """The connection is gone, whoever closed it; told once."""


class Stream(Protocol):
    """One stream connection."""

    @property
    def local(self) -> Endpoint: ...

    @property
    def remote(self) -> Endpoint: ...

    @property
    def unsent(self) -> int:
        """Octets accepted by `write` and not yet taken by the system."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None:
        """Send what is unsent, then close; `ended` follows."""

    def abort(self) -> None:
        """Close at once; `ended` follows."""


class Listener(Protocol):
    """A bound socket that accepts connections."""

    @property
    def local(self) -> Endpoint: ...

    async def close(self) -> None: ...


Accept = Callable[[Stream], StreamUser]


@dataclass(frozen=True, slots=True)
class Naptr:
    """One NAPTR record (RFC 3403 §4.1) with the flag `s`, the only one that SIP uses (RFC 3263 §4.1)."""

    order: int
    preference: int
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class EnumRule:
    """One NAPTR record with the flag `u`: its `regexp` makes an address of a telephone number (RFC 6116 §3.4)."""

    order: int
    preference: int
    service: str
    regexp: str


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class Network(Protocol):
    """A network. Every method may raise OSError."""

    async def datagrams(self, local: Endpoint, receive: Receive) -> Datagrams: ...

    async def listen(self, local: Endpoint, accept: Accept) -> Listener:
        """`accept` is asked for the user of each new connection before its first octet."""

    async def connect(self, remote: Endpoint, accept: Accept, *, local_host: str = "") -> Stream:
        """`local_host`: the address of ours to come from, when it matters."""

    async def look_up(self, host: str) -> Sequence[str]:
        """The numeric addresses of a host name; empty when there are none."""

    async def naptr(self, domain: str) -> Sequence[Naptr]:
        """Empty when there are none, or no answer."""

    async def enum(self, name: str) -> Sequence[EnumRule]:
        """Of `3.2.1.0.3.9.4.e164.arpa`; empty when there are none, or no answer."""

    async def srv(self, name: str) -> Sequence[Srv]:
        """Of `_sip._udp.example.org`; empty when there are none, or no answer."""

    def facing(self, remote: str) -> str:
        """Our own numeric address as the peer `remote` would see it on this network."""
