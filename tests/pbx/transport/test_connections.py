"""What a connection is good for besides its own requests: reuse, answers over a new one, large requests, STUN."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from pbx.nat import stun
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.parser import parse
from pbx.sipcore.uri import Uri
from tests.pbx.transport.site import HOST, Asker, answer, open_site, options

PHONE = "127.0.31.9"


async def test_answers_find_the_way_back_when_the_connection_is_gone(tmp_path: Path) -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        await writer.wait_closed()

    async with open_site(tmp_path) as site, await asyncio.start_server(take, PHONE, 0) as phone:
        port = phone.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(*site.ports["tcp"], local_addr=(PHONE, 0))
        writer.write(options("TCP", method="INVITE", via=f"{PHONE}:{port}"))
        invite = await asyncio.wait_for(site.core.invites.get(), 5)
        ended = asyncio.Event()
        site.stack.on_flow_ended(lambda flow: ended.set())
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(ended.wait(), 5)
        invite.reply(486)
        assert (await asyncio.wait_for(arrived.get(), 5)).startswith(b"SIP/2.0 486")


async def test_an_answer_that_finds_no_way_is_counted(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        _, writer = await asyncio.open_connection(*site.ports["tcp"], local_addr=(PHONE, 0))
        writer.write(options("TCP", method="INVITE", via=f"{PHONE}:9"))
        invite = await asyncio.wait_for(site.core.invites.get(), 5)
        ended, gone = asyncio.Event(), asyncio.Event()
        invite.on_end = gone.set
        site.stack.on_flow_ended(lambda flow: ended.set())
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(ended.wait(), 5)
        invite.reply(486)
        await asyncio.wait_for(gone.wait(), 5)
        assert site.metrics.value("pbx.transport.unsent") == 1


async def test_requests_to_where_a_phone_listens_use_its_connection(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        reader, writer = await asyncio.open_connection(*site.ports["tcp"], local_addr=(PHONE, 0))
        writer.write(options("TCP", via=f"{PHONE}:5070"))
        await answer(reader)

        flow = await site.stack.flow_to(Uri.parse(f"sip:a@{PHONE}:5070;transport=tcp"))
        assert flow == site.core.flows[0]
        large = message(2000)
        site.stack.request(large, Flow("udp", site.ports["udp"], (PHONE, 5070)), Asker())
        assert (await answer(reader)).startswith(b"MESSAGE")  # RFC 3261 §18.1.1
        writer.close()
        await writer.wait_closed()


async def test_a_large_request_stays_a_datagram_where_no_connection_is_known(tmp_path: Path) -> None:
    """RFC 3261 §18.1.1 would have us connect, yet telephones that registered over UDP seldom listen on TCP."""
    async with open_site(tmp_path) as site:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind((PHONE, 0))
            site.stack.request(message(2000), Flow("udp", site.ports["udp"], sock.getsockname()), Asker())
            got = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 4096), 5)
    assert got.startswith(b"MESSAGE")
    assert len(got) > 2000
    assert b"SIP/2.0/UDP" in got
    assert not site.metrics.value("pbx.transport.udp.large")


async def test_nobody_takes_over_the_name_of_another(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        reader, writer = await asyncio.open_connection(*site.ports["tcp"], local_addr=(PHONE, 0))
        writer.write(options("TCP", via="127.0.31.10:5070"))  # not where it comes from
        await answer(reader)
        assert site.stack._connections.flow_to("tcp", ("127.0.31.10", 5070)) is None
        writer.close()
        await writer.wait_closed()


async def test_stun_on_the_sip_port_is_answered(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind((PHONE, 0))
            sock.connect(site.ports["udp"])
            sock.send(stun.request(b"x" * 12).encode())
            got = stun.parse(await asyncio.wait_for(loop.sock_recv(sock, 2048), 5))
            value = got.get(stun.XOR_MAPPED_ADDRESS)
            assert value is not None
            assert stun.read_xor_address(value, b"x" * 12) == sock.getsockname()


async def test_calls_of_both_families_have_sockets_of_their_own(tmp_path: Path) -> None:
    async with open_site(tmp_path, host="::1") as site:
        flow = await site.stack.flow_to(Uri.parse(f"sip:[::1]:{site.ports['udp'][1]}"))
        assert site.stack.sent_by(flow) == f"[::1]:{site.ports['udp'][1]}"
        asker = Asker()
        site.stack.request(message(10), flow, asker)
        assert await asyncio.wait_for(asker.outcome, 5) == 200
        over_tcp = await site.stack.flow_to(Uri.parse(f"sip:[::1]:{site.ports['tcp'][1]};transport=tcp"))
        asker = Asker()
        site.stack.request(message(10), over_tcp, asker)
        assert await asyncio.wait_for(asker.outcome, 5) == 200


def message(size: int) -> Request:
    made = parse(options("UDP", method="MESSAGE").replace(f"sip:{HOST}".encode(), f"sip:{HOST}".encode()))
    assert isinstance(made, Request)
    made.remove("Via")
    made.set("Content-Type", "text/plain")
    made.body = b"x" * size
    return made
