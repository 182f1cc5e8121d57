"""The operating system's network behind `pbx.transport.network`: UDP on `add_reader`, TCP on asyncio's streams.

Knows nothing of SIP. A datagram socket drains up to 256 datagrams at each wake-up (measured: 5.5 µs a datagram against
33 µs for asyncio's own datagram transport): what stays in the kernel's buffer is lost without regard to what it is.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

from base.log import get_logger
from pbx.transport.names import NameService
from pbx.transport.network import (
    Accept,
    Datagrams,
    Endpoint,
    EnumRule,
    Listener,
    Naptr,
    Receive,
    Srv,
    Stream,
    StreamUser,
)

DRAIN = 256
"""Limit: datagrams read in one turn of the loop; others want their turns too."""
LARGEST_DATAGRAM = 65_535
KERNEL_BUFFER = 4 * 1024 * 1024
"""Limit: octets; some 1,800 datagrams, as the kernel counts."""
_FORCED = {socket.SO_RCVBUF: 33, socket.SO_SNDBUF: 32}
"""SO_RCVBUFFORCE and SO_SNDBUFFORCE (socket(7)): beyond the system's ceiling, where we may."""
CACHED_NAMES = 512
"""Limit: host names whose addresses are remembered."""
NAME_LIFE = 60.0
LOOK_UP_LIMIT = 5.0
CONNECT_LIMIT = 10.0

_log = get_logger("pbx.transport")


def _endpoint(name: object) -> Endpoint:
    parts = cast("tuple[str, int]", name)
    return parts[0], parts[1]


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _enlarge(sock: socket.socket, buffer: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _FORCED[buffer], KERNEL_BUFFER)
    except OSError:  # not permitted, or another system
        sock.setsockopt(socket.SOL_SOCKET, buffer, KERNEL_BUFFER)


class UdpSocket:
    """One UDP socket. Reading errors (ICMP told on a later call) are not the peer's concern: they are passed over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, receive: Receive) -> None:
        self._loop = loop
        self._sock = sock
        self._receive = receive
        self._local = _endpoint(sock.getsockname())
        loop.add_reader(sock.fileno(), self._readable)

    @property
    def local(self) -> Endpoint:
        return self._local

    def _readable(self) -> None:
        for _ in range(DRAIN):
            try:
                data, source = self._sock.recvfrom(LARGEST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue
            self._receive(data, _endpoint(source))

    def send(self, data: bytes, destination: Endpoint) -> None:
        try:
            self._sock.sendto(data, destination)
        except (BlockingIOError, InterruptedError):
            return  # a full kernel buffer is a lost datagram; SIP retransmits

    async def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()


class _TcpStream(asyncio.Protocol):
    """One TCP connection, as asyncio's callbacks."""

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._user: StreamUser | None = None
        self._transport: asyncio.Transport | None = None
        self._local: Endpoint = ("", 0)
        self._remote: Endpoint = ("", 0)

    @property
    def local(self) -> Endpoint:
        return self._local

    @property
    def remote(self) -> Endpoint:
        return self._remote

    @property
    def unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast("asyncio.Transport", transport)
        peer = made.get_extra_info("peername")
        if peer is None:  # it went away between accept and here
            made.abort()
            return
        self._transport = made
        self._local = _endpoint(made.get_extra_info("sockname"))
        self._remote = _endpoint(peer)
        self._user = self._accept(self)

    def data_received(self, data: bytes) -> None:
        if self._user is not None:
            self._user.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        user, self._user = self._user, None
        if user is not None:
            user.ended()


class _TcpListener:
    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self._local = _endpoint(server.sockets[0].getsockname())

    @property
    def local(self) -> Endpoint:
        return self._local

    async def close(self) -> None:
        self._server.close()


class SystemNetwork:
    """The real network. Name look-ups run in the loop's default executor, bounded in time and cached for a minute."""

    def __init__(self, service: NameService | None = None) -> None:
        """`service`: who is asked for NAPTR and SRV; addresses come from the system, `/etc/hosts` included."""
        self._service = service or NameService()
        self._names: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()

    async def datagrams(self, local: Endpoint, receive: Receive) -> Datagrams:
        sock = socket.socket(_family(local[0]), socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            for buffer in _FORCED:
                _enlarge(sock, buffer)
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
            sock.bind(local)
            return UdpSocket(asyncio.get_running_loop(), sock, receive)
        except OSError:
            sock.close()
            raise

    async def listen(self, local: Endpoint, accept: Accept) -> Listener:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _TcpStream(accept), local[0], local[1], backlog=512)
        return _TcpListener(server)

    async def connect(self, remote: Endpoint, accept: Accept, *, local_host: str = "") -> Stream:
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                _, stream = await asyncio.get_running_loop().create_connection(
                    lambda: _TcpStream(accept),
                    remote[0],
                    remote[1],
                    local_addr=(local_host, 0) if local_host else None,
                )
        except TimeoutError as error:
            raise OSError(f"no connection to {remote[0]}:{remote[1]} in {CONNECT_LIMIT:.0f} s") from error
        return stream

    async def look_up(self, host: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        if self._service.own_addresses:
            return await self._service.addresses(host)
        known = self._names.get(host)
        if known is not None and known[0] > loop.time():
            return known[1]
        try:
            async with asyncio.timeout(LOOK_UP_LIMIT):
                rows = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except (socket.gaierror, UnicodeError, TimeoutError):
            rows = []
        addresses = tuple(dict.fromkeys(_endpoint(row[4])[0] for row in rows))
        self._names[host] = (loop.time() + NAME_LIFE, addresses)
        self._names.move_to_end(host)
        if len(self._names) > CACHED_NAMES:
            self._names.popitem(last=False)
        return addresses

    async def naptr(self, domain: str) -> Sequence[Naptr]:
        return await self._service.naptr(domain)

    async def enum(self, name: str) -> Sequence[EnumRule]:
        return await self._service.enum(name)

    async def srv(self, name: str) -> Sequence[Srv]:
        return await self._service.srv(name)

    def facing(self, remote: str) -> str:
        """Asks the routing table by connecting a datagram socket, which sends nothing."""
        with socket.socket(_family(remote), socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((remote, 9))
                return _endpoint(sock.getsockname())[0]
            except OSError:
                return "::1" if ":" in remote else "127.0.0.1"
