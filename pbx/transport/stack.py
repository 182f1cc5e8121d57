"""The SIP stack's driver: sockets below, transactions above, one guard round every message that comes in.

It decides nothing about a request; its core (`pbx.policy`) does.

RFC 3261 §18, RFC 3581, RFC 5626 §3.5.1, RFC 7118. Deviation: a request over 1300 octets leaves UDP (§18.1.1) only
where the peer has a connection open to us, as phones that registered over UDP seldom listen on TCP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

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
from pbx.sipcore.transactions import ClientTransaction, ClientUser, CorePort, TransactionLayer
from pbx.sipcore.uri import Uri
from pbx.transport.connections import Connections
from pbx.transport.doors import Doors, StackSettings
from pbx.transport.faces import Faces
from pbx.transport.glance import Preferences
from pbx.transport.guard import GuardedCore, where
from pbx.transport.intake import Intake
from pbx.transport.limiter import Recent
from pbx.transport.locate import Locator, Place
from pbx.transport.network import Endpoint, Network
from pbx.transport.reach import Reach

_log = get_logger("pbx.transport")

REOPENING = 256
"""Limit: connections being opened at once only to answer on them."""
LARGE = 1300
"""RFC 3261 §18.1.1: octets of a request that may be too many for a datagram on its way."""
_VIA_ROOM = 120


class SipStack:
    """Owns the SIP sockets and the transaction layer. `attach` the core and `start`; then all goes by callbacks."""

    def __init__(
        self, network: Network, clock: Clock, entropy: Entropy, metrics: Metrics, settings: StackSettings | None = None
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics
        self._settings = settings = settings or StackSettings()
        self._intake = Intake(clock, entropy, metrics, settings.admission, self._taken, self.send)
        self._connections = Connections(
            clock,
            metrics,
            received=self._intake.message,
            refused=self._refused,
            ended=self._flow_ended,
            limits=settings.limits,
        )
        self._doors = Doors(
            network, clock, metrics, settings, self._connections, self._datagram, lambda host: self.shut_out(host)
        )
        public = settings.public_host
        surroundings = settings.surroundings or Surroundings(public=(public,) if public else ())
        self._faces = Faces(network, self._doors, surroundings, public)
        locator = Locator(network, clock, entropy)
        self._reach = Reach(network, locator, self._doors, self._connections, settings.client_tls)
        self._reopening: set[asyncio.Task[None]] = set()
        self._layer: TransactionLayer | None = None
        self._ended_listeners: list[Callable[[Flow], None]] = []
        self.shut_out: Callable[[str], bool] = lambda _host: False
        """Asked before anything of a source is read: whether it is to be dropped."""
        self._complained: Recent[str] = Recent(clock, window=60.0)
        self._mark = entropy.token(4)
        self._closing = False
        self.way: Callable[[Flow], Flow] = lambda flow: flow
        """Where the peer of a former flow is now (the registrar knows)."""

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

    @property
    def preferences(self) -> Preferences:
        """Whom to let in first when there is too much; to be set by who knows."""
        return self._intake.preferences

    def know_peers(self, known: Callable[[str], bool]) -> None:
        """Name the addresses on this machine or link that may be called."""
        self._reach.known = known

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
        try:
            await self._doors.open()
        except Failure:
            await self.close()
            raise
        self._faces.learn()

    async def close(self) -> None:
        self._closing = True
        self._intake.close()
        await self._doors.close_listeners()
        for task in self._reopening:
            task.cancel()
        await asyncio.gather(*self._reopening, return_exceptions=True)
        await self._connections.close()
        await self._doors.close_datagrams()

    @property
    def addresses(self) -> tuple[tuple[str, Endpoint], ...]:
        """What is bound: transport and (host, port), for the banner."""
        return self._doors.addresses

    @property
    def missing(self) -> list[str]:
        """Dispensable sockets that could not be opened, in words."""
        return self._doors.missing

    # --- inwards -----------------------------------------------------------------------------------------------------

    def _datagram(self, data: bytes, flow: Flow) -> None:
        if self.shut_out(flow.remote[0]):
            return
        self._metrics.count("pbx.transport.udp.in")
        if not data.strip(b"\r\n\x00 "):
            self._metrics.count("pbx.transport.udp.keepalive")  # Interop: many phones send CR LF or a zero octet
        elif data[0] < 64 and stun.looks_like_stun(data):
            self._stun(data, flow)
        else:
            self._intake.datagram(data, flow)

    def _taken(self, payload: bytes | Request | Response, flow: Flow) -> None:
        """One message that was let in."""
        if not isinstance(payload, bytes):
            self._received(payload, flow)
            return
        try:
            message = parse(payload)
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
                self._doors.send(flow, answer)

    def _received(self, message: Request | Response, flow: Flow) -> None:
        """One message into the transaction layer. The one guard: whatever goes wrong, the socket is read on."""
        layer = self._layer
        if layer is None or self._closing or (flow.reliable and self.shut_out(flow.remote[0])):
            return
        try:
            layer.receive(message, flow)
        except Exception as error:
            self._metrics.count("pbx.transport.faults")
            if self._complained.first(f"fault {type(error).__name__} {flow.remote[0]}"):
                _log.exception("message not handled", source=where(flow), call_id=message.call_id)

    def _refused(self, error: SipSyntaxError, flow: Flow) -> None:
        """Bytes that are no SIP: count, say so once a minute for each source, answer only what can be answered."""
        self._metrics.count("pbx.transport.malformed")
        if self._complained.first(flow.remote[0]):
            _log.warning("malformed message", source=where(flow), cause=error.reason)
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
        flow = self.way(flow)
        return self._layer.request(request, self._roomy(request, flow), self._reach.watched(user, flow))

    def _roomy(self, request: Request, flow: Flow) -> Flow:
        """The flow itself, or for a large request a connection that the peer of a datagram flow has open to us."""
        if flow.transport != "udp":
            return flow
        stream = self._connections.flow_to("tcp", flow.remote)
        if stream is None or len(request.encode()) + _VIA_ROOM <= LARGE:
            return flow
        self._metrics.count("pbx.transport.udp.large")
        return stream

    def send_message(self, message: Request | Response, flow: Flow) -> None:
        """Send outside any transaction: the ACK of a 2xx (our Via is pushed onto it), or a response."""
        if isinstance(message, Request):
            flow = self.way(flow)
            branch = f"{MAGIC}{self._mark}{self._entropy.token(8)}"
            message.insert_first("Via", f"SIP/2.0/{flow.transport.upper()} {self.sent_by(flow)};branch={branch};rport")
        self.send(flow, message.encode())

    def send(self, flow: Flow, data: bytes) -> None:
        """Octets onto a flow. What cannot be sent is told to the transactions of that flow, later."""
        if flow.transport == "udp":
            sent = self._doors.send(flow, data)
        else:
            sent = self._connections.send(flow, data) or self._send_anew(flow, data)
        if not sent and not self._closing:
            self._metrics.count("pbx.transport.unsent")
            self._clock.call_later(0.0, lambda: self._lost(flow))

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
            opened = await self._reach.stream_flow(place)
        except OSError:
            self._metrics.count("pbx.transport.unsent")
            self._lost(flow)
        else:
            self._metrics.count("pbx.transport.connections.reopened")
            self._connections.send(opened, data)

    def _lost(self, flow: Flow) -> None:
        if self._layer is not None and not self._closing:
            self._layer.transport_error(flow)

    # --- names and ways ----------------------------------------------------------------------------------------------

    @property
    def surroundings(self) -> Surroundings:
        """Where we stand; it may be told anew while we run."""
        return self._faces.surroundings

    @surroundings.setter
    def surroundings(self, surroundings: Surroundings) -> None:
        self._faces.surroundings = surroundings

    def readdressed(self) -> None:
        """This machine has got another address, or lost one."""
        self._faces.forget()

    def sent_by(self, flow: Flow) -> str:
        return self._faces.sent_by(flow)

    def contact_for(self, flow: Flow, user: str = "") -> Uri:
        return self._faces.contact_for(flow, user)

    def advertised_host(self, flow: Flow) -> str:
        return self._faces.advertised_host(flow)

    def ours(self, host: str, port: int | None) -> bool:
        return self._faces.ours(host, port)

    def passes(self, request: Request) -> int:
        """How often this request has left us already: the branches in its Vias that bear our mark."""
        ours = f"branch={MAGIC}{self._mark}"
        return sum(value.count(ours) for value in request.get_all("Via"))

    async def flow_to(self, uri: Uri, *, configured: bool = False) -> Flow:
        """A flow to a SIP address. Raises Failure("unavailable"), also for one on this machine or link that nobody has
        `configured`."""
        return await self._reach.flow_to(uri, configured=configured)

    def avoid(self, flow: Flow) -> None:
        """Who is there keeps silent: for a while other hosts of the same domain are tried first (RFC 3263 §4.3)."""
        self._reach.avoid(flow)


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


__all__ = ["SipStack", "StackSettings", "answer_flow"]
