"""Scenes: what a running server says to telephones that register, and how an administrator changes that."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from pbx.sipcore.digest import parse_challenge, respond
from pbx.sipcore.message import Response
from pbx.sipcore.parser import parse
from tests.scenes.site import DOMAIN, Site

pytestmark = pytest.mark.scene
UUID = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


class Wire:
    """A datagram socket in the hands of the test."""

    def __init__(self, site: Site, agent: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((site.host, 0))
        self._server = (site.host, site.sip_port)
        self._agent = agent
        self._number = 0

    async def register(self, more: str = "") -> Response:
        self._number += 1
        host, port = self._socket.getsockname()
        message = (
            f"REGISTER sip:{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{port}{self._number};rport\r\n"
            f"From: <sip:alice@{DOMAIN}>;tag=1\r\nTo: <sip:alice@{DOMAIN}>\r\nCall-ID: {port}\r\n"
            f"CSeq: {self._number} REGISTER\r\nMax-Forwards: 70\r\n"
            f"User-Agent: {self._agent}\r\nSupported: path, gruu\r\n"
            f'Contact: <sip:alice@{host}:{port}>;+sip.instance="<{UUID}>"\r\n{more}Content-Length: 0\r\n\r\n'
        )
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(self._socket, message.encode(), self._server)
        async with asyncio.timeout(10):
            while True:
                answer = parse(await loop.sock_recv(self._socket, 65_535))
                if isinstance(answer, Response) and answer.cseq.number == self._number and answer.is_final:
                    return answer

    def close(self) -> None:
        self._socket.close()


async def test_workarounds_count_at_once_and_after_a_restart(tmp_path: Path) -> None:
    async with Site(tmp_path / "data") as site:
        password = await site.password("alice")
        phone = Wire(site, "Odd Phone/1")
        try:
            assert len((await phone.register()).get_all("WWW-Authenticate")) == 1
            await site.tandem("workaround", "add", "odd phone*", "sha-256")
            await site.tandem("workaround", "add", f"{site.host}/32", "register-often")
            asked = (await phone.register()).get_all("WWW-Authenticate")
            assert ["SHA-256" in value for value in asked] == [False, True]

            await site.stop()
            await site.start()
            asked = (await phone.register()).get_all("WWW-Authenticate")
            assert len(asked) == 2
            proof = respond(
                parse_challenge(asked[1]), username="alice", password=password, method="REGISTER",
                uri=f"sip:{DOMAIN}", cnonce="c",
            )  # fmt: skip
            welcome = await phone.register(f"Authorization: {proof}\r\n")
            contact = welcome.get("Contact") or ""
            assert welcome.status == 200
            assert ";expires=120;" in contact
            assert f'pub-gruu="sip:alice@{DOMAIN};gr={UUID}"' in contact
            assert 'temp-gruu="sip:tgruu.' in contact
        finally:
            phone.close()
