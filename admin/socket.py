"""The control socket: a Unix socket in the data folder through which the `tandem` command performs acts.

Not for strangers: mode 0600, so whoever opens it could read the database as well. `ControlSocket` serves it inside the
server; `admin/client.py` is the other end.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from admin import wire
from admin.acts import Acts
from admin.client import short_address
from admin.entrance import Entrance
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics

_log = get_logger("admin.socket")

_CONNECTIONS = 32  # Limit: at the same time.
_QUIET = 120.0  # Limit: seconds that a connection may say nothing.


class ControlSocket:
    """Serves acts. The caller holds the data folder's lock, so an old socket file is a leftover."""

    def __init__(self, path: Path, acts: Acts, entrance: Entrance, metrics: Metrics) -> None:
        self._path = path
        self._acts = acts
        self._entrance = entrance
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind and listen. Raises Failure("unavailable")."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._bind(listener)
            self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=wire.LINE_LIMIT)
        except OSError as error:
            listener.close()
            raise Failure("unavailable", f"cannot open {self._path}: {error.strerror}") from error

    def _bind(self, listener: socket.socket) -> None:
        self._path.unlink(missing_ok=True)
        with short_address(self._path) as address:
            listener.bind(address)
        # Nobody can connect before `listen`, so there is no moment with a wider mode.
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening and end what is open."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= _CONNECTIONS:
            self._metrics.count("admin.refused")
            writer.close()
            return
        self._open.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.CancelledError) as error:
            _log.debug("connection ended", cause=type(error).__name__)
        finally:
            self._open.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(_QUIET):
                    line = await reader.readline()
            except ValueError:
                writer.write(wire.format_failure(Failure("invalid", "that is too long")))
                await writer.drain()
                return
            if not line.endswith(b"\n"):
                return
            writer.write(await self._answer(line))
            await writer.drain()

    async def _answer(self, line: bytes) -> bytes:
        self._metrics.count("admin.requests")
        try:
            request = wire.parse_request(line)
            actor = self._entrance.local(request.who)
            return wire.format_result(await self._acts.perform(request.act, request.arguments, actor))
        except Failure as failure:
            return wire.format_failure(failure)
        except Exception:  # a driver: one broken act must not end the door
            self._metrics.count("admin.errors")
            _log.exception("act failed")
            return wire.format_failure(Failure("unavailable", "the server failed; its log tells more"))
