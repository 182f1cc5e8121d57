"""The sockets at which a stack listens: opened by its settings, found again by the flows that name them, closed.

It knows octets and connections, no SIP message. RFC 3261 §18, RFC 7118.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from base.clock import Clock
from base.failures import Failure
from base.metrics import Metrics
from pbx.nat.surroundings import Surroundings
from pbx.sipcore.flow import Flow
from pbx.sipcore.timers import Timers
from pbx.transport.admission import AdmissionLimits
from pbx.transport.connections import Connections, StreamLimits
from pbx.transport.handshakes import HandshakeLimits, Handshakes
from pbx.transport.network import Accept, Datagrams, Endpoint, Listener, Network, Stream, StreamUser
from pbx.transport.tls import TlsDoor
from pbx.transport.websocket import WebSocketDoor

SECURE = ("tls", "wss")


@dataclass(frozen=True, slots=True)
class StackSettings:
    """Where to listen, and what to call ourselves.

    `public_host` is told to peers outside the private networks when the server sits behind a NAT of its own;
    `surroundings` say it more exactly. A socket of a `dispensable` transport that cannot be opened does not stop the
    others.
    """

    udp: tuple[Endpoint, ...] = (("0.0.0.0", 5060),)
    tcp: tuple[Endpoint, ...] = (("0.0.0.0", 5060),)
    public_host: str = ""
    surroundings: Surroundings | None = None
    timers: Timers = field(default_factory=Timers)
    limits: StreamLimits = field(default_factory=StreamLimits)
    tls: tuple[Endpoint, ...] = ()
    ws: tuple[Endpoint, ...] = ()
    wss: tuple[Endpoint, ...] = ()
    server_tls: ssl.SSLContext | None = None
    client_tls: ssl.SSLContext | None = None
    handshakes: HandshakeLimits = field(default_factory=HandshakeLimits)
    admission: AdmissionLimits = field(default_factory=AdmissionLimits)
    dispensable: frozenset[str] = frozenset()
    origins: Callable[[str | None], bool] = lambda _origin: True
    """Which web pages may open a WebSocket."""


class Doors:
    """All of one stack. `receive` gets each datagram with its flow; the octets of streams go to the connections."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        metrics: Metrics,
        settings: StackSettings,
        connections: Connections,
        receive: Callable[[bytes, Flow], None],
        shut_out: Callable[[str], bool],
    ) -> None:
        self._network = network
        self._metrics = metrics
        self._settings = settings
        self._connections = connections
        self._receive = receive
        self._shut_out = shut_out
        self._udp: dict[Endpoint, Datagrams] = {}
        self._listeners: dict[str, list[Listener]] = {}
        self._handshakes = Handshakes(clock, metrics, settings.handshakes)
        self.missing: list[str] = []
        """Dispensable sockets that could not be opened, in words."""

    async def open(self) -> None:
        """Bind them all. Raises Failure("unavailable") for one that cannot be bound and is not dispensable."""
        for transport, local in [*(("udp", local) for local in self._settings.udp), *self._streams()]:
            try:
                await self._open(transport, local)
            except OSError as error:
                refused = _not_bound(transport, local, error)
                if transport not in self._settings.dispensable:
                    raise refused from error
                self.missing.append(refused.public)

    async def _open(self, transport: str, local: Endpoint) -> None:
        if transport == "udp":
            await self._open_udp(local)
        else:
            listener = await self._network.listen(local, self._acceptor(transport))
            self._listeners.setdefault(transport, []).append(listener)

    def _streams(self) -> list[tuple[str, Endpoint]]:
        settings = self._settings
        kinds = {"tcp": settings.tcp, "tls": settings.tls, "ws": settings.ws, "wss": settings.wss}
        return [(transport, local) for transport, locals_ in kinds.items() for local in locals_]

    def _acceptor(self, transport: str) -> Accept:
        """The layers of a transport, from SIP down to the network."""
        accept = self._connections.acceptor(transport)
        if transport in ("ws", "wss"):
            accept = WebSocketDoor(self._handshakes, self._metrics, accept, self._settings.origins).accept
        if transport in SECURE:
            if self._settings.server_tls is None:
                raise RuntimeError(f"no certificates for {transport}")
            accept = TlsDoor(self._settings.server_tls, self._handshakes, self._metrics, accept).accept
        return self._gate(accept)

    def _gate(self, accept: Accept) -> Accept:
        """Connections of sources that are shut out are broken off before their first octet."""

        def gate(stream: Stream) -> StreamUser:
            user = accept(stream)
            if self._shut_out(stream.remote[0]):
                stream.abort()
            return user

        return gate

    async def _open_udp(self, local: Endpoint) -> None:
        bound: list[Endpoint] = []

        def receive(data: bytes, source: Endpoint) -> None:
            self._receive(data, Flow("udp", bound[0], source))

        socket = await self._network.datagrams(local, receive)
        bound.append(socket.local)
        self._udp[socket.local] = socket

    async def close_listeners(self) -> None:
        """No more connections; the datagram sockets stay, for what is still to be said."""
        for listener in [each for some in self._listeners.values() for each in some]:
            await listener.close()
        self._listeners.clear()

    async def close_datagrams(self) -> None:
        for socket in self._udp.values():
            await socket.close()
        self._udp.clear()

    @property
    def addresses(self) -> tuple[tuple[str, Endpoint], ...]:
        """What is bound: transport and (host, port), for the banner."""
        datagrams = [("udp", local) for local in self._udp]
        streams = [(transport, each.local) for transport, some in self._listeners.items() for each in some]
        return (*datagrams, *streams)

    def send(self, flow: Flow, data: bytes) -> bool:
        """One datagram; False when no socket can send it."""
        socket = self.socket_of(flow)
        if socket is None:
            return False
        try:
            socket.send(data, flow.remote)
        except OSError:
            return False
        self._metrics.count("pbx.transport.udp.out")
        return True

    def socket_of(self, flow: Flow) -> Datagrams | None:
        """The socket of a flow; a stored flow may name a port that we no longer have."""
        return self._udp.get(flow.local) or self.socket_for(flow.remote[0])

    def socket_for(self, host: str) -> Datagrams | None:
        """A datagram socket that can reach `host`: of its address family."""
        family = [socket for local, socket in self._udp.items() if (":" in local[0]) == (":" in host)]
        if len(family) > 1:  # bound to addresses of several networks: that one which faces the host
            facing = self._network.facing(host)
            family.sort(key=lambda socket: socket.local[0] != facing)
        return family[0] if family else None

    def port(self, flow: Flow) -> int:
        """A connection that we opened has a port of its own; the peer must be told the one where we listen."""
        if flow.transport == "udp":
            socket = self.socket_of(flow)
            return socket.local[1] if socket is not None else flow.local[1]
        ports = [listener.local[1] for listener in self._listeners.get(flow.transport, ())]
        return flow.local[1] if flow.local[1] in ports or not ports else ports[0]

    def stream_host(self, transport: str, remote: str) -> str:
        """Where we listen at one address only, we also come from there: peers take it for our name."""
        hosts = [listener.local[0] for listener in self._listeners.get(transport, ())]
        family = [host for host in hosts if (":" in host) == (":" in remote) and host not in ("0.0.0.0", "::")]
        return family[0] if family and len(family) == len(hosts) else ""


def _not_bound(transport: str, local: Endpoint, error: OSError) -> Failure:
    taken = error.errno == errno.EADDRINUSE
    reason = "another program has it (is a Tandem running?)" if taken else error.strerror or str(error)
    hint = "name another address or port under [sip] listen in a configuration file"
    return Failure("unavailable", f"cannot open the SIP port {transport} {local[0]}:{local[1]}: {reason}; {hint}")
