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

    def take(self) -> tuple[socket.socket, socket.socket] | None:
        """Two bound sockets that do not block, or None when the whole range is taken."""
        for _ in range(len(self._ports)):
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            with contextlib.suppress(OSError):
                return self._bind(port)
        return None

    def _bind(self, port: int) -> tuple[socket.socket, socket.socket]:
        media = _open(self._address, port)
        try:
            return media, _open(self._address, port + 1)
        except OSError:
            media.close()
            raise


def _open(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        # RFC 4594: voice is Expedited Forwarding
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock
