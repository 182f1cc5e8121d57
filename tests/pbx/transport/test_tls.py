"""SIP over TLS on real sockets: accepting, connecting, limits, and certificates that change."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from base.certificates import client_context, make
from base.failures import Failure
from pbx.sipcore.message import Request
from pbx.sipcore.parser import parse
from pbx.sipcore.uri import Uri
from pbx.transport.handshakes import HandshakeLimits
from pbx.transport.network import Srv
from pbx.transport.sockets import SystemNetwork
from tests.pbx.transport.site import HOST, NAME, Asker, answer, open_site, options


class Named(SystemNetwork):
    """The system's sockets with a name service of its own."""

    def __init__(self, names: dict[str, tuple[str, ...]], services: dict[str, tuple[Srv, ...]] | None = None) -> None:
        super().__init__()
        self.known, self.services = names, services or {}

    async def look_up(self, host: str) -> tuple[str, ...]:
        return self.known.get(host, ())

    async def naptr(self, domain: str) -> tuple[()]:
        return ()

    async def srv(self, name: str) -> tuple[Srv, ...]:
        return self.services.get(name, ())


def request() -> Request:
    made = parse(options("TLS"))
    assert isinstance(made, Request)
    made.remove("Via")
    return made


async def test_a_request_over_tls_is_answered_on_the_connection(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        reader, writer = await site.connect()
        writer.write(options("TLS"))

        assert (await answer(reader)).startswith(b"SIP/2.0 200 OK")
        flow = site.core.flows[0]
        assert (flow.transport, flow.reliable) == ("tls", True)
        assert site.stack.sent_by(flow) == f"{HOST}:{site.ports['tls'][1]}"
        assert str(site.stack.contact_for(flow)) == f"sip:{HOST}:{site.ports['tls'][1]};transport=tls"
        writer.write(b"\r\n\r\n")
        assert await asyncio.wait_for(reader.readexactly(2), 5) == b"\r\n"
        writer.close()
        await writer.wait_closed()


async def test_we_connect_and_check_the_name(tmp_path: Path) -> None:
    network = Named({NAME: (HOST,), "evil.example.org": (HOST,)})
    async with open_site(tmp_path, network=network) as site:
        port = site.ports["tls"][1]
        flow = await site.stack.flow_to(Uri.parse(f"sips:{NAME}:{port}"))
        asker = Asker()
        site.stack.request(request(), flow, asker)
        assert await asyncio.wait_for(asker.outcome, 5) == 200
        assert await site.stack.flow_to(Uri.parse(f"sip:{NAME}:{port};transport=tls")) == flow  # used again

        with pytest.raises(Failure) as caught:
            await site.stack.flow_to(Uri.parse(f"sips:evil.example.org:{port}"))
        assert "mismatch" in str(caught.value.private)


async def test_the_next_server_of_a_domain_takes_over(tmp_path: Path) -> None:
    """RFC 3263 §4.3 over TLS: nobody listens, somebody else answers, and the third is who he should be. The name that
    counts is that of the domain, not of its server (RFC 5922 §4)."""
    make(tmp_path / "evil", ["evil.example.org"], time.time())
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(tmp_path / "evil" / "certificate.pem", tmp_path / "evil" / "key.pem")
    evil = await asyncio.start_server(lambda *_: None, HOST, 0, ssl=theirs)
    network = Named({"dead.test": ("127.0.31.66",), "alive.test": (HOST,)}, {})
    async with open_site(tmp_path, network=network) as site, evil:
        ports = (9, evil.sockets[0].getsockname()[1], site.ports["tls"][1])
        hosts = ("dead.test", "alive.test", "alive.test")
        servers = tuple(
            Srv(number, 0, port, host) for number, (port, host) in enumerate(zip(ports, hosts, strict=True))
        )
        network.services[f"_sips._tcp.{NAME}"] = servers
        for uri in (f"sips:{NAME}", f"sip:{NAME};transport=tls"):
            flow = await site.stack.flow_to(Uri.parse(uri))
            assert (flow.transport, flow.remote) == ("tls", site.ports["tls"])
        network.services[f"_sips._tcp.{NAME}"] = servers[:2]
        with pytest.raises(Failure) as caught:
            await site.stack.flow_to(Uri.parse(f"sips:{NAME}"))
        assert f"as {NAME}: self-signed" in str(caught.value.private)


async def test_an_unknown_authority_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    for verify in (True, False):
        async with open_site(tmp_path, network=Named({NAME: (HOST,)}), client=client_context(verify=verify)) as site:
            uri = Uri.parse(f"sips:{NAME}:{site.ports['tls'][1]}")
            if verify:
                with pytest.raises(Failure):
                    await site.stack.flow_to(uri)
            else:
                assert (await site.stack.flow_to(uri)).transport == "tls"


async def test_a_hundred_phones_keep_their_connections_while_the_certificate_is_swapped(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        phones = await asyncio.gather(*(site.connect() for _ in range(100)))
        serial = phones[0][1].get_extra_info("peercert")["serialNumber"]
        make(site.folder, [NAME], time.time())
        assert site.certificates.changed()
        site.certificates.reload()

        for number, (reader, writer) in enumerate(phones):
            writer.write(options("TLS", number + 1))
            assert (await answer(reader)).startswith(b"SIP/2.0 200 OK")
        assert len({flow.connection for flow in site.core.flows}) == 100
        site.client = client_context(verify=True, authorities=str(site.folder / "certificate.pem"))
        reader, writer = await site.connect()
        assert writer.get_extra_info("peercert")["serialNumber"] != serial
        for _, each in (*phones, (reader, writer)):
            each.close()
            await each.wait_closed()


async def test_silent_and_too_many_handshakes_are_cut_off(tmp_path: Path) -> None:
    async with open_site(tmp_path, handshakes=HandshakeLimits(all=8, source=3, seconds=0.2)) as site:
        silent = [await asyncio.open_connection(*site.ports["tls"]) for _ in range(5)]
        async with asyncio.timeout(5):
            for reader, writer in silent:
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()
        counted = site.metrics.snapshot()
        assert counted["pbx.transport.handshakes.refused"] == 2
        assert counted["pbx.transport.handshakes.overdue"] == 3
        assert counted["pbx.transport.handshakes"] == 0
        reader, writer = await site.connect()  # and honest ones are taken again
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "garbage", [b"OPTIONS sip:x SIP/2.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 70000, b"\0" * 300]
)
async def test_what_is_no_tls_ends_the_connection(tmp_path: Path, garbage: bytes) -> None:
    async with open_site(tmp_path) as site:
        reader, writer = await asyncio.open_connection(*site.ports["tls"])
        writer.write(garbage)
        async with asyncio.timeout(5):
            try:
                await reader.read()
            except ConnectionError:
                pass
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass
        assert site.metrics.snapshot()["pbx.transport.tls.failed"] == 1
        assert site.metrics.snapshot()["pbx.transport.handshakes"] == 0


async def test_old_tls_is_refused(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        old = client_context(verify=False)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(OSError):
            await asyncio.open_connection(*site.ports["tls"], ssl=old, server_hostname=NAME)
