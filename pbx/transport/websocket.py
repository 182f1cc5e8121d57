"""SIP over WebSocket: one more `Stream` over another; each `write` is one message, and each message is given whole.

The protocol itself is the `websockets` library's, without its input and output. RFC 6455, RFC 7118 §4 (subprotocol
`sip`) and §5 (a SIP message is one WebSocket message, text or binary).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from base.metrics import Metrics
from pbx.sipcore.parser import MAX_BODY, MAX_HEAD
from pbx.transport.handshakes import Handshake, Handshakes
from pbx.transport.network import Accept, Endpoint, Stream, StreamUser
from pbx.transport.tls import Nobody

SUBPROTOCOL = Subprotocol("sip")
PATHS = ("/ws", "/", "/sip")
"""`/ws` is ours; clients in the field are set to the others too."""
LARGEST = MAX_HEAD + MAX_BODY


class WebSocketStream:
    """One connection after and during its HTTP handshake."""

    def __init__(
        self,
        below: Stream,
        accept: Accept,
        under_way: Handshake,
        metrics: Metrics,
        admits: Callable[[str | None], bool],
    ) -> None:
        self._below = below
        self._accept = accept
        self._under_way = under_way
        self._metrics = metrics
        self._admits = admits
        self._protocol = ServerProtocol(subprotocols=[SUBPROTOCOL], max_size=LARGEST)
        self._user: StreamUser | None = None
        self._message = bytearray()

    # --- as the stream of its user

    @property
    def local(self) -> Endpoint:
        return self._below.local

    @property
    def remote(self) -> Endpoint:
        return self._below.remote

    @property
    def unsent(self) -> int:
        return self._below.unsent

    def write(self, data: bytes) -> None:
        """One SIP message. Interop: text wherever it is UTF-8, as some pages read nothing else (RFC 7118 §5)."""
        if self._protocol.state is not State.OPEN:
            return
        try:
            data.decode()
        except UnicodeDecodeError:
            self._protocol.send_binary(data)
        else:
            self._protocol.send_text(data)
        self._flush()

    def close(self) -> None:
        try:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(CloseCode.GOING_AWAY)
                self._flush()
        except InvalidState:
            pass
        self._below.close()

    def abort(self) -> None:
        self._below.abort()

    # --- as the user of the stream below

    def received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._protocol.close_expected():
            self._below.close()

    def ended(self) -> None:
        self._under_way.end()
        user, self._user = self._user, None
        if user is not None:
            user.ended()

    # --- inside

    def _open(self, request: Request) -> None:
        self._under_way.end()
        if self._protocol.eof_sent:  # what came right behind the upgrade, in the same segment, was no frame
            self._metrics.count("pbx.transport.ws.refused")
            self._below.close()
            return
        asked = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        if urlsplit(request.path).path not in PATHS:
            response = self._protocol.reject(404, "SIP is at /ws\n")
        elif SUBPROTOCOL not in [name.strip() for name in asked.split(",")]:
            response = self._protocol.reject(400, "The subprotocol sip is needed\n")  # RFC 7118 §4
        elif not self._admits(",".join(request.headers.get_all("Origin")) or None):
            response = self._protocol.reject(403, "This page may not connect; see [sip] origins\n")  # RFC 6455 §4.2.2
        else:
            response = self._protocol.accept(request)
        self._protocol.send_response(response)
        self._flush()
        if self._protocol.state is State.OPEN:
            self._metrics.count("pbx.transport.ws.accepted")
            self._user = self._accept(self)
        else:
            self._metrics.count("pbx.transport.ws.refused")
            self._below.close()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return  # pings are answered by the protocol itself
        self._message += frame.data  # bounded by the protocol: LARGEST
        if frame.fin:
            whole = bytes(self._message)
            self._message.clear()
            if self._user is not None:
                self._user.received(whole)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._below.write(data)
            else:
                self._below.close()


class WebSocketDoor:
    """What a listener needs to accept WebSocket connections; over TLS it is the `inner` of a `TlsDoor`."""

    def __init__(
        self, handshakes: Handshakes, metrics: Metrics, inner: Accept, admits: Callable[[str | None], bool]
    ) -> None:
        self._handshakes = handshakes
        self._metrics = metrics
        self._inner = inner
        self._admits = admits

    def accept(self, below: Stream) -> StreamUser:
        under_way = self._handshakes.begin(below.remote[0], below.abort)
        if under_way is None:
            below.abort()
            return Nobody()
        return WebSocketStream(below, self._inner, under_way, self._metrics, self._admits)
