"""The network of a simulated town: weather over the datagrams, routers before some homes, homes that are cut off.

It carries and translates; what the octets mean is seen in `watch`. A router here is of the kind that most homes have:
it gives a mapping to whoever sends, and lets in what comes to it (RFC 4787 §4, §5: endpoint-independent).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import Accept, Endpoint, Stream
from tests.simulation.clock import VirtualClock

SERVER = ("10.0.0.1", 5060)
STRANGER = ("203.0.113.66", 40_000)

See = Callable[[bytes, Endpoint, Endpoint, int], None]


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does to datagrams; streams are only slow."""

    loss: float = 0.0
    double: float = 0.0
    jitter: float = 0.0

    @classmethod
    def drawn(cls, rng: random.Random) -> Weather:
        if rng.random() < 0.4:
            return cls()
        return cls(rng.choice((0.0, 0.05, 0.2)), rng.choice((0.0, 0.1)), rng.choice((0.0, 0.05, 0.8)))

    @property
    def pause(self) -> float:
        """Seconds between two words, so that in each minute some are heard."""
        return 10.0 if self.loss > 0.1 else 20.0 if self.loss else 50.0

    @property
    def calm(self) -> bool:
        return self == Weather()


class Router:
    """Translates between one home and the world; `rebind` forgets all mappings, and may get it another address."""

    def __init__(self, inner: str, outer: str) -> None:
        self.inner = inner
        self.outer = outer
        self._ports = itertools.count(20_000)
        self._out: dict[int, int] = {}
        self._in: dict[int, int] = {}

    def outward(self, source: Endpoint) -> Endpoint:
        port = self._out.get(source[1])
        if port is None:
            port = self._out[source[1]] = next(self._ports)
            self._in[port] = source[1]
        return self.outer, port

    def inward(self, destination: Endpoint) -> Endpoint | None:
        port = self._in.get(destination[1])
        return None if port is None else (self.inner, port)

    def rebind(self, outer: str) -> None:
        self.outer = outer
        self._out.clear()
        self._in.clear()


class TownNetwork(MemoryNetwork):
    """`see` is told of all that is sent: from where, to where, and how many copies will arrive."""

    port = 5060
    """Where a telephone listens at its address."""

    def __init__(self, clock: VirtualClock, rng: random.Random, weather: Weather, see: See) -> None:
        super().__init__(clock, fate=self._fate, pace=self._pace)
        self.weather = weather
        self.cut: set[str] = set()
        """Homes (by their inner address) that nothing leaves or reaches."""
        self._rng = rng
        self._see = see
        self._by_inner: dict[str, Router] = {}
        self._by_outer: dict[str, Router] = {}

    def add_router(self, inner: str, outer: str) -> None:
        self._by_inner[inner] = self._by_outer[outer] = Router(inner, outer)

    def rebind(self, inner: str, outer: str) -> None:
        """The router of that home loses its mappings, and its connections with them."""
        router = self._by_inner[inner]
        self.sever(router.outer)
        self._by_outer.pop(router.outer)
        router.rebind(outer)
        self._by_outer[outer] = router

    def outer(self, inner: str) -> str:
        """The address that the world sees of a home."""
        router = self._by_inner.get(inner)
        return inner if router is None else router.outer

    def home(self, host: str) -> str:
        """Whose address that is now."""
        router = self._by_outer.get(host)
        return host if router is None else router.inner

    def carry(self, data: bytes, source: Endpoint, destination: Endpoint) -> None:
        router = self._by_inner.get(source[0])
        super().carry(data, source if router is None else router.outward(source), destination)

    def arrive(self, data: bytes, source: Endpoint, destination: Endpoint) -> None:
        inner: Endpoint | None = destination
        if destination[0] in self._by_inner:
            inner = None  # a private address means nothing out here
        elif (router := self._by_outer.get(destination[0])) is not None:
            inner = router.inward(destination)
        if inner is not None and inner[0] not in self.cut:
            super().arrive(data, source, inner)

    def _fate(self, data: bytes, source: Endpoint, destination: Endpoint) -> Sequence[float]:
        weather, rng = self.weather, self._rng
        copies = 0 if rng.random() < weather.loss else 2 if rng.random() < weather.double else 1
        if self.cut and (self.home(source[0]) in self.cut or self.home(destination[0]) in self.cut):
            copies = 0
        self._see(data, source, destination, copies)
        return [0.01 + rng.random() * weather.jitter for _ in range(copies)]

    def _pace(self, data: bytes, source: Endpoint, destination: Endpoint) -> float:
        self._see(data, source, destination, 1)
        return 0.01 + self._rng.random() * self.weather.jitter

    async def connect(self, remote: Endpoint, accept: Accept, *, local_host: str = "") -> Stream:
        if local_host in self.cut:
            raise OSError("no way out")
        return await super().connect(remote, accept, local_host=self.outer(local_host))

    def facing(self, remote: str) -> str:
        return SERVER[0]
