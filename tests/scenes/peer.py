"""Peers of the scenes that write their own octets: no SIP stack of a telephone would send what they send."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from pbx.sipcore import digest
from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import parse
from tests.scenes.site import DOMAIN, Site

TORTURE = Path(__file__).resolve().parents[1] / "torture"


class Peer(asyncio.DatagramProtocol):
    """A UDP peer in the hands of the test: it sends octets, and keeps what comes back."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport
        self._number = 0
        self._own = secrets.token_hex(4)
        """A port is given again soon, and then its requests must not look like those of the one before."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, source: tuple[str | object, int]) -> None:
        self.inbox.put_nowait(data)

    @property
    def local(self) -> tuple[str, int]:
        host, port = self.transport.get_extra_info("sockname")[:2]
        return host, port

    def send(self, data: bytes) -> None:
        self.transport.sendto(data, self.server)

    def text(self, method: str, uri: str, *headers: str, user: str = "alice", tag: str = "", host: str = DOMAIN) -> str:
        """A whole request as text, less its body."""
        self._number += 1
        to = f"<{uri}>" + (f";tag={tag}" if tag else "")
        local = f"{self.local[0]}:{self.local[1]}"
        lines = (
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {local};branch=z9hG4bK-{self._own}-{self._number};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{host}>;tag=from{self._number}",
            f"To: {to}",
            f"Call-ID: call-{self._own}-{self._number}",
            f"CSeq: {self._number} {method}",
            f"Contact: <sip:{user}@{local}>",
            *headers,
            "Content-Length: 0",
        )
        return "\r\n".join(lines) + "\r\n\r\n"

    async def ask(self, text: str, seconds: float = 10.0) -> Response:
        """Send a request; its final answer."""
        self.send(text.encode())
        wanted = parse(text.encode())
        async with asyncio.timeout(seconds):
            while True:
                answer = parse(await self.inbox.get())
                if isinstance(answer, Response) and answer.is_final and answer.call_id == wanted.call_id:
                    if wanted.method == "INVITE":
                        self._acknowledge(wanted, answer)
                    return answer

    def _acknowledge(self, invite: Request | Response, answer: Response) -> None:
        assert isinstance(invite, Request)
        ack = Request("ACK", invite.uri)
        ack.copy_from(invite, "Via", "Max-Forwards", "From")
        ack.copy_from(answer, "To", "Call-ID")
        ack.add("CSeq", f"{invite.cseq.number} ACK")
        self.send(ack.encode())

    def proof(self, method: str, uri: str, answer: Response, user: str, password: str) -> str:
        """The Authorization line that answers a challenge."""
        asked = digest.parse_challenge(answer.get("WWW-Authenticate") or "")
        value = digest.respond(asked, username=user, password=password, method=method, uri=uri, cnonce="c")
        return f"Authorization: {value}"


@contextlib.asynccontextmanager
async def peer(site: Site) -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Peer((site.host, site.sip_port)), local_addr=(site.host, 0)
    )
    try:
        yield protocol
    finally:
        transport.close()


async def counter(site: Site, name: str) -> float:
    found = (await site.listing("status")).get(name, 0)
    assert isinstance(found, int | float)
    return found


async def alive(site: Site) -> None:
    """The server answers. It may be busy with what came before, and say so (503)."""
    async with peer(site) as asking, asyncio.timeout(30):
        while (answer := await asking.ask(asking.text("OPTIONS", f"sip:{DOMAIN}"))).status == 503:
            await asyncio.sleep(0.5)
        assert answer.status == 200


def torture() -> list[bytes]:
    return [path.read_bytes() for path in sorted(TORTURE.glob("*/*.dat"))]


def truncated(whole: bytes) -> list[bytes]:
    return [whole[:end] for end in range(1, len(whole), 7)]


def scribbled(whole: bytes, seed: int, count: int) -> list[bytes]:
    """The same request with a few octets changed each time."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        found.append(bytes(data))
    return found


def rtp(sequence: int, ssrc: int, payload: bytes) -> bytes:
    return b"\x80\x00" + sequence.to_bytes(2) + (160 * sequence).to_bytes(4) + ssrc.to_bytes(4) + payload
