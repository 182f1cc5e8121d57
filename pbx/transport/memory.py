"""A network inside the process, for simulations and tests: datagrams and streams that lose nothing unless told to.

Every delivery goes through the clock handed in, so that virtual time orders it. `fate` gives for each datagram the
delays after which it arrives: none when it is lost, two when it is doubled.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from base.clock import Clock
from pbx.transport.network import Accept, Datagrams, Endpoint, Listener, Naptr, Receive, Srv, Stream, StreamUser

Fate = Callable[[bytes, Endpoint, Endpoint], Sequence[float]]


def _at_once(data: bytes, source: Endpoint, destination: Endpoint) -> Sequence[float]:
    return (0.0,)


class _MemoryDatagrams:
    def __init__(self, network: MemoryNetwork, local: Endpoint, receive: Receive) -> None:
        self._network = network
        self._local = local
        self.receive = receive

    @property
    def local(self) -> Endpoint:
        return self._local

    def send(self, data: bytes, destination: Endpoint) -> None:
        self._network.carry(data, self._local, destination)

    async def close(self) -> None:
        self._network.forget(self)


class _MemoryStream:
    def __init__(self, clock: Clock, local: Endpoint, remote: Endpoint) -> None:
        self._clock = clock
        self._local = local
        self._remote = remote
        self.other: _MemoryStream | None = None
        self.user: StreamUser | None = None
        self._open = True

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
            self._clock.call_later(0.0, lambda: other.arrive(data))

    def arrive(self, data: bytes) -> None:
        if self._open and self.user is not None:
            self.user.received(data)

    def close(self) -> None:
        for end in (self, self.other):
            if end is not None:
                self._clock.call_later(0.0, end.end)

    def abort(self) -> None:
        self.close()

    def end(self) -> None:
        if self._open:
            self._open = False
            if self.user is not None:
                self.user.ended()


class _MemoryListener:
    def __init__(self, network: MemoryNetwork, local: Endpoint, accept: Accept) -> None:
        self._network = network
        self._local = local
        self.accept = accept

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
        names: Mapping[str, Sequence[str]] | None = None,
        naptrs: Mapping[str, Sequence[Naptr]] | None = None,
        services: Mapping[str, Sequence[Srv]] | None = None,
    ) -> None:
        self._clock = clock
        self.fate = fate
        self._names = dict(names or {})
        self._naptrs = dict(naptrs or {})
        self._services = dict(services or {})
        self._sockets: dict[Endpoint, _MemoryDatagrams] = {}
        self._listeners: dict[Endpoint, _MemoryListener] = {}
        self._ports = itertools.count(49_152)

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
            self._clock.call_later(delay, lambda: self._arrive(data, source, destination))

    def _arrive(self, data: bytes, source: Endpoint, destination: Endpoint) -> None:
        taker = self._sockets.get(destination) or self._sockets.get(("0.0.0.0", destination[1]))
        if taker is not None:
            taker.receive(data, source)

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
        here = _MemoryStream(self._clock, (local_host or "127.0.0.1", next(self._ports)), remote)
        there = _MemoryStream(self._clock, remote, here.local)
        here.other, there.other = there, here
        there.user = listener.accept(there)
        here.user = accept(here)
        return here

    async def look_up(self, host: str) -> Sequence[str]:
        return tuple(self._names.get(host, ()))

    async def naptr(self, domain: str) -> Sequence[Naptr]:
        return tuple(self._naptrs.get(domain, ()))

    async def srv(self, name: str) -> Sequence[Srv]:
        return tuple(self._services.get(name, ()))

    def facing(self, remote: str) -> str:
        return next((local[0] for local in self._sockets if local[0] != "0.0.0.0"), "127.0.0.1")
