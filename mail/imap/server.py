"""The IMAP server: sockets, TLS, limits and time limits around sessions. The driver of this door.

Not the protocol: `session` is. Ports 143 with STARTTLS and 993 with TLS from the first octet (RFC 8314).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from mail.imap.connection import HANDSHAKE, Connection
from mail.imap.fetching import Structures
from mail.imap.ports import Authenticator
from mail.imap.session import Session
from mail.imap.uploads import SpooledUploads
from mail.store import MailStore

_log = get_logger("mail.imap")

# Limit: seconds that the last words may take to go out.
PARTING = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limit: connections in all and from one address; seconds until a client must have logged in, and seconds that it
    may be silent then (RFC 3501 §5.4: at least 30 minutes)."""

    connections: int = 2000
    per_address: int = 100
    before_login: float = 60.0
    silent: float = 1800.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen; `tls` from the first octet."""

    host: str
    port: int
    tls: bool = False


class ImapServer:
    """`start`, then it serves; `close` says good bye to everybody and waits until they are gone."""

    def __init__(
        self,
        store: MailStore,
        authenticator: Authenticator,
        metrics: Metrics,
        *,
        tls: ssl.SSLContext | None = None,
        spool: Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._metrics = metrics
        self._tls = tls
        self._limits = limits or Limits()
        self._structures = Structures(store)
        self._uploads = SpooledUploads(spool, asyncio.to_thread)
        self._servers: list[asyncio.Server] = []
        self._conversations: set[asyncio.Task[None]] = set()
        self._addresses: Counter[str] = Counter()

    async def start(self, endpoints: Sequence[Endpoint]) -> tuple[tuple[str, int], ...]:
        """Listen; the addresses really bound. Raises OSError when one cannot be."""
        loop = asyncio.get_running_loop()
        bound: list[tuple[str, int]] = []
        for endpoint in endpoints:
            server = await loop.create_server(
                lambda: _Accepted(self),
                endpoint.host,
                endpoint.port,
                ssl=self._tls if endpoint.tls else None,
                ssl_handshake_timeout=HANDSHAKE if endpoint.tls and self._tls else None,
            )
            self._servers.append(server)
            bound += [socket.getsockname()[:2] for socket in server.sockets]
        self._metrics.gauge("imap.sessions", lambda: float(len(self._conversations)))
        return tuple(bound)

    async def close(self) -> None:
        """Stop listening and end all conversations."""
        for server in self._servers:
            server.close()
        for task in tuple(self._conversations):
            task.cancel()
        if self._conversations:
            await asyncio.wait(self._conversations)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    def accepted(self, connection: Connection) -> None:
        """A client is there."""
        task = asyncio.get_running_loop().create_task(self.serve(connection))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def serve(self, connection: Connection) -> None:
        """One conversation from greeting to the end; whatever happens in it ends here."""
        peer = connection.peer
        if len(self._conversations) > self._limits.connections or self._addresses[peer] >= self._limits.per_address:
            self._metrics.count("imap.refused")
            connection.write(b"* BYE [UNAVAILABLE] Too many connections\r\n")
            await connection.finish(PARTING)
            return
        self._addresses[peer] += 1
        conversation = _Conversation(self, connection)
        try:
            await conversation.run()
        except (OSError, TimeoutError) as error:
            _log.info("connection lost", peer=peer, reason=str(error))
        except Exception:
            self._metrics.count("imap.crashed")
            _log.exception("conversation failed", peer=peer)
        finally:
            conversation.close()
            await connection.finish(PARTING)
            self._addresses[peer] -= 1
            if not self._addresses[peer]:
                del self._addresses[peer]


class _Accepted(Connection):
    """A connection that hands itself to the server."""

    def __init__(self, server: ImapServer) -> None:
        super().__init__()
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.accepted(self)


class _Conversation:
    """Carries octets between a connection and its session; the session's channel."""

    def __init__(self, server: ImapServer, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._began = asyncio.get_running_loop().time()
        self._session = Session(
            server._store,
            server._structures,
            server._authenticator,
            server._uploads,
            self,
            server._metrics,
            can_encrypt=server._tls is not None,
            peer=connection.peer,
        )

    # ---- the session's channel --------------------------------------------------------------------------------------

    @property
    def secure(self) -> bool:
        return self._connection.secure

    @property
    def encrypted(self) -> bool:
        return self._connection.encrypted

    def write(self, octets: bytes) -> None:
        self._connection.write(octets)

    async def drain(self) -> None:
        await self._connection.drain()

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def wake(self) -> None:
        self._connection.wake()

    # ---- the driver -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        session = self._session
        try:
            session.start()
            while not session.over:
                octets = await self._next()
                if octets is None:
                    await session.refresh()
                    continue
                if not octets:
                    return
                await session.receive(octets)
                if session.upgrading:
                    await self._upgrade()
            await self._connection.drain()
        except Failure as failure:
            # The store is in trouble and no command is there to be told NO.
            _log.warning("conversation ended", peer=self._connection.peer, reason=str(failure))
            session.bye("[UNAVAILABLE] " + failure.public)
        except asyncio.CancelledError:
            session.bye("The server is going down")
            raise

    async def _next(self) -> bytes | None:
        """What the client sends; None when an idling client has to be told something."""
        limits = self._server._limits
        seconds = limits.silent
        if self._session.account is None:
            # Counted from the beginning: a stranger cannot stay by saying a little now and then.
            seconds = max(0.0, self._began + limits.before_login - asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(seconds):
                return await self._connection.read(or_news=self._session.idling)
        except TimeoutError:
            return self._silent()

    def _silent(self) -> bytes:
        self._session.bye("Silent for too long")
        return b""

    async def _upgrade(self) -> None:
        """Begin TLS. Octets sent before it in the clear could be a stranger's: then there is no TLS."""
        tls = self._server._tls
        if tls is None or self._session.unread or self._connection.waiting:
            self._server._metrics.count("imap.injected_before_tls")
            raise ConnectionError("octets before TLS")
        await self._connection.drain()
        await self._connection.start_tls(tls)
        self._session.encrypted()

    def close(self) -> None:
        self._session.close()
