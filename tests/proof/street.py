"""The real network under the telephones of the simulation: each has a loopback address of its own, and reaches a server
by UDP, TCP or TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl

from pbx.transport.network import Accept, Datagrams, Endpoint, Receive, Stream
from pbx.transport.sockets import SystemNetwork, UdpSocket, _TcpStream
from tests.simulation.network import SERVER, TownNetwork, Weather


class _Way:
    """A datagram socket whose telephone knows the server by its address in the simulation."""

    def __init__(self, street: Street, local: Endpoint, receive: Receive) -> None:
        self._server = street.server
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(local)

        def told(data: bytes, source: Endpoint) -> None:
            receive(data, SERVER if source == self._server else source)

        self._socket = UdpSocket(asyncio.get_running_loop(), sock, told)

    @property
    def local(self) -> Endpoint:
        return self._socket.local

    def send(self, data: bytes, destination: Endpoint) -> None:
        self._socket.send(data, self._server if destination == SERVER else destination)

    async def close(self) -> None:
        await self._socket.close()


class Street(TownNetwork):
    """Homes in `secure` connect to the port for TLS."""

    port = 15070  # others may listen at the usual one on all addresses of this machine

    def __init__(self, server: Endpoint, tls_port: int) -> None:
        self.server = server
        self.weather = Weather()
        self.secure: set[str] = set()
        self._tls_port = tls_port
        self._network = SystemNetwork()
        self._context = ssl.create_default_context()
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE  # the server's own certificate

    def open(self, local: Endpoint, receive: Receive) -> Datagrams:
        return _Way(self, local, receive)

    async def connect(self, remote: Endpoint, accept: Accept, *, local_host: str = "") -> Stream:
        if local_host not in self.secure:
            return await self._network.connect(self.server, accept, local_host=local_host)
        place = (self.server[0], self._tls_port)
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(
            lambda: _TcpStream(accept), *place, ssl=self._context, local_addr=(local_host, 0)
        )
        return stream
