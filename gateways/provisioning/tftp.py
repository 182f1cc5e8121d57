"""TFTP for telephones that know nothing better: reading only, inside our network only.

RFC 1350; options of RFC 2347: blksize (RFC 2348), tsize and timeout (RFC 2349).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from base.log import get_logger
from gateways.provisioning.desk import Ask, ProvisioningDesk

MOST_TRANSFERS = 50  # Limit: transfers at once.
LONGEST_REQUEST = 512
_READ, _DATA, _ACK, _ERROR, _OPTIONS = 1, 3, 4, 5, 6
_TRIES = 5
_WAIT = 1.0
_log = get_logger("gateways.tftp")


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """RFC 1350 §5, RFC 2347."""

    name: str
    options: tuple[tuple[str, str], ...]


def parse_request(packet: bytes) -> ReadRequest | None:
    """None for what is no request to read in octets."""
    if len(packet) > LONGEST_REQUEST or packet[:2] != _READ.to_bytes(2, "big") or not packet.endswith(b"\0"):
        return None
    parts = packet[2:-1].split(b"\0")
    try:
        name, mode, *rest = [part.decode("ascii") for part in parts]
    except (UnicodeDecodeError, ValueError):
        return None
    if mode.lower() not in ("octet", "netascii") or len(rest) % 2:
        return None
    return ReadRequest(name.lstrip("/"), tuple(zip((key.lower() for key in rest[::2]), rest[1::2], strict=True)))


class Transfer:
    """The sender's machine: what to send first, and after each acknowledgement. Pure."""

    def __init__(self, content: bytes, request: ReadRequest) -> None:
        self._content = content
        self._size = 512
        self._block = 0
        accepted = []
        for key, value in request.options:
            if key == "blksize" and value.isdigit() and int(value) >= 8:
                self._size = min(int(value), 1428)
                accepted.append((key, str(self._size)))
            elif key == "tsize":
                accepted.append((key, str(len(content))))
        self.packet = self._offer(accepted) if accepted else self._data(1)
        if not accepted:
            self._block = 1

    def acknowledged(self, packet: bytes) -> bool | None:
        """True: `packet` is what to send now; None: all has arrived, or the other side gives up; False: not for us."""
        if packet[:2] == _ERROR.to_bytes(2, "big"):
            return None
        if len(packet) < 4 or packet[:2] != _ACK.to_bytes(2, "big"):
            return False
        if int.from_bytes(packet[2:4], "big") != self._block % 65536:
            return False  # RFC 1123 §4.2.3.1: a block that was acknowledged is never sent again for a second one
        if self._block and self._block * self._size > len(self._content):
            return None
        self._block += 1
        self.packet = self._data(self._block)
        return True

    def _data(self, block: int) -> bytes:
        chunk = self._content[(block - 1) * self._size : block * self._size]
        return _DATA.to_bytes(2, "big") + (block % 65536).to_bytes(2, "big") + chunk

    def _offer(self, options: list[tuple[str, str]]) -> bytes:
        return _OPTIONS.to_bytes(2, "big") + b"".join(f"{key}\0{value}\0".encode() for key, value in options)


def error(code: int, text: str) -> bytes:
    """RFC 1350 §5: 1 is "file not found", 2 "access violation"."""
    return _ERROR.to_bytes(2, "big") + code.to_bytes(2, "big") + text.encode() + b"\0"


class ProvisioningTftp(asyncio.DatagramProtocol):
    """The door. Each transfer has a socket of its own (RFC 1350 §4)."""

    def __init__(self, desk: ProvisioningDesk) -> None:
        self._desk = desk
        self._transport: asyncio.DatagramTransport | None = None
        self._transfers: set[asyncio.Task[None]] = set()
        self._host = ""

    async def start(self, host: str, port: int) -> int:
        """The port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self._host = host
        return int(self._transport.get_extra_info("sockname")[1])

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        for task in tuple(self._transfers):
            task.cancel()
        await asyncio.gather(*self._transfers, return_exceptions=True)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = parse_request(data)
        if request is None or len(self._transfers) >= MOST_TRANSFERS:
            return
        task = asyncio.get_running_loop().create_task(self._serve(request, addr))
        self._transfers.add(task)
        task.add_done_callback(self._transfers.discard)

    async def _serve(self, request: ReadRequest, peer: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, line = await loop.create_datagram_endpoint(_Line, local_addr=(self._host, 0), remote_addr=peer)
        except OSError as failed:
            _log.warning("no socket for a transfer", cause=str(failed))
            return
        try:
            own = str(transport.get_extra_info("sockname")[0])
            answer = await self._desk.answer(Ask(request.name, peer[0], own, secure=False, agent="TFTP"))
            if answer is None:
                transport.sendto(error(1, "no such file"))
            else:
                await _send(Transfer(answer.content, request), transport, line)
        finally:
            transport.close()


class _Line(asyncio.DatagramProtocol):
    """One transfer's socket."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue(16)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.received.full():
            self.received.put_nowait(data)


async def _send(transfer: Transfer, transport: asyncio.DatagramTransport, line: _Line) -> None:
    tries = 0
    while tries < _TRIES:
        transport.sendto(transfer.packet)
        try:
            async with asyncio.timeout(_WAIT):
                while (moved := transfer.acknowledged(await line.received.get())) is False:
                    pass
        except TimeoutError:
            tries += 1
            continue
        if moved is None:
            return
        tries = 0
