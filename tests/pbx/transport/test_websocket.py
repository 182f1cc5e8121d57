"""SIP over WebSocket, plain and over TLS, with an independent client."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from pbx.transport.handshakes import HandshakeLimits
from pbx.transport.origins import Origins
from tests.pbx.transport.site import HOST, NAME, Site, open_site, options

SIP = [Subprotocol("sip")]


def dial(
    site: Site,
    transport: str = "ws",
    path: str = "/ws",
    subprotocols: list[Subprotocol] | None = None,
    origin: str | None = None,
) -> connect:
    host, port = site.ports[transport]
    if transport == "wss":
        return connect(
            f"wss://{NAME}:{port}{path}", host=host, port=port, ssl=site.client, subprotocols=SIP, compression=None
        )
    wanted = SIP if subprotocols is None else subprotocols
    return connect(f"ws://{host}:{port}{path}", subprotocols=wanted, origin=origin)  # type: ignore[arg-type]


async def heard(client: ClientConnection) -> str | bytes:
    return await asyncio.wait_for(client.recv(), 5)


@pytest.mark.parametrize("transport", ["ws", "wss"])
async def test_messages_go_whole_both_ways(tmp_path: Path, transport: str) -> None:
    async with open_site(tmp_path) as site, dial(site, transport) as client:
        assert client.subprotocol == "sip"
        await client.send(options(transport, via="df7jal23ls0d.invalid").decode())
        answer = await heard(client)

        assert isinstance(answer, str)
        assert answer.startswith("SIP/2.0 200 OK")
        assert f"Via: SIP/2.0/{transport.upper()} df7jal23ls0d.invalid" in answer
        flow = site.core.flows[0]
        assert flow.transport == transport
        assert str(site.stack.contact_for(flow)) == f"sip:{HOST}:{site.ports[transport][1]};transport=ws"
        assert site.stack.sent_by(flow) == f"{HOST}:{site.ports[transport][1]}"


async def test_binary_frames_fragments_and_no_content_length(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, dial(site) as client:
        whole = options("WS").replace(b"Content-Length: 0\r\n", b"")
        await client.send(whole)
        assert str(await heard(client)).startswith("SIP/2.0 200 OK")

        async def pieces():  # type: ignore[no-untyped-def]
            for start in range(0, len(whole), 50):
                yield whole.replace(b"z9hG4bKt1", b"z9hG4bKt2")[start : start + 50].decode()

        await client.send(pieces())
        assert str(await heard(client)).startswith("SIP/2.0 200 OK")


async def test_keepalives(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, dial(site) as client:
        await asyncio.wait_for(await client.ping(), 5)
        await client.send("\r\n\r\n")
        assert await heard(client) == "\r\n"
        await client.send("\r\n")
        await client.send("")
        await client.send(options("WS").decode())
        assert str(await heard(client)).startswith("SIP/2.0 200 OK")


@pytest.mark.parametrize(("path", "subprotocols", "status"), [("/x", SIP, 404), ("/ws", [Subprotocol("xmpp")], 400)])
async def test_only_sip_at_its_path(tmp_path: Path, path: str, subprotocols: list[Subprotocol], status: int) -> None:
    async with open_site(tmp_path) as site:
        with pytest.raises(InvalidStatus) as caught:
            await dial(site, path=path, subprotocols=subprotocols)
        assert caught.value.response.status_code == status


@pytest.mark.parametrize(
    ("allowed", "origin", "admitted"),
    [
        ((), None, True),  # no browser
        ((), f"https://{NAME}:8443", True),
        ((), "http://[2001:db8::7]", True),
        ((), "https://evil.example", False),
        ((), f"https://{NAME}.evil.example", False),
        ((), f"https://evil.example@{NAME.upper()}", True),
        ((), f"ftp://{NAME}", False),
        ((), "null", False),
        ((), "http://[", False),
        (("null",), "null", True),
        (("https://Phone.example.org",), "https://phone.example.org", True),
        (("https://phone.example.org",), "http://phone.example.org", False),
        (("*",), "https://evil.example", True),
    ],
)
def test_which_pages_may_connect(allowed: tuple[str, ...], origin: str | None, admitted: bool) -> None:
    assert Origins(allowed, lambda host: host in (NAME, "2001:db8::7")).admits(origin) is admitted


async def test_a_page_of_somebody_else_is_refused(tmp_path: Path) -> None:
    async with open_site(tmp_path, origins=Origins((), lambda host: host == NAME).admits) as site:
        with pytest.raises(InvalidStatus) as caught:
            await dial(site, origin="https://evil.example")
        assert caught.value.response.status_code == 403
        assert site.metrics.snapshot()["pbx.transport.ws.refused"] == 1
        async with dial(site, origin=f"https://{NAME}") as client:
            await client.send(options("WS").decode())
            assert str(await heard(client)).startswith("SIP/2.0 200 OK")


async def test_garbage_closes_the_connection(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, dial(site) as client:
        await client.send(b"\xff\xfe nothing of SIP")
        with pytest.raises(ConnectionClosed):
            await heard(client)
        assert site.metrics.snapshot()["pbx.transport.malformed"] == 1


async def test_too_large_a_message_closes_the_connection(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, dial(site) as client:
        await client.send(b"x" * 300_000)
        with pytest.raises(ConnectionClosed):
            await heard(client)


async def test_floods_of_empty_fragments_are_no_memory(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, dial(site) as client:
        client.protocol.send_frame(Frame(Opcode.TEXT, b"", fin=False))
        for _ in range(5000):
            client.protocol.send_frame(Frame(Opcode.CONT, b"", fin=False))
        client.protocol.send_frame(Frame(Opcode.CONT, options("WS"), fin=True))
        client.transport.writelines(client.protocol.data_to_send())
        assert str(await heard(client)).startswith("SIP/2.0 200 OK")


async def test_a_request_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    async with open_site(tmp_path, handshakes=HandshakeLimits(seconds=0.2)) as site:
        for transport in ("ws", "wss"):
            reader, writer = (
                await asyncio.open_connection(*site.ports["wss"], ssl=site.client, server_hostname=NAME)
                if transport == "wss"
                else await asyncio.open_connection(*site.ports["ws"])
            )
            writer.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
            async with asyncio.timeout(5):
                try:
                    assert await reader.read() == b""
                except ConnectionError:
                    pass
            writer.close()
            try:
                await writer.wait_closed()
            except ConnectionError:
                pass
        assert site.metrics.snapshot()["pbx.transport.handshakes"] == 0
