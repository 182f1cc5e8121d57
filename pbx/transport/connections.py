"""Stream connections that carry SIP: their numbers, their framing and their limits. Drives `StreamFramer`, knows no
transactions.

RFC 3261 §18, RFC 5626 §3.5.1 and §4.4.1 (CRLF keepalive), RFC 5923 (a connection is used again in both directions),
RFC 7118 §5 (over WebSocket the frame is the message).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from base.clock import Clock, Timer
from base.metrics import Metrics
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import PONG, Broken, Ping, StreamFramer, parse
from pbx.transport.network import Accept, Endpoint, Stream

Received = Callable[[Request | Response, Flow], None]
Refused = Callable[[SipSyntaxError, Flow], None]
Ended = Callable[[Flow], None]


LINGER = 2.0


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Limit: `first` seconds for the first whole message and for the rest of one that has begun (slow senders), `idle`
    above the longest registration, so that a registered phone need not send keepalives; `source` allows for an office
    behind one address."""

    first: float = 30.0
    idle: float = 3900.0
    sweep: float = 5.0
    connections: int = 8192
    source: int = 256
    unsent: int = 1024 * 1024


class WholeMessages:
    """The framer of a stream that gives each message whole; Content-Length may be missing (RFC 7118 §5)."""

    def feed(self, data: bytes) -> list[Request | Response | SipSyntaxError | Ping | Broken]:
        if not data.strip(b"\r\n"):
            return [Ping()] if data == b"\r\n\r\n" else []
        try:
            return [parse(data)]
        except SipSyntaxError as error:
            return [error]


class Connection:
    """One connection and the message that is arriving on it."""

    def __init__(self, owner: Connections, stream: Stream, flow: Flow, now: float, name: str) -> None:
        self._owner = owner
        self.peer = (flow.transport, flow.remote, name)
        self.also: tuple[str, Endpoint, str] | None = None
        self.stream = stream
        self.flow = flow
        self.opened = self.heard = now
        self.partial_since: float | None = None
        self.spoken = False
        self._garbled = False
        self._framer = WholeMessages() if flow.transport in ("ws", "wss") else StreamFramer()

    def received(self, data: bytes) -> None:
        if self._garbled:
            return
        now = self._owner.now()
        events = self._framer.feed(data)
        self.heard = now
        if events:
            self.partial_since = None
        elif self.partial_since is None:
            self.partial_since = now
        for event in events:
            if not self._garbled:
                self._handle(event)

    def _handle(self, event: Request | Response | SipSyntaxError | Ping | Broken) -> None:
        match event:
            case Ping():
                self._owner.pong(self.flow)
            case Broken():
                self._refuse(event.error)
            case SipSyntaxError():
                # RFC 4475 §3.1.2: the end of the message was known, yet who sends garbage is not kept
                self._refuse(event)
            case _:
                if not self.spoken:
                    self.spoken = True
                    self._owner.alias(self, event)
                self._owner.received(event, self.flow)

    def _refuse(self, error: SipSyntaxError) -> None:
        """Hear no more, and hang up once what came before is answered."""
        self._garbled = True

        def hang_up() -> None:
            self._owner.refused(error, self.flow)
            self.stream.close()

        self._owner.soon(hang_up)

    def ended(self) -> None:
        self._owner.drop(self)

    def overdue(self, now: float, limits: StreamLimits) -> bool:
        if self.partial_since is not None and now - self.partial_since > limits.first:
            return True
        if not self.spoken:
            return now - self.opened > limits.first
        return now - self.heard > limits.idle


class Connections:
    """All stream connections, by number and by peer."""

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        *,
        received: Received,
        refused: Refused,
        ended: Ended,
        limits: StreamLimits | None = None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self.received = received
        self.refused = refused
        self._ended = ended
        self._limits = limits or StreamLimits()
        self._number = 0
        self._open: dict[int, Connection] = {}
        self._by_remote: dict[tuple[str, Endpoint, str], Connection] = {}
        self._by_source: dict[str, int] = {}
        self._sweeper: Timer | None = None
        self._empty: asyncio.Event | None = None
        metrics.gauge("pbx.transport.connections", lambda: len(self._open))

    def now(self) -> float:
        return self._clock.now()

    def acceptor(self, transport: str) -> Accept:
        """Takes connections that peers open over that transport; one too many is closed at once."""

        def accept(stream: Stream) -> Connection:
            source = stream.remote[0]
            connection = self._add(transport, stream)
            if len(self._open) > self._limits.connections or self._by_source[source] > self._limits.source:
                self._metrics.count("pbx.transport.connections.refused")
                stream.abort()
            return connection

        return accept

    def opener(self, transport: str, name: str = "") -> Accept:
        """Takes a connection that we open, over TLS to a peer that proved to be `name`."""

        def opened(stream: Stream) -> Connection:
            connection = self._add(transport, stream, name)
            connection.spoken = True
            return connection

        return opened

    def _add(self, transport: str, stream: Stream, name: str = "") -> Connection:
        self._number += 1
        flow = Flow(transport, stream.local, stream.remote, self._number)
        connection = Connection(self, stream, flow, self.now(), name)
        self._open[self._number] = connection
        self._by_remote[connection.peer] = connection
        self._by_source[stream.remote[0]] = self._by_source.get(stream.remote[0], 0) + 1
        self._plan_sweep()
        return connection

    def drop(self, connection: Connection) -> None:
        if self._open.pop(connection.flow.connection, None) is None:
            return
        remote = connection.flow.remote
        for peer in (connection.peer, connection.also):
            if peer is not None and self._by_remote.get(peer) is connection:
                del self._by_remote[peer]
        left = self._by_source[remote[0]] - 1
        if left:
            self._by_source[remote[0]] = left
        else:
            del self._by_source[remote[0]]
        self._ended(connection.flow)
        if self._empty is not None and not self._open:
            self._empty.set()

    def flow_to(self, transport: str, remote: Endpoint, name: str = "") -> Flow | None:
        """The flow of an open connection to that peer, also of one that the peer opened from just there (RFC 5923).

        With a name, only one whose peer has proved to be that (RFC 5923 §9: an alias must not be stolen).
        """
        connection = self._by_remote.get((transport, remote, name))
        return connection.flow if connection is not None else None

    def alias(self, connection: Connection, message: Request | Response) -> None:
        """Let requests to where the peer listens use the connection that it opened (RFC 5923 §8.2).

        Deviation: without asking for `;alias`, which no phone sends, but only for its own address, only TCP (over TLS
        it would have to prove its name), and never in the place of a connection that is there.
        """
        if connection.flow.transport != "tcp" or not isinstance(message, Request):
            return
        via, host = message.top_via, connection.flow.remote[0]
        peer = ("tcp", (host, via.port or 5060), "")
        if via.host.strip("[]") == host and peer not in self._by_remote:
            connection.also = peer
            self._by_remote[peer] = connection

    def alive(self, flow: Flow) -> bool:
        return flow.connection in self._open

    def send(self, flow: Flow, data: bytes) -> bool:
        """Write to a connection; False when it is gone or its peer does not read."""
        connection = self._open.get(flow.connection)
        if connection is None:
            return False
        if connection.stream.unsent + len(data) > self._limits.unsent:
            self._metrics.count("pbx.transport.connections.stuck")
            connection.stream.abort()
            return False
        connection.stream.write(data)
        return True

    def pong(self, flow: Flow) -> None:
        """Answer a keepalive, after what came before it."""

        def answer() -> None:
            self.send(flow, PONG)

        self.soon(answer)

    def soon(self, act: Callable[[], None]) -> None:
        """Do it after what has come so far was handed on."""
        self._clock.call_later(0.0, act)

    async def close(self) -> None:
        """Let what is written leave; who does not take it within `LINGER` seconds is cut off."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self._open.values()):
            connection.stream.close()
        if not self._open:
            return
        self._empty = asyncio.Event()
        try:
            async with asyncio.timeout(LINGER):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._open.values()):
                connection.stream.abort()

    def _plan_sweep(self) -> None:
        if self._sweeper is None:
            self._sweeper = self._clock.call_later(self._limits.sweep, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self.now()
        for connection in [one for one in self._open.values() if one.overdue(now, self._limits)]:
            self._metrics.count("pbx.transport.connections.overdue")
            connection.stream.abort()
        if self._open:
            self._plan_sweep()
