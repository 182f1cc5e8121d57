"""A network inside the process, for simulations and tests: datagrams and streams that lose nothing unless told to.

Every delivery goes through the clock handed in, so that virtual time orders it. `fate` gives for each datagram the
delays after which it arrives: none when it is lost, two when it is doubled; `pace` how long octets of a stream take.
News runs in the context of whoever bound the socket, so that a simulation can tell to whom it belongs.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context

from base.clock import Clock
from pbx.transport.network import (
    Accept,
    Datagrams,
    Endpoint,
    EnumRule,
    Listener,
    Naptr,
    Receive,
    Srv,
    Stream,
    StreamUser,
)

Fate = Callable[[bytes, Endpoint, Endpoint], Sequence[float]]
Pace = Callable[[bytes, Endpoint, Endpoint], float]


def _at_once(data: bytes, source: Endpoint, destination: Endpoint) -> Sequence[float]:
    return (0.0,)


def _instant(data: bytes, source: Endpoint, destination: Endpoint) -> float:
    return 0.0


class _MemoryDatagrams:
    def __init__(self, network: MemoryNetwork, local: Endpoint, receive: Receive) -> None:
        self._network = network
        self._local = local
        self._receive = receive
        self._context = copy_context()

    def arrive(self, data: bytes, source: Endpoint) -> None:
        self._context.run(self._receive, data, source)

    @property
    def local(self) -> Endpoint:
        return self._local

    def send(self, data: bytes, destination: Endpoint) -> None:
        self._network.carry(data, self._local, destination)

    async def close(self) -> None:
        self._network.forget(self)


class _MemoryStream:
    def __init__(self, network: MemoryNetwork, local: Endpoint, remote: Endpoint, context: Context) -> None:
        self._network = network
        self._local = local
        self._remote = remote
        self._context = context
        self._coming: deque[bytes] = deque()
        self.other: _MemoryStream | None = None
        self.user: StreamUser | None = None
        self._open = True

    def begin(self, accept: Accept) -> None:
        self.user = self._context.run(accept, self)

    @property
    def local(self) -> Endpoint:
        return self._local

    @property
    def remote(self) -> Endpoint:
        return self._remote

    @property
    def unsent(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        other = self.other
        if self._open and other is not None:
            other._coming.append(data)
            self._network.later(self._network.pace(data, self._local, self._remote), other.arrive)

    def arrive(self) -> None:
        data = self._coming.popleft()  # whatever their delays, octets stay in order
        if self._open and self.user is not None:
            self._context.run(self.user.received, data)

    def close(self) -> None:
        for end in (self, self.other):
            if end is not None:
                self._network.later(0.0, end.end)

    def abort(self) -> None:
        self.close()

    def end(self) -> None:
        if self._open:
            self.vanish()
            if self.user is not None:
                self._context.run(self.user.ended)

    def vanish(self) -> None:
        """The end of this end, without a word to its user."""
        self._open = False
        self._network.streams.discard(self)


class _MemoryListener:
    def __init__(self, network: MemoryNetwork, local: Endpoint, accept: Accept) -> None:
        self._network = network
        self._local = local
        self.accept = accept
        self.context = copy_context()

    @property
    def local(self) -> Endpoint:
        return self._local

    async def close(self) -> None:
        self._network.silence(self)


class MemoryNetwork:
    """One network with any number of hosts; an address exists as soon as something binds it."""

    def __init__(
        self,
        clock: Clock,
        *,
        fate: Fate = _at_once,
        pace: Pace = _instant,
        names: Mapping[str, Sequence[str]] | None = None,
        naptrs: Mapping[str, Sequence[Naptr]] | None = None,
        services: Mapping[str, Sequence[Srv]] | None = None,
        numbers: Mapping[str, Sequence[EnumRule]] | None = None,
    ) -> None:
        self._clock = clock
        self._context = copy_context()
        self.fate = fate
        self.pace = pace
        self.streams: set[_MemoryStream] = set()
        self._names = dict(names or {})
        self._naptrs = dict(naptrs or {})
        self._services = dict(services or {})
        self._numbers = dict(numbers or {})
        self._sockets: dict[Endpoint, _MemoryDatagrams] = {}
        self._listeners: dict[Endpoint, _MemoryListener] = {}
        self._ports = itertools.count(49_152)

    def add_names(self, names: Mapping[str, Sequence[str]]) -> None:
        """More hosts for the DNS."""
        self._names.update(names)

    def _bind(self, local: Endpoint) -> Endpoint:
        return local if local[1] else (local[0], next(self._ports))

    async def datagrams(self, local: Endpoint, receive: Receive) -> Datagrams:
        return self.open(local, receive)

    def open(self, local: Endpoint, receive: Receive) -> Datagrams:
        """`datagrams` for a test that is not a coroutine."""
        bound = self._bind(local)
        if bound in self._sockets:
            raise OSError(f"{bound[0]}:{bound[1]} is in use")
        made = self._sockets[bound] = _MemoryDatagrams(self, bound, receive)
        return made

    def carry(self, data: bytes, source: Endpoint, destination: Endpoint) -> None:
        """Let one datagram travel."""
        for delay in self.fate(data, source, destination):
            self.later(delay, lambda: self.arrive(data, source, destination))

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """What is on its way arrives, whatever becomes of its sender."""
        self._context.run(self._clock.call_later, delay, action)

    def arrive(self, data: bytes, source: Endpoint, destination: Endpoint) -> None:
        taker = self._sockets.get(destination) or self._sockets.get(("0.0.0.0", destination[1]))
        if taker is not None:
            taker.arrive(data, source)

    def forget(self, gone: _MemoryDatagrams) -> None:
        if self._sockets.get(gone.local) is gone:
            del self._sockets[gone.local]

    def silence(self, gone: _MemoryListener) -> None:
        if self._listeners.get(gone.local) is gone:
            del self._listeners[gone.local]

    async def listen(self, local: Endpoint, accept: Accept) -> Listener:
        bound = self._bind(local)
        if bound in self._listeners:
            raise OSError(f"{bound[0]}:{bound[1]} is in use")
        made = self._listeners[bound] = _MemoryListener(self, bound, accept)
        return made

    async def connect(self, remote: Endpoint, accept: Accept, *, local_host: str = "") -> Stream:
        listener = self._listeners.get(remote) or self._listeners.get(("0.0.0.0", remote[1]))
        if listener is None:
            raise ConnectionRefusedError(f"nobody listens at {remote[0]}:{remote[1]}")
        here = _MemoryStream(self, (local_host or "127.0.0.1", next(self._ports)), remote, copy_context())
        there = _MemoryStream(self, remote, here.local, listener.context.copy())
        here.other, there.other = there, here
        self.streams |= {here, there}
        there.begin(listener.accept)
        here.begin(accept)
        return here

    def sever(self, host: str) -> None:
        """All streams of a host break; both ends are told."""
        for stream in self._streams_of(host):
            stream.abort()

    def unplug(self, host: str) -> None:
        """A host's power is cut: its sockets are gone and told nothing; the peers of its streams find them broken."""
        for bound in [bound for bound in self._sockets if bound[0] == host]:
            del self._sockets[bound]
        for bound in [bound for bound in self._listeners if bound[0] == host]:
            del self._listeners[bound]
        for stream in self._streams_of(host):
            stream.abort()
            stream.vanish()

    def _streams_of(self, host: str) -> list[_MemoryStream]:
        return sorted((each for each in self.streams if each.local[0] == host), key=lambda each: each.remote)

    async def look_up(self, host: str) -> Sequence[str]:
        return tuple(self._names.get(host, ()))

    async def naptr(self, domain: str) -> Sequence[Naptr]:
        return tuple(self._naptrs.get(domain, ()))

    async def enum(self, name: str) -> Sequence[EnumRule]:
        return self._numbers.get(name, ())

    async def srv(self, name: str) -> Sequence[Srv]:
        return tuple(self._services.get(name, ()))

    def facing(self, remote: str) -> str:
        return next((local[0] for local in self._sockets if local[0] != "0.0.0.0"), "127.0.0.1")
