"""Telephones in the hands of a test that stand in a namespace, for media that no soft phone here speaks."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import socket
import threading
from collections.abc import Callable
from typing import cast

from directory.model import Account
from pbx.sipcore import digest
from pbx.sipcore.message import Request
from pbx.transport.memory import MemoryNetwork
from tests.nat.site import NatSite
from tests.nat.world import Host
from tests.pbx.b2bua.house import Phone
from tests.scenes.site import DOMAIN

_NETWORK = 0x40000000  # CLONE_NEWNET of setns(2)
_numbers = itertools.count(1)


def socket_at(host: Host, kind: socket.SocketKind = socket.SOCK_DGRAM, port: int = 0) -> socket.socket:
    """A socket on a machine, bound to its address: it stays in the namespace of the thread that made it."""
    made: list[socket.socket] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/var/run/netns/{host.name}") as there:
            if libc.setns(there.fileno(), _NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.socket(socket.AF_INET6 if ":" in host.address else socket.AF_INET, kind))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    made[0].bind((host.address, port))
    return made[0]


class _Wire:
    """What a `Phone` takes for its network: whatever it sends goes to the server."""

    def __init__(self, host: Host, server: tuple[str, int]) -> None:
        self._socket = socket_at(host, port=5060)
        self._socket.setblocking(False)
        self._server = server

    def open(self, _local: tuple[str, int], receive: Callable[[bytes, tuple[str, int]], None]) -> _Wire:
        asyncio.get_running_loop().add_reader(self._socket, lambda: self._receive(receive))
        return self

    def _receive(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        data, source = self._socket.recvfrom(65536)
        if data.strip():  # not a keepalive
            receive(data, source)

    def send(self, data: bytes, _to: tuple[str, int]) -> None:
        self._socket.sendto(data, self._server)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


class HandPhone(Phone):
    """Registered with the demo account `name`; it names its own address, whatever is before it."""

    patience = 15.0

    def __init__(self, name: str, host: Host, site: NatSite, server: str = "") -> None:
        self.wire = _Wire(host, (server or site.host, site.sip_port))
        super().__init__(cast("MemoryNetwork", self.wire), Account(0, DOMAIN, name, name), host.address)
        self._name = name
        self._site = site
        self.host = host
        self.tag = f"{name}-{next(_numbers)}"  # two homes have the same addresses
        self._number = 1000 * next(_numbers)

    async def __aenter__(self) -> HandPhone:
        self.remote_target, self.remote_to = f"sip:{DOMAIN}", f"<sip:{self._name}@{DOMAIN}>"
        try:
            await self._proved("REGISTER")
            await self.response(200, "REGISTER")
        except BaseException:
            self.wire.close()
            raise
        self.call_id = f"call-{self.tag}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.wire.close()

    async def ring(self, number: str, body: bytes) -> None:
        """Call a number, proving who we are."""
        self.remote_target, self.remote_to = f"sip:{number}@{DOMAIN}", f"<sip:{number}@{DOMAIN}>"
        await self._proved("INVITE", body)

    async def _proved(self, method: str, body: bytes = b"") -> Request:
        """Send it, and again with an answer to the challenge that comes."""
        self.send(method, body)
        challenged = await self.response(401, method)
        if method == "INVITE":
            self.send("ACK")
        asked = digest.parse_challenge(challenged.get_all("WWW-Authenticate")[0])
        said = digest.respond(
            asked,
            username=self._name,
            password=await self._site.password(self._name),
            method=method,
            uri=self.remote_target,
            cnonce=f"c{next(_numbers)}",
        )
        return self.send(method, body, Authorization=said)
