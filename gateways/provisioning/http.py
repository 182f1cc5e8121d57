"""The HTTP doors of provisioning: GET and HEAD of files, nothing else. Starlette and uvicorn do the HTTP.

What is asked for and refused gets the same short 404 as what is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from base.failures import Failure
from gateways.provisioning.desk import Ask, ProvisioningDesk

MOST_CONNECTIONS = 200  # Limit: connections at once; telephones come back later.
_QUIET = 15
"""Seconds for which a connection may be idle."""


@dataclass(frozen=True, slots=True)
class HttpEndpoint:
    host: str
    port: int
    tls: bool


class ProvisioningHttp:
    """`start` it for each endpoint, `close` it at the end."""

    def __init__(self, desk: ProvisioningDesk, tls: ssl.SSLContext | None) -> None:
        self._desk = desk
        self._tls = tls
        self._servers: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def start(self, endpoint: HttpEndpoint) -> int:
        """The port. Raises OSError, or Failure("unavailable") for TLS without certificates."""
        if endpoint.tls and self._tls is None:
            raise Failure("unavailable", "there is no certificate for TLS")
        bound = socket.create_server(
            (endpoint.host, endpoint.port), family=socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        )
        bound.setblocking(False)
        server = _Quiet(self._config(endpoint.tls))
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[bound]))
        self._servers.append((server, task))
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        return int(bound.getsockname()[1])

    def _config(self, tls: bool) -> uvicorn.Config:
        async def get(request: Request) -> Response:
            return await self._get(request, secure=tls)

        context = self._tls if tls else None
        return uvicorn.Config(
            Starlette(routes=[Route("/{path:path}", get, methods=["GET", "HEAD"])]),
            loop="none",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=_QUIET,
            timeout_graceful_shutdown=1,
            ssl_context_factory=None if context is None else lambda config, default: context,
        )

    async def _get(self, request: Request, *, secure: bool) -> Response:
        source = request.client.host if request.client is not None else ""
        agent = request.headers.get("user-agent", "")
        answer = await self._desk.answer(Ask(request.path_params["path"], source, _host(request), secure, agent))
        if answer is None:
            return Response("no such file\n", 404, media_type="text/plain")
        return Response(answer.content, media_type=answer.content_type, headers={"Cache-Control": "no-store"})

    async def close(self) -> None:
        for server, _ in self._servers:
            server.should_exit = True
        for _, task in self._servers:
            await asyncio.wait([task], timeout=3)


def _host(request: Request) -> str:
    """What the telephone calls us; empty when it says nothing that could be a host."""
    try:
        host = request.url.hostname or ""
    except ValueError:
        return ""
    return f"[{host}]" if ":" in host else host


class _Quiet(uvicorn.Server):
    """Signals are the business of `tandem serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
