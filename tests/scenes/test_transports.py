"""Scenes: real telephones and programs over each transport, and calls between them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from base.certificates import make
from pbx.sipcore.digest import parse_challenge, respond
from pbx.sipcore.message import Response
from pbx.sipcore.parser import parse
from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]
TLS_PORT, WS_PORT, WSS_PORT, SIX_PORT = 15061, 15088, 15089, 15066


class EveryTransport(Site):
    """Listens by all transports, by IPv6 on the one address that there is."""

    def _configuration(self) -> str:
        host = self.host
        plain = super()._configuration()
        listens = [
            f"{host}:{self.sip_port}",
            f"tls:{host}:{TLS_PORT}",
            f"ws:{host}:{WS_PORT}",
            f"wss:{host}:{WSS_PORT}",
        ]
        listens += [f"[::1]:{SIX_PORT}", f"tls:[::1]:{SIX_PORT + 1}"]
        return plain.replace(f'listen = "{host}:{self.sip_port}"', f"listen = {listens!r}")


@pytest.fixture
async def everywhere(tmp_path: Path) -> AsyncIterator[EveryTransport]:
    async with EveryTransport(tmp_path / "data") as site:
        yield site


async def phone(site: Site, name: str, transport: str) -> TestPhone:
    """A telephone by `udp`, `tcp` or `tls`."""
    made = TestPhone(name)
    port = TLS_PORT if transport == "tls" else site.sip_port
    password = await site.password(name)
    await made.start(f"{name}@{DOMAIN}", password, site.host, port, bind=site.host, transport=transport)
    return made


@pytest.mark.parametrize(("one", "other"), [("tls", "udp"), ("tcp", "tls")])
async def test_calls_between_transports(everywhere: Site, tone: Tone, tmp_path: Path, one: str, other: str) -> None:
    alice, bob = await phone(everywhere, "alice", one), await phone(everywhere, "bob", other)
    async with alice, bob:
        await alice.play(tone(440))
        await bob.play(tone(620))
        await alice.record(tmp_path / "alice.wav")
        await bob.record(tmp_path / "bob.wav")
        call = await alice.call(f"sip:202@{DOMAIN}")
        ringing = await bob.wait_incoming()
        await bob.answer(ringing)
        await alice.wait_state("confirmed", call)
        await bob.wait_state("confirmed", ringing)
        await alice.listen(1.5, call)
        await bob.listen(1.5, ringing)
        await bob.hangup(ringing)
        await alice.wait_state("disconnected", call)
        await alice.stop_record()
        await bob.stop_record()
    assert seconds_heard(tmp_path / "alice.wav", 620) > 1.0
    assert seconds_heard(tmp_path / "bob.wav", 440) > 1.0


async def test_the_certificate_is_swapped_under_a_call(everywhere: Site, tone: Tone, tmp_path: Path) -> None:
    alice = await phone(everywhere, "alice", "tls")
    async with alice:
        call = await alice.call(f"sip:600@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        shown = await everywhere.listing("certificates", "list")
        make(everywhere.data / "tls", ["new.example.org"], 1.79e9)
        assert (await everywhere.listing("certificates", "reload"))[0]["names"] == "new.example.org"
        assert shown[0]["names"].startswith(DOMAIN)
        assert "new.example.org" in await openssl(everywhere.host, TLS_PORT)
        await alice.hangup(call)
        await alice.wait_state("disconnected", call)


async def openssl(host: str, port: int) -> str:
    """What `openssl s_client` says of a server."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", f"{host}:{port}", "-servername", DOMAIN, "-showcerts",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return output.decode(errors="replace")


async def test_openssl_agrees(everywhere: Site) -> None:
    for port in (TLS_PORT, WSS_PORT):
        said = await openssl(everywhere.host, port)
        assert "TLSv1.3" in said
        assert DOMAIN in said


def anybody() -> ssl.SSLContext:
    """A client that asks for no proof."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_a_browser_registers_over_wss_and_is_challenged_first(everywhere: Site) -> None:
    password = await everywhere.password("alice")
    url = f"wss://{everywhere.host}:{WSS_PORT}/ws"
    async with connect(url, subprotocols=[Subprotocol("sip")], ssl=anybody()) as socket:
        await socket.send(register(1))
        challenge = parse(str(await asyncio.wait_for(socket.recv(), 5)).encode())
        assert isinstance(challenge, Response)
        assert challenge.status == 401
        asked = parse_challenge(challenge.get("WWW-Authenticate") or "")
        proof = respond(asked, username="alice", password=password, method="REGISTER", uri=f"sip:{DOMAIN}", cnonce="c1")
        await socket.send(register(2, f"Authorization: {proof}\r\n"))
        welcome = parse(str(await asyncio.wait_for(socket.recv(), 5)).encode())
        assert isinstance(welcome, Response)
        assert welcome.status == 200
        listed = await everywhere.listing("registrations")
        assert (listed[0]["contact"], listed[0]["source"].partition(":")[0]) == (CONTACT, "wss")


CONTACT = "sip:alice@df7jal23ls0d.invalid;transport=ws"


def register(number: int, proof: str = "") -> str:
    return (
        f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK{number}\r\n"
        f"From: <sip:alice@{DOMAIN}>;tag=65bnmj\r\nTo: <sip:alice@{DOMAIN}>\r\nCall-ID: aiuy7k9njasd\r\n"
        f"CSeq: {number} REGISTER\r\nMax-Forwards: 70\r\nSupported: path, outbound\r\n{proof}"
        f'Contact: <{CONTACT}>;reg-id=1;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"\r\n\r\n'
    )
