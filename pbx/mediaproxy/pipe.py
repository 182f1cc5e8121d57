"""Media over TCP (MSRP, BFCP): octets passed on between two parties. RFC 4145, RFC 4975.

Who is active connects to a port of ours; to who is passive we connect, once the other one is there or is passive too.
Nothing is read or changed. Not here: the poll, which the worker lends.

Missing: paths of MSRP for ends that do not know CEMA (RFC 6714): each message names the paths of both ends, and one
whose To-Path is not that of its receiver is refused with 481 (RFC 4975 §7.3), so that an a=path of ours would mean to
read and rewrite all messages, also those under TLS from end to end.
"""

from __future__ import annotations

import select
import socket
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from pbx.mediaproxy.engine import StreamSettings

# Limit: octets that wait for a slow reader before the fast writer is not read any more.
_MOST_WAITING = 1 << 16
_PIECE = 1 << 14


class Poll(Protocol):
    """The worker's: `heed` calls back with the events of a socket, `forget` ends that."""

    def heed(self, sock: socket.socket, events: int, work: Callable[[int], None]) -> None: ...

    def forget(self, sock: socket.socket) -> None: ...


class _Connection:
    """One TCP connection with what waits to be written."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.waiting = bytearray()
        self.ended = False  # they have said all
        self.shut = False  # we have said all

    @property
    def full(self) -> bool:
        return len(self.waiting) >= _MOST_WAITING


class Pipe:
    """One party's end: a listening port, and at most one connection."""

    def __init__(self, number: int, listener: socket.socket, poll: Poll, counted: Counter[str]) -> None:
        self.number = number
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._poll = poll
        self._counted = counted
        self._settings: StreamSettings | None = None
        self._peer: Pipe | None = None
        self._connection: _Connection | None = None
        self.octets_in = self.octets_out = 0

    def configure(self, settings: StreamSettings) -> None:
        """Take what was negotiated; who was quicker than its answer waits before the listening port until then."""
        if self._settings is None:
            self._poll.heed(self._listener, select.EPOLLIN, self._accept)
        self._settings = settings
        self._go_on()

    def connect(self, other: Pipe) -> None:
        if other is self or self._peer is other:
            return
        for side in (self, other):
            if side._peer is not None:  # who has connected already stays
                side.disconnect()
        self._peer, other._peer = other, self
        self._go_on()
        other._go_on()

    def disconnect(self) -> None:
        """Both parties lose their connection."""
        peer, self._peer = self._peer, None
        self._drop()
        if peer is not None:
            peer._peer = None
            peer._drop()

    def close(self) -> None:
        self.disconnect()
        self._poll.forget(self._listener)
        self._listener.close()

    # --- connections

    def _accept(self, _events: int) -> None:
        try:
            sock, source = self._listener.accept()
        except OSError:
            return
        if self._connection is not None or not self._expected(source[0]):
            self._counted["media.strangers"] += 1
            sock.close()
            return
        self._take(sock)
        self._go_on()

    def _expected(self, host: str) -> bool:
        """The address that signalling named, or where signalling came from."""
        settings = self._settings
        if settings is None:
            return False
        return host == settings.remote[0] or (settings.guess is not None and host == settings.guess[0])

    def _take(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = _Connection(sock)
        self._poll.heed(sock, 0, self._ready)

    def _go_on(self) -> None:
        """Connect to who waits for us, but not before there is somebody to talk to."""
        peer = self._peer
        if peer is None:
            return
        for side, other in ((self, peer), (peer, self)):
            if side._connection is None and side._active and (other._connection is not None or other._active):
                side._reach()
        self._listen_in()
        peer._listen_in()

    @property
    def _active(self) -> bool:
        return self._settings is not None and self._settings.active and self._settings.remote[1] > 0

    def _reach(self) -> None:
        assert self._settings is not None
        sock = socket.socket(self._listener.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            # a private address that a party outside names is not its own, but maybe that of a machine beside us
            sock.connect_ex(self._settings.guess or self._settings.remote)
        except (OSError, OverflowError):
            self._counted["media.send_failed"] += 1
            sock.close()
            return
        self._take(sock)

    # --- octets

    def _ready(self, events: int) -> None:
        connection, peer = self._connection, self._peer
        if connection is None:
            return
        if events & (select.EPOLLERR | select.EPOLLHUP) and not events & select.EPOLLIN:
            self._end()
            return
        if events & select.EPOLLIN and peer is not None:
            self._read(connection, peer)
        if events & select.EPOLLOUT and self._connection is connection:
            self._write(connection)
        self._listen_in()
        if peer is not None:
            peer._listen_in()

    def _read(self, connection: _Connection, peer: Pipe) -> None:
        try:
            data = connection.sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        far = peer._connection
        if not data:
            connection.ended = True
            if far is None or far.ended:
                self._end()
        elif far is not None:
            self.octets_in += len(data)
            far.waiting += data

    def _write(self, connection: _Connection) -> None:
        if not connection.waiting:
            return
        try:
            sent = connection.sock.send(connection.waiting)
        except BlockingIOError:
            return
        except OSError:
            self._end()
            return
        self.octets_out += sent
        del connection.waiting[:sent]

    def _listen_in(self) -> None:
        """Ask the poll for what can be done now: read while the other side keeps up, write what waits."""
        connection, peer = self._connection, self._peer
        if connection is None:
            return
        far = None if peer is None else peer._connection
        if far is not None and far.ended and not connection.waiting and not connection.shut:
            connection.shut = True
            try:
                connection.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        reading = far is not None and not far.full and not connection.ended
        writing = bool(connection.waiting)
        events = (select.EPOLLIN if reading else 0) | (select.EPOLLOUT if writing else 0)
        self._poll.heed(connection.sock, events, self._ready)

    def _end(self) -> None:
        """Both connections end; the ports stay, so that the parties may connect again."""
        self._drop()
        if self._peer is not None:
            self._peer._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._poll.forget(connection.sock)
            connection.sock.close()
