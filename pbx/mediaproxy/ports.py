"""Pairs of UDP ports for RTP and RTCP: even and the next one; a port that somebody has is skipped. RFC 3550 §11."""

from __future__ import annotations

import contextlib
import socket

# Limit: our own buffers hold a burst of some 200 packets a stream while the worker is busy elsewhere.
_BUFFER = 1 << 17


class PortPairs:
    """Takes pairs from a range, going round, so that a port just freed is not used again at once."""

    def __init__(self, address: str, ports: range) -> None:
        first = ports.start + (ports.start & 1)
        self._address = address
        self._ports = range(first, ports.stop - 1, 2)
        self._next = 0

    def take(self, *, ipv6: bool = False) -> tuple[socket.socket, socket.socket] | None:
        """Two bound sockets that do not block, or None when the whole range is taken. For IPv6 they are bound to all
        addresses, unless the one of the settings is IPv6."""
        address = self._address if ipv6 == (":" in self._address) else "::" if ipv6 else "0.0.0.0"
        for _ in range(len(self._ports)):
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            with contextlib.suppress(OSError):
                return _bind(address, port)
        return None

    def listen(self, *, ipv6: bool = False) -> socket.socket | None:
        """A listening TCP socket on a port of the range, or None."""
        address = self._address if ipv6 == (":" in self._address) else "::" if ipv6 else "0.0.0.0"
        for _ in range(len(self._ports)):
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            with contextlib.suppress(OSError):
                return _listening(address, port)
        return None


def _listening(address: str, port: int) -> socket.socket:
    ipv6 = ":" in address
    sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(4)
    except OSError:
        sock.close()
        raise
    return sock


def _bind(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    media = _open(address, port)
    try:
        return media, _open(address, port + 1)
    except OSError:
        media.close()
        raise


def _open(address: str, port: int) -> socket.socket:
    ipv6 = ":" in address
    sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        # RFC 4594: voice is Expedited Forwarding
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0xB8)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock
