"""What the tests of the media engine share: a listener that can be waited on, and a fake telephone of bare RTP."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import numpy as np

from base.clock import LoopClock
from base.metrics import Metrics
from pbx.mediaproxy import g711, rtp
from pbx.mediaproxy.control import MediaControl, MediaPlan
from pbx.mediaproxy.engine import Clip, StreamSettings
from pbx.mediaproxy.g711 import Law

ADDRESS = "127.77.0.1"  # of these tests alone
NAMES = {0: "PCMU/8000", 8: "PCMA/8000", 101: "TELEPHONE-EVENT/8000"}


class Ear:
    """A MediaListener: keeps what it is told, and wakes who waits."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self._news = asyncio.Event()

    def _note(self, *item: object) -> None:
        self.told.append(item)
        self._news.set()

    def media_digit(self, digit: str, milliseconds: int) -> None:
        self._note("digit", digit, milliseconds)

    def media_played(self, play: int) -> None:
        self._note("played", play)

    def media_recorded(self, record: int, cause: str, seconds: float) -> None:
        self._note("recorded", record, cause, seconds)

    def media_silent(self, seconds: float) -> None:
        self._note("silent", seconds)

    def media_hung_up(self) -> None:
        self._note("hung up")

    def media_lost(self) -> None:
        self._note("lost")

    def all(self, name: str) -> list[tuple[object, ...]]:
        return [item for item in self.told if item[0] == name]

    async def wait(self, name: str, count: int = 1, timeout: float = 5.0) -> tuple[object, ...]:
        """The `count`-th item of that name."""
        async with asyncio.timeout(timeout):
            while len(self.all(name)) < count:
                self._news.clear()
                await self._news.wait()
        return self.all(name)[count - 1]


class FakePhone(asyncio.DatagramProtocol):
    """A socket that sends RTP and keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.sources: list[tuple[str, int]] = []
        self._news = asyncio.Event()
        self.sequence = 100
        self.timestamp = 5000
        self.ssrc = 0xABCDEF01

    @classmethod
    async def make(cls) -> FakePhone:
        phone = cls()
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: phone, local_addr=(ADDRESS, 0))
        return phone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.address: tuple[str, int] = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append(data)
        self.sources.append(addr)
        self._news.set()

    def send(self, to: tuple[str, int], payload: bytes, payload_type: int = 0, *, marker: bool = False) -> bytes:
        """One packet of sound; returns it as sent."""
        packet = rtp.build(payload_type, self.sequence, self.timestamp, self.ssrc, payload, marker=marker)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp += len(payload)
        self.transport.sendto(packet, to)
        return packet

    async def wait(self, count: int, timeout: float = 20.0) -> list[bytes]:
        """Until so many packets have come."""
        async with asyncio.timeout(timeout):
            while len(self.got) < count:
                self._news.clear()
                await self._news.wait()
        return self.got[:count]

    async def speak(self, to: tuple[str, int], sound: bytes, *, payload_type: int = 0, frame: int = 160) -> None:
        """Send G.711 octets at the pace of the sound."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number, at in enumerate(range(0, len(sound), frame)):
            self.send(to, sound[at : at + frame], payload_type)
            await asyncio.sleep(max(0.0, begun + (number + 1) * frame / 8000 - loop.time()))

    def sound(self, law: Law = Law.ULAW, payload_type: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """All samples that came in that payload type, in order of arrival, from -1 to 1."""
        packets = [packet for data in self.got if (packet := rtp.parse(data)) and packet.payload_type == payload_type]
        return g711.decode(b"".join(p.payload for p in packets), law).astype(np.float64) / 32768

    def close(self) -> None:
        self.transport.close()


def sine(frequency: float, seconds: float, law: Law = Law.ULAW) -> bytes:
    """A tone as G.711 octets."""
    time = np.arange(round(seconds * 8000)) / 8000
    return g711.encode(np.rint(10000 * np.sin(2 * math.pi * frequency * time)).astype(np.int16), law)


def settings(remote: tuple[str, int], codec: int = 0, **more: object) -> StreamSettings:
    chosen = {"payload_types": dict(NAMES), "dtmf": 101, **more}
    return StreamSettings(remote, codec, **chosen)  # type: ignore[arg-type]


def clip(path: Path) -> Clip:
    return Clip(path, hashlib.sha256(path.read_bytes()).hexdigest())


@asynccontextmanager
async def engine(**plan: object) -> AsyncIterator[MediaControl]:
    """A running engine with a worker of its own."""
    chosen = {"address": ADDRESS, "ports": range(34000, 34400), "priority": False, **plan}
    control = MediaControl(LoopClock(asyncio.get_running_loop()), Metrics(), MediaPlan(**chosen))  # type: ignore[arg-type]
    await control.start()
    try:
        yield control
    finally:
        await control.close()
