"""The SIP stack's driver: sockets below, transactions above, one guard round every message that comes in.

It decides nothing about a request; its core (`pbx.policy`) does.

RFC 3261 §18, RFC 3581, RFC 5626 §3.5.1, RFC 7118. Deviation: a request over 1300 octets leaves UDP (§18.1.1) only
where the peer has a connection open to us, as phones that registered over UDP seldom listen on TCP.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from pbx.nat import stun
from pbx.nat.detection import numeric
from pbx.nat.surroundings import Surroundings
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.headers import MAGIC
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.transactions import (
    Cause,
    ClientTransaction,
    ClientUser,
    CorePort,
    ServerTransaction,
    Timers,
    TransactionLayer,
)
from pbx.sipcore.uri import Uri
from pbx.transport import tls
from pbx.transport.connections import Connections, StreamLimits
from pbx.transport.handshakes import HandshakeLimits, Handshakes
from pbx.transport.limiter import Recent
from pbx.transport.locate import Locator, Place
from pbx.transport.network import Accept, Datagrams, Endpoint, Listener, Network, Stream
from pbx.transport.tls import TlsDoor
from pbx.transport.websocket import WebSocketDoor

_log = get_logger("pbx.transport")

FACES = 4096
SECURE = ("tls", "wss")
REOPENING = 256
"""Limit: connections being opened at once only to answer on them."""
LARGE = 1300
"""RFC 3261 §18.1.1: octets of a request that may be too many for a datagram on its way."""
_VIA_ROOM = 120


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
    dispensable: frozenset[str] = frozenset()


class SipStack:
    """Owns the SIP sockets and the transaction layer. `attach` the core and `start`; then all goes by callbacks."""

    def __init__(
        self, network: Network, clock: Clock, entropy: Entropy, metrics: Metrics, settings: StackSettings | None = None
    ) -> None:
        self._network = network
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics
        self._settings = settings or StackSettings()
        self._udp: dict[Endpoint, Datagrams] = {}
        self._listeners: dict[str, list[Listener]] = {}
        self._handshakes = Handshakes(clock, metrics, self._settings.handshakes)
        self._locator = Locator(network, clock, entropy)
        self._reopening: set[asyncio.Task[None]] = set()
        self._connections = Connections(
            clock,
            metrics,
            received=self._received,
            refused=self._refused,
            ended=self._flow_ended,
            limits=self._settings.limits,
        )
        self._faces: dict[str, str] = {}
        self.missing: list[str] = []
        """Dispensable sockets that could not be opened, in words."""
        self._ports: frozenset[int] = frozenset()
        public = self._settings.public_host
        self.surroundings = self._settings.surroundings or Surroundings(public=(public,) if public else ())
        self._hosts = {public, *self.surroundings.public}
        self._layer: TransactionLayer | None = None
        self._ended_listeners: list[Callable[[Flow], None]] = []
        self._complained: Recent[str] = Recent(clock, window=60.0)
        self._mark = entropy.token(4)
        self._closing = False

    # --- life --------------------------------------------------------------------------------------------------------

    def attach(self, core: CorePort) -> None:
        """Name who handles requests; once, before `start`."""
        guarded = GuardedCore(core, self._metrics)
        self._layer = TransactionLayer(
            self._clock,
            self._entropy,
            self,
            guarded,
            self._metrics,
            timers=self._settings.timers,
            mark=self._mark,
        )

    def answer_source(self, wanted: Callable[[Request, Flow], bool]) -> None:
        """Name for which requests the answers go to where they came from, though RFC 3261 §18.2.2 says otherwise;
        after `attach`."""
        if self._layer is not None:
            self._layer.to_source = wanted

    def on_flow_ended(self, listener: Callable[[Flow], None]) -> None:
        """Be told each stream connection that is gone."""
        self._ended_listeners.append(listener)

    async def start(self) -> None:
        """Bind the sockets. Raises Failure("unavailable") when one cannot be bound; nothing stays open then."""
        if self._layer is None:
            raise RuntimeError("no core is attached")
        for transport, local in [*(("udp", local) for local in self._settings.udp), *self._streams()]:
            try:
                await self._open(transport, local)
            except OSError as error:
                refused = _not_bound(transport, local, error)
                if transport not in self._settings.dispensable:
                    await self.close()
                    raise refused from error
                self.missing.append(refused.public)
        bound = [local for _, local in self.addresses]
        self._ports = frozenset(port for _, port in bound)
        self._hosts.update(host for host, _ in bound)

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
            accept = WebSocketDoor(self._handshakes, self._metrics, accept).accept
        if transport in SECURE:
            if self._settings.server_tls is None:
                raise RuntimeError(f"no certificates for {transport}")
            accept = TlsDoor(self._settings.server_tls, self._handshakes, self._metrics, accept).accept
        return accept

    async def _open_udp(self, local: Endpoint) -> None:
        bound: list[Endpoint] = []

        def receive(data: bytes, source: Endpoint) -> None:
            self._datagram(data, source, bound[0])

        socket = await self._network.datagrams(local, receive)
        bound.append(socket.local)
        self._udp[socket.local] = socket

    async def close(self) -> None:
        self._closing = True
        for listener in [each for some in self._listeners.values() for each in some]:
            await listener.close()
        self._listeners.clear()
        for task in self._reopening:
            task.cancel()
        await asyncio.gather(*self._reopening, return_exceptions=True)
        await self._connections.close()
        for socket in self._udp.values():
            await socket.close()
        self._udp.clear()

    @property
    def addresses(self) -> tuple[tuple[str, Endpoint], ...]:
        """What is bound: transport and (host, port), for the banner."""
        datagrams = [("udp", local) for local in self._udp]
        streams = [(transport, each.local) for transport, some in self._listeners.items() for each in some]
        return (*datagrams, *streams)

    # --- inwards -----------------------------------------------------------------------------------------------------

    def _datagram(self, data: bytes, source: Endpoint, local: Endpoint) -> None:
        self._metrics.count("pbx.transport.udp.in")
        flow = Flow("udp", local, source)
        if not data.strip(b"\r\n\x00 "):
            self._metrics.count("pbx.transport.udp.keepalive")  # Interop: many phones send CR LF or a zero octet
        elif data[0] < 64 and stun.looks_like_stun(data):
            self._stun(data, flow)
        else:
            try:
                message = parse(data)
            except SipSyntaxError as error:
                self._refused(error, flow)
            else:
                self._received(message, flow)

    def _stun(self, data: bytes, flow: Flow) -> None:
        """RFC 5626 §4.4.2: phones learn from the answer that their binding in the NAT holds, and whether it moved."""
        self._metrics.count("pbx.transport.udp.stun")
        try:
            answer = stun.answer_keepalive(data, flow.remote)
        except stun.StunError:
            self._metrics.count("pbx.transport.malformed")
        else:
            if answer is not None:
                self._send_datagram(flow, answer)

    def _received(self, message: Request | Response, flow: Flow) -> None:
        """One message into the transaction layer. The one guard: whatever goes wrong, the socket is read on."""
        layer = self._layer
        if layer is None or self._closing:
            return
        try:
            layer.receive(message, flow)
        except Exception as error:
            self._metrics.count("pbx.transport.faults")
            if self._complained.first(f"fault {type(error).__name__} {flow.remote[0]}"):
                _log.exception("message not handled", source=_where(flow), call_id=message.call_id)

    def _refused(self, error: SipSyntaxError, flow: Flow) -> None:
        """Bytes that are no SIP: count, say so once a minute for each source, answer only what can be answered."""
        self._metrics.count("pbx.transport.malformed")
        if self._complained.first(flow.remote[0]):
            _log.warning("malformed message", source=_where(flow), cause=error.reason)
        request = error.request
        if request is not None and request.method != "ACK":
            request.replace_first("Via", str(request.top_via.stamped(flow.remote)))
            response = response_to(request, error.code, error.reason, to_tag=self._entropy.token(6))
            self.send(answer_flow(request, flow), response.encode())

    def _flow_ended(self, flow: Flow) -> None:
        if self._layer is not None and not self._closing:
            # RFC 3261 §18.2.2: the answers to what came by a connection may still go to the Via
            self._layer.transport_error(flow, answerable=flow.transport in ("tcp", "tls"))
        for listener in self._ended_listeners:
            listener(flow)

    # --- outwards ----------------------------------------------------------------------------------------------------

    def request(self, request: Request, flow: Flow, user: ClientUser) -> ClientTransaction:
        """Send a request in a transaction of its own; our Via is pushed onto it."""
        if self._layer is None:
            raise RuntimeError("no core is attached")
        return self._layer.request(request, self._roomy(request, flow), self._watched(user, flow))

    def _roomy(self, request: Request, flow: Flow) -> Flow:
        """The flow itself, or for a large request a connection that the peer of a datagram flow has open to us."""
        if flow.transport != "udp":
            return flow
        stream = self._connections.flow_to("tcp", flow.remote)
        if stream is None or len(request.encode()) + _VIA_ROOM <= LARGE:
            return flow
        self._metrics.count("pbx.transport.udp.large")
        return stream

    def _watched(self, user: ClientUser, flow: Flow) -> ClientUser:
        """Requests to hosts found by DNS are watched, so that the next one does not go where one has failed."""
        return _Watch(user, self._locator, flow) if self._locator.located(flow.transport, flow.remote) else user

    def send_message(self, message: Request | Response, flow: Flow) -> None:
        """Send outside any transaction: the ACK of a 2xx (our Via is pushed onto it), or a response."""
        if isinstance(message, Request):
            branch = f"{MAGIC}{self._mark}{self._entropy.token(8)}"
            message.insert_first("Via", f"SIP/2.0/{flow.transport.upper()} {self.sent_by(flow)};branch={branch};rport")
        self.send(flow, message.encode())

    def send(self, flow: Flow, data: bytes) -> None:
        """Octets onto a flow. What cannot be sent is told to the transactions of that flow, later."""
        if flow.transport == "udp":
            sent = self._send_datagram(flow, data)
        else:
            sent = self._connections.send(flow, data) or self._send_anew(flow, data)
        if not sent and not self._closing:
            self._metrics.count("pbx.transport.unsent")
            self._clock.call_later(0.0, lambda: self._lost(flow))

    def _send_datagram(self, flow: Flow, data: bytes) -> bool:
        socket = self._udp.get(flow.local) or self._udp_for(flow.remote[0])
        if socket is None:
            return False
        try:
            socket.send(data, flow.remote)
        except OSError:
            return False
        self._metrics.count("pbx.transport.udp.out")
        return True

    def _send_anew(self, flow: Flow, data: bytes) -> bool:
        """A response whose connection is gone goes over a new one to where the Via says (RFC 3261 §18.2.2)."""
        if not data.startswith(b"SIP/2.0 ") or flow.transport not in ("tcp", "tls") or self._closing:
            return False
        if self._connections.alive(flow) or len(self._reopening) >= REOPENING:
            return False  # it is there, but its peer does not read
        via = parse(data).top_via
        host = numeric(via.received or via.host)
        if host is None:
            return False
        place = Place(flow.transport, (host, via.port or (5061 if flow.transport == "tls" else 5060)), via.host)
        task = asyncio.get_running_loop().create_task(self._reopen(place, flow, data))
        self._reopening.add(task)
        task.add_done_callback(self._reopening.discard)
        return True

    async def _reopen(self, place: Place, flow: Flow, data: bytes) -> None:
        try:
            opened = await self._stream_flow(place)
        except OSError:
            self._metrics.count("pbx.transport.unsent")
            self._lost(flow)
        else:
            self._metrics.count("pbx.transport.connections.reopened")
            self._connections.send(opened, data)

    def _lost(self, flow: Flow) -> None:
        if self._layer is not None and not self._closing:
            self._layer.transport_error(flow)

    def _udp_for(self, host: str) -> Datagrams | None:
        """A socket that can reach `host`: of its address family; a stored flow may name a port we no longer have."""
        family = [socket for local, socket in self._udp.items() if (":" in local[0]) == (":" in host)]
        if len(family) > 1:  # bound to addresses of several networks: that one which faces the host
            facing = self._network.facing(host)
            family.sort(key=lambda socket: socket.local[0] != facing)
        return family[0] if family else None

    # --- names -------------------------------------------------------------------------------------------------------

    def sent_by(self, flow: Flow) -> str:
        """host:port for a Via on that flow (RFC 3261 §18.1.1)."""
        host = self.advertised_host(flow)
        return f"[{host}]:{self._port(flow)}" if ":" in host else f"{host}:{self._port(flow)}"

    def contact_for(self, flow: Flow, user: str = "") -> Uri:
        """Where the peer on that flow reaches us: for Contact and Record-Route.

        Interop: `sip` with `transport=tls`, which RFC 3261 §26.2.2 calls obsolete: every phone understands it, while
        `sips` is not offered to peers that did not ask for it. WebSocket is `ws` with or without TLS (RFC 7118 §5.2).
        """
        named = "ws" if flow.transport == "wss" else flow.transport
        params = {} if named == "udp" else {"transport": named}
        return Uri("sip", user, None, self.advertised_host(flow), self._port(flow), params)

    def advertised_host(self, flow: Flow) -> str:
        """Our address as the peer on that flow must use it, for signalling and for media."""
        public = self.surroundings.public_for(flow.remote[0])
        if public:
            return public
        if flow.local[0] not in ("0.0.0.0", "::", ""):
            return flow.local[0]
        known = self._faces.get(flow.remote[0])
        if known is None:
            if len(self._faces) >= FACES:
                self._faces.clear()
            known = self._faces[flow.remote[0]] = self._network.facing(flow.remote[0])
            self._hosts.add(known)
        return known

    def _port(self, flow: Flow) -> int:
        """A connection that we opened has a port of its own; the peer must be told the one where we listen."""
        if flow.transport == "udp":
            socket = self._udp.get(flow.local) or self._udp_for(flow.remote[0])
            return socket.local[1] if socket is not None else flow.local[1]
        ports = [listener.local[1] for listener in self._listeners.get(flow.transport, ())]
        return flow.local[1] if flow.local[1] in ports or not ports else ports[0]

    def ours(self, host: str, port: int | None) -> bool:
        """True when host and port are one of our sockets: a message from there is our own that came back."""
        if (port or 5060) not in self._ports:
            return False
        return host in self._hosts or (":" in host and numeric(host) in self._hosts)

    def passes(self, request: Request) -> int:
        """How often this request has left us already: the branches in its Vias that bear our mark."""
        ours = f"branch={MAGIC}{self._mark}"
        return sum(value.count(ours) for value in request.get_all("Via"))

    async def flow_to(self, uri: Uri) -> Flow:
        """A flow to a SIP address: an open connection, a new one, or a datagram flow; the first place that takes one
        (RFC 3263 §4). A place that fails later is avoided for a while, so that asking again gives the next.

        Raises Failure("unavailable") when the host is unknown or none of its places answers.
        """
        places = await self._locator.places(uri, self._able)
        tried: list[str] = []
        for place in places:
            try:
                return await self._flow_at(place)
            except OSError as error:
                tried.append(f"{place.transport} {place.remote}: {error}")
                self._locator.avoid(place.transport, place.remote)
        raise Failure("unavailable", "No connection", private="; ".join(tried), temporary=True)

    @property
    def _able(self) -> tuple[str, ...]:
        """The transports by which we can reach others, the preferred first."""
        return ("udp", "tcp", "tls") if self._settings.client_tls is not None else ("udp", "tcp")

    async def _flow_at(self, place: Place) -> Flow:
        if place.transport != "udp":
            return await self._stream_flow(place)
        socket = self._udp_for(place.remote[0])
        if socket is None:
            raise OSError("address family not supported")
        return Flow("udp", socket.local, place.remote)

    async def _stream_flow(self, place: Place) -> Flow:
        """An open connection to that place, or a new one. Raises OSError."""
        name = place.name if place.transport in SECURE else ""
        flow = self._connections.flow_to(place.transport, place.remote, name)
        if flow is not None:
            return flow
        stream = await self._connect(place, name)
        opened = self._connections.flow_to(place.transport, stream.remote, name)
        if opened is None:
            raise OSError("connection lost")
        return opened

    async def _connect(self, place: Place, name: str) -> Stream:
        accept, here = self._connections.opener(place.transport, name), self._stream_host(place)
        if place.transport not in SECURE:
            return await self._network.connect(place.remote, accept, local_host=here)
        if self._settings.client_tls is None:
            raise OSError("TLS is not set up")
        return await tls.connect(self._network, place.remote, self._settings.client_tls, name, accept, local_host=here)

    def _stream_host(self, place: Place) -> str:
        """Where we listen at one address only, we also come from there: peers take it for our name."""
        hosts = [listener.local[0] for listener in self._listeners.get(place.transport, ())]
        family = [host for host in hosts if (":" in host) == (":" in place.remote[0]) and host not in ("0.0.0.0", "::")]
        return family[0] if family and len(family) == len(hosts) else ""


class _Watch:
    """The user of a request to a host that DNS named: what becomes of it is told to the locator (RFC 3263 §4.3)."""

    def __init__(self, user: ClientUser, locator: Locator, flow: Flow) -> None:
        self._user = user
        self._locator = locator
        self._place = (flow.transport, flow.remote)

    def on_response(self, response: Response) -> None:
        if response.status == 503:
            self._locator.avoid(*self._place)
        else:
            self._locator.forgive(*self._place)
        self._user.on_response(response)

    def on_failure(self, cause: Cause) -> None:
        self._locator.avoid(*self._place)
        self._user.on_failure(cause)


class GuardedCore:
    """A core whose faults end as a 500: an INVITE that nobody answers would stay for ever."""

    def __init__(self, core: CorePort, metrics: Metrics) -> None:
        self._core = core
        self._metrics = metrics

    def on_request(self, transaction: ServerTransaction) -> None:
        try:
            self._core.on_request(transaction)
        except Exception:
            self._metrics.count("pbx.transport.faults")
            _log.exception("request not handled", source=_where(transaction.flow), call_id=transaction.request.call_id)
            if not transaction.is_answered:
                transaction.reply(500)

    def on_ack(self, request: Request, flow: Flow) -> None:
        self._core.on_ack(request, flow)

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        self._core.on_stray_response(response, flow)


def answer_flow(request: Request, flow: Flow) -> Flow:
    """The flow on which the peer expects answers.

    The source itself, save for a UDP peer that did not ask for `rport` and names another port of its own address in
    Via: that port (RFC 3261 §18.2.2).
    """
    if flow.reliable:
        return flow
    via = request.top_via
    port = via.port or 5060
    if "rport" in via.params or port == flow.remote[1] or numeric(via.host) != numeric(flow.remote[0]):
        return flow
    return Flow(flow.transport, flow.local, (flow.remote[0], port))


def _where(flow: Flow) -> str:
    return f"{flow.transport}:{flow.remote[0]}:{flow.remote[1]}"


__all__ = ["SipStack", "StackSettings", "answer_flow"]


def _not_bound(transport: str, local: Endpoint, error: OSError) -> Failure:
    taken = error.errno == errno.EADDRINUSE
    reason = "another program has it (is a Tandem running?)" if taken else error.strerror or str(error)
    hint = "name another address or port under [sip] listen in a configuration file"
    return Failure("unavailable", f"cannot open the SIP port {transport} {local[0]}:{local[1]}: {reason}; {hint}")
