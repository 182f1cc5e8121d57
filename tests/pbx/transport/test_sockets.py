"""The stack on the system's own sockets: UDP, TCP, garbage, slow senders."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from base.clock import LoopClock
from base.entropy import SeededEntropy
from base.failures import Failure
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.transaction_ports import Cause
from pbx.sipcore.uri import Uri
from pbx.transport.connections import StreamLimits
from pbx.transport.sockets import SystemNetwork
from pbx.transport.stack import SipStack, StackSettings

HOST = "127.0.31.1"


class Core:
    """Answers OPTIONS; fails on request."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def on_request(self, transaction: ServerTransaction) -> None:
        self.requests.append(transaction.request)
        if transaction.request.method == "FAIL":
            raise ZeroDivisionError
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


class Running:
    def __init__(self, stack: SipStack, core: Core, metrics: Metrics) -> None:
        self.stack, self.core, self.metrics = stack, core, metrics
        self.udp = next(local for kind, local in stack.addresses if kind == "udp")
        self.tcp = next(local for kind, local in stack.addresses if kind == "tcp")


@asynccontextmanager
async def running(limits: StreamLimits | None = None) -> AsyncIterator[Running]:
    loop, metrics, core = asyncio.get_running_loop(), Metrics(), Core()
    settings = StackSettings(((HOST, 0),), ((HOST, 0),), limits=limits or StreamLimits())
    stack = SipStack(SystemNetwork(), LoopClock(loop), SeededEntropy(3), metrics, settings)
    stack.attach(core)
    await stack.start()
    try:
        yield Running(stack, core, metrics)
    finally:
        await stack.close()


def options(number: int = 1, method: str = "OPTIONS", via: str = f"SIP/2.0/UDP {HOST};rport", extra: str = "") -> bytes:
    return (
        f"{method} sip:{HOST} SIP/2.0\r\nVia: {via};branch=z9hG4bK{method}{number}\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:{HOST}>\r\nCall-ID: {number}\r\nCSeq: {number} {method}\r\n{extra}Content-Length: 0\r\n\r\n"
    ).encode()


@asynccontextmanager
async def client(remote: tuple[str, int]) -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(("127.0.31.2", 0))
        sock.connect(remote)
        yield sock


async def receive(sock: socket.socket, seconds: float = 5.0) -> bytes:
    async with asyncio.timeout(seconds):
        return await asyncio.get_running_loop().sock_recv(sock, 65_535)


async def test_a_datagram_is_answered_to_where_it_came_from() -> None:
    async with running() as server, client(server.udp) as sock:
        sock.send(options())
        answer = await receive(sock)
        assert answer.startswith(b"SIP/2.0 200")
        assert f"rport={sock.getsockname()[1]}".encode() in answer


async def test_garbage_is_counted_said_once_and_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(4)
    whole = options(9, extra="X: " + "y" * 300 + "\r\n")
    with caplog.at_level(logging.ERROR):
        async with running() as server, client(server.udp) as sock:
            for number in range(1000):
                if number % 2:
                    data = chance.randbytes(chance.randint(1, 1400))
                else:
                    cut = bytearray(whole[: chance.randint(1, len(whole) - 1)])
                    cut[chance.randrange(len(cut))] = chance.randrange(256)
                    data = bytes(cut)
                sock.send(data)
                if number % 50 == 0:
                    await asyncio.sleep(0)
            sock.send(options(77))
            async with asyncio.timeout(5):
                while b"CSeq: 77" not in await receive(sock):
                    pass
            counted = sum(server.metrics.value(f"pbx.transport.{name}") for name in ("malformed", "udp.keepalive"))
            assert counted > 900
            assert server.metrics.value("pbx.transport.faults") == 0
            assert len(server.stack._complained) == 1
    assert not caplog.records


@pytest.mark.parametrize("octets", [b"\r\n\r\n", b"\x00", b"\x00\x00\x00\x00", b" \r\n"])
async def test_what_keeps_a_router_open_is_no_garbage(octets: bytes) -> None:
    async with running() as server, client(server.udp) as sock:
        sock.send(octets)
        sock.send(options())
        assert (await receive(sock)).startswith(b"SIP/2.0 200")
        counted = [server.metrics.value(f"pbx.transport.{name}") for name in ("malformed", "udp.keepalive")]
        assert counted == [0, 1]


async def test_who_is_shut_out_is_not_heard_on_a_connection_that_he_has() -> None:
    async with running() as server:
        reader, writer = await asyncio.open_connection(*server.tcp)
        writer.write(options(1, via=f"SIP/2.0/TCP {HOST}"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200")
        server.stack.shut_out = lambda host: True
        writer.write(options(2, via=f"SIP/2.0/TCP {HOST}") + b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"  # what came before was read
        assert len(server.core.requests) == 1
        writer.close()
        await writer.wait_closed()


async def test_a_bad_request_with_a_good_via_is_400_but_never_an_ack_or_a_response() -> None:
    async with running() as server, client(server.udp) as sock:
        sock.send(options(1, "ACK").replace(b"From: <sip:a@b>;tag=1\r\n", b""))
        sock.send(options(1).replace(b"OPTIONS sip:127.0.31.1 SIP/2.0", b"SIP/2.0 200 OK").replace(b"To:", b"Oops:"))
        sock.send(options(2).replace(b"From: <sip:a@b>;tag=1\r\n", b""))
        answer = await receive(sock)
        assert answer.startswith(b"SIP/2.0 400 Missing From")
        assert f"received=127.0.31.2;rport={sock.getsockname()[1]}".encode() in answer or b"rport=" in answer
        assert server.metrics.value("pbx.transport.malformed") == 3


async def test_a_fault_of_ours_is_500_and_the_stack_goes_on() -> None:
    async with running() as server, client(server.udp) as sock:
        sock.send(options(1, "FAIL"))
        assert (await receive(sock)).startswith(b"SIP/2.0 500")
        sock.send(options(2))
        assert (await receive(sock)).startswith(b"SIP/2.0 200")
        assert server.metrics.value("pbx.transport.faults") == 1


TCP_VIA = f"SIP/2.0/TCP {HOST}"


async def test_tcp_pieces_keepalive_and_two_in_one() -> None:
    async with running() as server:
        reader, writer = await asyncio.open_connection(*server.tcp)
        data = options(1, via=TCP_VIA) + options(2, via=TCP_VIA) + b"\r\n\r\n"
        for start in range(0, len(data), 97):
            writer.write(data[start : start + 97])
            await writer.drain()
        got = b""
        async with asyncio.timeout(5):
            while not (got.count(b"SIP/2.0 200") == 2 and got.endswith(b"\r\n\r\n\r\n")):
                got += await reader.read(4096)
        writer.close()
        await writer.wait_closed()


async def test_a_broken_stream_gets_its_400_and_is_closed() -> None:
    async with running() as server:
        reader, writer = await asyncio.open_connection(*server.tcp)
        writer.write(options(1, via=TCP_VIA).replace(b"Content-Length: 0\r\n", b""))
        async with asyncio.timeout(5):
            got = await reader.read()
        assert got.startswith(b"SIP/2.0 400")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"", b"OPTIONS sip:x SIP/2.0\r\nVia:"])
async def test_slow_senders_are_cut_off(sent: bytes) -> None:
    async with running(StreamLimits(first=0.2, sweep=0.1)) as server:
        reader, writer = await asyncio.open_connection(*server.tcp)
        writer.write(sent)
        async with asyncio.timeout(5):
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
        assert server.metrics.value("pbx.transport.connections.overdue") == 1
        writer.close()


async def test_one_source_opens_only_so_many_connections() -> None:
    async with running(StreamLimits(source=3)) as server:
        pairs = [await asyncio.open_connection(*server.tcp) for _ in range(4)]
        async with asyncio.timeout(5):
            try:
                assert await pairs[3][0].read() == b""
            except ConnectionResetError:
                pass
        assert server.metrics.value("pbx.transport.connections.refused") == 1
        for _, writer in pairs:
            writer.close()


async def test_requests_leave_by_a_connection_that_is_used_again() -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_535):
            got.put_nowait(data)
            request = parse(data)
            assert isinstance(request, Request)
            writer.write(response_to(request, 200, to_tag="x").encode())
        writer.close()

    peer = await asyncio.start_server(answer, HOST, 0)
    port = peer.sockets[0].getsockname()[1]
    async with running() as server:
        flow = await server.stack.flow_to(Uri.parse(f"sip:x@{HOST}:{port};transport=tcp"))
        assert await server.stack.flow_to(Uri.parse(f"sip:y@{HOST}:{port};transport=tcp")) == flow
        for number in (1, 2):
            asker = Asker()
            request = Request("OPTIONS", f"sip:x@{HOST}")
            for name, value in (
                ("From", "<sip:a@b>;tag=1"),
                ("To", "<sip:x@y>"),
                ("Call-ID", f"c{number}"),
                ("CSeq", "1 OPTIONS"),
            ):
                request.add(name, value)
            server.stack.request(request, flow, asker)
            async with asyncio.timeout(5):
                assert await asker.outcome == 200
        assert f"{HOST}:{server.tcp[1]}".encode() in got.get_nowait()  # Via names where we listen
        assert server.stack.contact_for(flow).params == {"transport": "tcp"}
    peer.close()


async def test_a_connection_that_dies_fails_its_requests_at_once() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()
        await writer.wait_closed()

    peer = await asyncio.start_server(hang_up, HOST, 0)
    async with running() as server:
        ended: list[Flow] = []
        server.stack.on_flow_ended(ended.append)
        uri = Uri.parse(f"sip:x@{HOST}:{peer.sockets[0].getsockname()[1]};transport=tcp")
        flow, asker = await server.stack.flow_to(uri), Asker()
        request = Request("OPTIONS", f"sip:x@{HOST}")
        for name, value in (("From", "<sip:a@b>;tag=1"), ("To", "<sip:x@y>"), ("Call-ID", "c"), ("CSeq", "1 OPTIONS")):
            request.add(name, value)
        server.stack.request(request, flow, asker)
        async with asyncio.timeout(5):
            assert await asker.outcome == "transport"
        assert ended == [flow]
    peer.close()


async def test_where_nobody_is_or_nobody_is_known_is_a_failure() -> None:
    async with running() as server:
        with socket.socket() as unused:
            unused.bind((HOST, 0))
            port = unused.getsockname()[1]
            for uri in (f"sip:x@{HOST}:{port};transport=tcp", "sip:x@no-such-host.invalid", f"sips:x@{HOST}"):
                with pytest.raises(Failure) as caught:
                    await server.stack.flow_to(Uri.parse(uri))
                assert caught.value.code == "unavailable"


async def test_a_port_that_is_taken_leaves_nothing_open() -> None:
    loop = asyncio.get_running_loop()
    async with running() as server:
        settings = StackSettings(((HOST, 0), server.udp), ())
        stack = SipStack(SystemNetwork(), LoopClock(loop), SeededEntropy(3), Metrics(), settings)
        stack.attach(Core())
        with pytest.raises(Failure, match="another program has it"):
            await stack.start()
        assert stack.addresses == ()


async def test_a_dispensable_port_that_is_taken_costs_only_itself() -> None:
    loop = asyncio.get_running_loop()
    async with running() as server:
        settings = StackSettings(((HOST, 0),), (), ws=(server.tcp,), dispensable=frozenset({"ws"}))
        stack = SipStack(SystemNetwork(), LoopClock(loop), SeededEntropy(3), Metrics(), settings)
        stack.attach(Core())
        await stack.start()
        assert [transport for transport, _ in stack.addresses] == ["udp"]
        assert len(stack.missing) == 1
        assert "another program has it" in stack.missing[0]
        await stack.close()


async def test_requests_leave_from_the_socket_of_their_flow() -> None:
    """A telephone behind a router hears only from where it registered."""
    loop, core = asyncio.get_running_loop(), Core()
    settings = StackSettings(((HOST, 0), (HOST, 0), (HOST, 0)), ())
    stack = SipStack(SystemNetwork(), LoopClock(loop), SeededEntropy(3), Metrics(), settings)
    stack.attach(core)
    await stack.start()
    try:
        for _, local in stack.addresses:
            async with client(local) as sock:  # connected: it hears from nobody else
                sock.send(options(local[1]))
                assert (await receive(sock)).startswith(b"SIP/2.0 200")
                made = parse(options(local[1] + 1))
                assert isinstance(made, Request)
                made.remove("Via")
                flow = Flow("udp", local, sock.getsockname())
                stack.request(made, flow, Asker())
                asked = await receive(sock)
                assert asked.startswith(b"OPTIONS ")
                assert f"Via: SIP/2.0/UDP {HOST}:{local[1]};".encode() in asked
                assert stack.contact_for(flow).port == local[1]
    finally:
        await stack.close()
