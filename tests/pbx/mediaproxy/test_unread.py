"""What is relayed unread: video, T.38, and octets over TCP."""

from __future__ import annotations

import asyncio

import pytest

from pbx.mediaproxy import rtp
from pbx.mediaproxy.engine import MediaStream, StreamSettings
from tests.pbx.mediaproxy.desk import ADDRESS, Ear, FakePhone, engine


@pytest.mark.parametrize("carriage", ["rtp", "raw"])
async def test_datagrams_go_both_ways_unchanged_and_strangers_nowhere(carriage: str) -> None:
    async with engine() as media:
        phones = await FakePhone.make(), await FakePhone.make()
        stranger = await FakePhone.make()
        streams = await media.open(Ear()), await media.open(Ear())
        for stream, phone in zip(streams, phones, strict=True):
            stream.configure(StreamSettings(phone.address, 0, {}, carriage=carriage))  # type: ignore[arg-type]
        streams[0].connect(streams[1])
        head = rtp.build(97, 5, 90000, 77, b"") if carriage == "rtp" else b"\x00\x07fax"
        there, back = head + bytes(1000), head + b"back"
        for _ in range(10):
            phones[0].transport.sendto(there, streams[0].local)
            await asyncio.sleep(0.01)
        assert set(await phones[1].wait(5)) == {there}
        for _ in range(3):
            stranger.transport.sendto(b"\x80stranger" + bytes(20), streams[0].local)
            phones[1].transport.sendto(back, streams[1].local)
        assert set(await phones[0].wait(3)) == {back}
        assert set(phones[1].got) == {there}
        for each in (*phones, stranger):
            each.close()


@pytest.mark.parametrize("carriage", ["rtp", "raw"])
async def test_both_behind_routers_are_found_by_what_they_send(carriage: str) -> None:
    """They name private addresses; the guess is the host of their signalling, and their routers change the ports."""
    async with engine() as media:
        phones = await FakePhone.make(), await FakePhone.make()
        streams = await media.open(Ear()), await media.open(Ear())
        for stream in streams:
            said = StreamSettings(("10.255.255.1", 4000), 0, {}, carriage=carriage, guess=(ADDRESS, 4000))  # type: ignore[arg-type]
            stream.configure(said)
        streams[0].connect(streams[1])
        head = rtp.build(97, 5, 90000, 77, b"") if carriage == "rtp" else b"\x00\x07fax"
        async with asyncio.timeout(5):
            while not (phones[0].got and phones[1].got):
                for phone, stream, word in zip(phones, streams, (b"there", b"back"), strict=True):
                    phone.transport.sendto(head + word, stream.local)
                await asyncio.sleep(0.01)
        assert set(phones[0].got) == {head + b"back"}
        assert set(phones[1].got) == {head + b"there"}
        assert set(phones[0].sources) == {streams[0].local}
        for each in phones:
            each.close()


async def test_octets_over_tcp_go_through_the_ports_that_were_named() -> None:
    async with engine() as media:
        heard: list[bytes] = []
        done = asyncio.Event()

        async def passive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readexactly(300_000))
            writer.write(b"thanks")
            heard.append(await reader.read())
            writer.close()
            done.set()

        server = await asyncio.start_server(passive, ADDRESS, 0)
        near, far = await media.open(Ear(), tcp=True), await media.open(Ear(), tcp=True)
        near.configure(StreamSettings((ADDRESS, 9), 0, {}, carriage="raw"))
        far.configure(StreamSettings(server.sockets[0].getsockname(), 0, {}, carriage="raw", active=True))
        near.connect(far)
        stranger_reader, stranger = await asyncio.open_connection(*near.local, local_addr=("127.77.0.99", 0))
        assert await stranger_reader.read() == b""
        stranger.close()
        reader, writer = await asyncio.open_connection(*near.local, local_addr=(ADDRESS, 0))
        writer.write(bytes(300_000))
        assert await reader.readexactly(6) == b"thanks"
        writer.write_eof()
        async with asyncio.timeout(5):
            await done.wait()
            assert await reader.read() == b""
        assert heard == [bytes(300_000), b""]
        writer.close()
        server.close()
        await server.wait_closed()
        figures = await far.close()
        assert figures.octets_sent == 300_000


async def reads(stream: MediaStream, reader: asyncio.StreamReader, wanted: bytes) -> None:
    async with asyncio.timeout(5):
        assert await reader.readexactly(len(wanted)) == wanted, stream


async def test_two_that_connect_to_us_meet_also_when_one_is_quicker_than_its_answer() -> None:
    """RFC 4145 §4: each was told that we are passive; nothing is lost of what came before the other one did."""
    async with engine() as media:
        near, far = await media.open(Ear(), tcp=True), await media.open(Ear(), tcp=True)
        ways = [await asyncio.open_connection(*each.local, local_addr=(ADDRESS, 0)) for each in (near, far)]
        ways[0][1].write(b"there")
        near.connect(far)
        for each in (near, far):
            each.configure(StreamSettings((ADDRESS, 9), 0, {}, carriage="raw"))
        ways[1][1].write(b"back")
        await reads(far, ways[1][0], b"there")
        await reads(near, ways[0][0], b"back")
        for _, writer in ways:
            writer.close()


async def test_who_connects_before_we_have_joined_the_two_stays() -> None:
    async with engine() as media:
        near, far = await media.open(Ear(), tcp=True), await media.open(Ear(), tcp=True)
        for each in (near, far):
            each.configure(StreamSettings((ADDRESS, 9), 0, {}, carriage="raw"))
        ways = [await asyncio.open_connection(*each.local, local_addr=(ADDRESS, 0)) for each in (near, far)]
        for each in (near, far):  # a second one is turned away when the first has been let in
            reader, writer = await asyncio.open_connection(*each.local, local_addr=(ADDRESS, 0))
            assert await reader.read() == b""
            writer.close()
        near.connect(far)
        ways[0][1].write(b"there")
        await reads(far, ways[1][0], b"there")
        for _, writer in ways:
            writer.close()


async def test_two_that_wait_for_us_are_both_reached() -> None:
    """Each is passive: we connect to both; a private address named from outside is looked for where it comes from."""
    async with engine() as media:
        met: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        servers = [await asyncio.start_server(lambda *way: met.put_nowait(way), ADDRESS, 0) for _ in range(2)]
        streams = await media.open(Ear(), tcp=True), await media.open(Ear(), tcp=True)
        streams[0].connect(streams[1])
        for stream, server in zip(streams, servers, strict=True):
            place = server.sockets[0].getsockname()
            said = StreamSettings(("10.255.255.1", place[1]), 0, {}, carriage="raw", guess=place, active=True)
            stream.configure(said)
        async with asyncio.timeout(5):
            ways = await met.get(), await met.get()
        ways[0][1].write(b"there")
        await reads(streams[1], ways[1][0], b"there")
        for _, writer in ways:
            writer.close()
        for server in servers:
            server.close()
