"""A stack on real loopback sockets with every transport, and the certificates to trust it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from base.certificates import Certificates, client_context
from base.clock import LoopClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.transaction_ports import Cause
from pbx.transport.handshakes import HandshakeLimits
from pbx.transport.network import Endpoint, Network
from pbx.transport.sockets import SystemNetwork
from pbx.transport.stack import SipStack, StackSettings

HOST = "127.0.31.3"
NAME = "pbx.example.org"


class Core:
    """Answers all with 200, but INVITE when told."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.invites: asyncio.Queue[ServerTransaction] = asyncio.Queue()
        self.flows: list[Flow] = []

    def on_request(self, transaction: ServerTransaction) -> None:
        self.requests.append(transaction.request)
        self.flows.append(transaction.flow)
        if transaction.request.method == "INVITE":
            self.invites.put_nowait(transaction)
        else:
            transaction.reply(200)

    def on_ack(self, request: Request, flow: Flow) -> None:
        self.requests.append(request)

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        pass


class Asker:
    """The user of one request of ours."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[int | str] = asyncio.get_running_loop().create_future()

    def on_response(self, response: Response) -> None:
        if response.is_final and not self.outcome.done():
            self.outcome.set_result(response.status)

    def on_failure(self, cause: Cause) -> None:
        self.outcome.set_result(cause)


class Site:
    def __init__(self, stack: SipStack, core: Core, metrics: Metrics, certificates: Certificates, tls: Path) -> None:
        self.stack, self.core, self.metrics, self.certificates, self.folder = stack, core, metrics, certificates, tls
        self.ports: dict[str, Endpoint] = dict(stack.addresses)
        self.client = client_context(verify=True, authorities=str(tls / "certificate.pem"))

    async def connect(self, transport: str = "tls") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls: dict[str, object] = {"ssl": self.client, "server_hostname": NAME} if transport == "tls" else {}
        return await asyncio.open_connection(*self.ports[transport], **tls)  # type: ignore[arg-type]


@asynccontextmanager
async def open_site(
    folder: Path,
    *,
    host: str = HOST,
    network: Network | None = None,
    handshakes: HandshakeLimits | None = None,
    client: ssl.SSLContext | None = None,
    origins: Callable[[str | None], bool] = lambda _origin: True,
) -> AsyncIterator[Site]:
    metrics, core = Metrics(), Core()
    certificates = Certificates(folder / "tls", [NAME], time.time)
    here = ((host, 0),)  # any free port
    settings = StackSettings(
        here, here, tls=here, ws=here, wss=here,
        server_tls=certificates.context,
        client_tls=client or client_context(verify=True, authorities=str(folder / "tls" / "certificate.pem")),
        handshakes=handshakes or HandshakeLimits(),
        origins=origins,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    stack = SipStack(network or SystemNetwork(), LoopClock(loop), SeededEntropy(3), metrics, settings)
    stack.attach(core)
    await stack.start()
    try:
        yield Site(stack, core, metrics, certificates, folder / "tls")
    finally:
        await stack.close()


def options(transport: str, number: int = 1, *, method: str = "OPTIONS", via: str = "127.0.0.9:5060") -> bytes:
    return (
        f"{method} sip:{NAME} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport.upper()} {via};branch=z9hG4bKt{number};rport\r\n"
        f"From: <sip:a@x.test>;tag=1\r\nTo: <sip:{NAME}>\r\nCall-ID: {transport}{number}\r\nCSeq: {number} {method}\r\n"
        "Contact: <sip:a@127.0.0.9>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readuntil(b"\r\n\r\n")
