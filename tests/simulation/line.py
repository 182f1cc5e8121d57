"""How a simulated telephone reaches the server: from a UDP socket, or by a TCP connection that it opens again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from base.entropy import Entropy
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Message, Request, Response
from pbx.sipcore.parser import StreamFramer, parse
from pbx.transport.network import Endpoint, Stream
from tests.simulation.network import SERVER, TownNetwork

Received = Callable[[Message, Flow], None]


class Line(Protocol):
    """A way to the server; `flow` is its name for the transactions."""

    @property
    def flow(self) -> Flow: ...

    def open(self) -> None: ...

    def send(self, data: bytes, destination: Endpoint) -> bool:
        """False when it cannot be sent now."""

    def close(self) -> None: ...


class UdpLine:
    """One socket for all."""

    def __init__(self, network: TownNetwork, home: str, received: Received) -> None:
        self._received = received
        self.flow = Flow("udp", (home, network.port), SERVER)
        self._socket = network.open(self.flow.local, self._arrived)

    def open(self) -> None:
        """It is."""

    def send(self, data: bytes, destination: Endpoint) -> bool:
        self._socket.send(data, destination)
        return True

    def _arrived(self, data: bytes, source: Endpoint) -> None:
        if data.strip():  # the server keeps the way through a router open with empty lines
            self._received(parse(data), Flow("udp", self.flow.local, source))

    def close(self) -> None:
        """The socket stays, so that what comes late finds an answer."""


class TcpLine:
    """Connects whenever it has none, a few seconds after it has lost one. `opened` is told of each connection, `lost`
    of each end."""

    def __init__(
        self, network: TownNetwork, home: str, entropy: Entropy, received: Received, opened: Callable[[], None],
        lost: Callable[[Flow], None],
    ) -> None:  # fmt: skip
        self._network, self._home, self._entropy = network, home, entropy
        self._told, self._opened, self._lost = received, opened, lost
        self._framer = StreamFramer()
        self._stream: Stream | None = None
        self._closed = False
        self._connecting: asyncio.Task[None] | None = None
        self.flow = Flow("tcp", (home, network.port), SERVER, 0)

    def open(self) -> None:
        if self._connecting is None and not self._closed:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(), name=f"connect {self._home}")

    async def _connect(self) -> None:
        while self._stream is None and not self._closed:
            try:
                self._stream = await self._network.connect(SERVER, self._accept, local_host=self._home)
            except OSError:
                await asyncio.sleep(self._entropy.number(1, 8))
        self._connecting = None
        if self._stream is not None:
            self._opened()

    def _accept(self, stream: Stream) -> TcpLine:
        self._framer = StreamFramer()
        self.flow = Flow("tcp", stream.local, SERVER, self.flow.connection + 1 if self.flow.connection else 1)
        return self

    def received(self, data: bytes) -> None:
        for event in self._framer.feed(data):
            if isinstance(event, Request | Response):
                self._told(event, self.flow)

    def ended(self) -> None:
        self._stream = None
        self._lost(self.flow)
        if not self._closed:
            asyncio.get_running_loop().call_later(self._entropy.number(1, 5), self.open)

    def send(self, data: bytes, destination: Endpoint) -> bool:
        if self._stream is None:
            return False
        self._stream.write(data)
        return True

    def close(self) -> None:
        self._closed = True
        if self._stream is not None:
            self._stream.close()
