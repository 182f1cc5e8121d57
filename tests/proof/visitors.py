"""Those who come and go beside the calls of a soak: telephones that register and leave, messages, watchers, presence,
mail clients, guessers, vandals, and connections that say little or nothing. They judge nothing; who sends them does."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from pbx.sipcore.message import Response
from tests.scenes.peer import Peer, peer, scribbled
from tests.scenes.site import DOMAIN, Site

WS_PORT, TLS_PORT = 15088, 15061
PATIENCE = 40.0
"""Seconds that somebody waits for an answer: longer than any transaction."""
PIDF = (
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@tandem.test"><tuple id="a"><status>'
    "<basic>open</basic></status></tuple></presence>"
)


class OpenSite(Site):
    """Listens to browsers and to TLS as well."""

    def _configuration(self) -> str:
        listens = [f"{self.host}:{self.sip_port}", f"ws:{self.host}:{WS_PORT}", f"tls:{self.host}:{TLS_PORT}"]
        return super()._configuration().replace(f'listen = "{listens[0]}"', f"listen = {listens!r}")


async def proved(one: Peer, password: str, method: str, uri: str, *headers: str, body: str = "") -> Response:
    """Ask, answer the challenge as alice, and give the final answer."""

    def whole(*more: str) -> str:
        text = one.text(method, uri, *headers, *more).replace(f"To: <sip:{DOMAIN}>", f"To: <sip:alice@{DOMAIN}>")
        return text.replace("Content-Length: 0", f"Content-Length: {len(body)}") + body

    async def asked(*more: str) -> Response:
        while (answer := await one.ask(whole(*more), PATIENCE)).status == 503:
            await asyncio.sleep(answer.number("Retry-After") or 1)
        return answer

    challenge = await asked()
    if challenge.status != 401:
        return challenge
    return await asked(one.proof(method, uri, challenge, "alice", password))


async def telephone(site: Site, password: str) -> list[tuple[str, int]]:
    """Registers, refreshes, asks for lamps, says where it is, sends word, and leaves; the status of each."""
    me, answers = f"sip:alice@{DOMAIN}", []
    async with peer(site) as one:
        answers += [await proved(one, password, "REGISTER", f"sip:{DOMAIN}", "Expires: 600") for _ in range(2)]
        for event in ("message-summary", "dialog", "presence"):
            asked = await proved(one, password, "SUBSCRIBE", me, f"Event: {event}", "Expires: 60")
            answers.append(asked)
        kind = ("Event: presence", "Expires: 60", "Content-Type: application/pidf+xml")
        answers.append(await proved(one, password, "PUBLISH", me, *kind, body=PIDF))
        answers.append(
            await proved(one, password, "MESSAGE", f"sip:206@{DOMAIN}", "Content-Type: text/plain", body="Good morning")
        )
        answers.append(await proved(one, password, "REGISTER", f"sip:{DOMAIN}", "Expires: 0"))
    return [(each.method, each.status) for each in answers]


async def guesser(site: Site, password: str) -> int:
    async with peer(site) as one:
        return (await proved(one, "not it", "REGISTER", f"sip:{DOMAIN}")).status


async def vandal(site: Site, password: str) -> None:
    """Datagrams and connections with what is no SIP."""
    noise = random.Random(1)
    async with peer(site) as one:
        whole = one.text("INVITE", f"sip:202@{DOMAIN}").encode()
        for data in [noise.randbytes(300), b"A" * 60_000, *scribbled(whole, 2, 20)]:
            one.send(data)
    for data in (noise.randbytes(3000), whole[:200], b""):
        _, writer = await asyncio.open_connection(site.host, site.sip_port)
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
        writer.close()


async def browser(site: Site, password: str) -> None:
    """A WebSocket that says one thing."""
    async with (
        peer(site) as one,
        connect(f"ws://{site.host}:{WS_PORT}/ws", subprotocols=[Subprotocol("sip")]) as socket,
    ):
        await socket.send(one.text("OPTIONS", f"sip:{DOMAIN}").replace("/UDP", "/WS"))
        await asyncio.wait_for(socket.recv(), 10)


async def reader(site: Site, password: str) -> None:
    """A mail client that looks, and one that hangs up at once."""

    def read() -> None:
        client = site.imap("alice", password)
        client.select("INBOX")
        client.search(None, "ALL")
        client.logout()

    await asyncio.to_thread(read)
    _, writer = await asyncio.open_connection(site.host, site.imap_port)
    writer.close()


KINDS: tuple[Callable[[Site, str], Awaitable[object]], ...] = (guesser, vandal, browser, reader)


async def visit(site: Site, password: str) -> list[tuple[str, int]]:
    """All of them at once; what the telephones were answered."""
    answers = await asyncio.gather(*(telephone(site, password) for _ in range(4)))
    await asyncio.gather(*(kind(site, password) for kind in KINDS for _ in range(4)))
    return [answer for each in answers for answer in each]
