"""One TCP connection of a client: octets in both directions with bounds, TLS begun on the way.

Not the protocol of mail: `server` reads here and feeds the session.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from socket import AF_INET, AF_INET6, SO_KEEPALIVE, SOL_SOCKET
from typing import cast

# Limit: octets that came and are not taken yet, and those that wait to go out, before the other side has to wait.
_MAX_IN = 64 * 1024
_MAX_OUT = 256 * 1024
# Limit: seconds that a client may take nothing at all, and that a TLS handshake may last.
SLOW = 120.0
HANDSHAKE = 30.0


class Connection(asyncio.Protocol):
    """What `server` needs of a socket."""

    def __init__(self) -> None:
        self.peer = ""
        self.encrypted = False
        self._transport: asyncio.Transport | None = None
        self._in = bytearray()
        self._arrived = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._paused = False
        self._lost = asyncio.Event()
        self._ended = False
        self._news = False

    # ---- what asyncio says ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_MAX_OUT)
        socket = transport.get_extra_info("socket")
        if socket is not None and socket.family in (AF_INET, AF_INET6):
            socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else ""
        self.encrypted = transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        self._in += data
        self._arrived.set()
        if len(self._in) > _MAX_IN and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        self._arrived.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._transport = None
        self._lost.set()
        self._arrived.set()
        self._free.set()

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    # ---- what the server does ---------------------------------------------------------------------------------------

    @property
    def secure(self) -> bool:
        """Nobody between can read."""
        return self.encrypted or _loopback(self.peer)

    def wake(self) -> None:
        """There is news for this client: whoever reads with `or_news` comes back."""
        self._news = True
        self._arrived.set()

    async def read(self, *, or_news: bool = False) -> bytes | None:
        """What came; empty at the end. None: nothing came, but there is news."""
        while not self._in and not self._ended:
            if or_news and self._news:
                self._news = False
                return None
            self._arrived.clear()
            await self._arrived.wait()
        octets = bytes(self._in)
        self._in.clear()
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return octets

    @property
    def waiting(self) -> int:
        """Octets that came and were not read."""
        return len(self._in)

    def write(self, octets: bytes) -> None:
        if self._transport is not None and octets:
            self._transport.write(octets)

    async def drain(self) -> None:
        """Raises ConnectionError when the client is gone, or takes nothing for too long."""
        if not self._free.is_set():
            try:
                async with asyncio.timeout(SLOW):
                    await self._free.wait()
            except TimeoutError as error:
                self.abort()
                raise ConnectionError("the client takes nothing") from error
        if self._transport is None:
            raise ConnectionError("the client is gone")

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Encrypt from now on. Raises OSError (also ssl.SSLError) or TimeoutError when that fails."""
        if self._transport is None:
            raise ConnectionError("the client is gone")
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(
            self._transport, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE
        )
        if transport is None:
            raise ConnectionError("the client is gone")
        self._transport = transport
        transport.set_write_buffer_limits(high=_MAX_OUT)
        self.encrypted = True

    async def finish(self, patience: float) -> None:
        """Hang up when everything written has gone out, or after `patience` seconds."""
        if self._transport is None:
            return
        self._transport.close()
        try:
            async with asyncio.timeout(patience):
                await self._lost.wait()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()


def _loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
