"""Notices that this machine has got an address or lost one, while the server runs.

The kernel tells by netlink that something changed; what there is now is read as at the start (`server.addresses`). It
runs only where the server listens on all addresses. Linux only; elsewhere nothing is noticed. rtnetlink(7)
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable

from base.log import get_logger
from server.addresses import own_addresses

_ADDRESSES_CHANGED = 0x10 | 0x100
"""RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of linux/rtnetlink.h."""
_SETTLING = 0.5
"""Seconds: an interface that comes up makes several changes."""

_log = get_logger("server")


class AddressWatch:
    """`start` it; `came` and `went` are told each address."""

    def __init__(
        self,
        came: Callable[[str], None],
        went: Callable[[str], None],
        read: Callable[[], Iterable[str]] = own_addresses,
    ) -> None:
        self._came = came
        self._went = went
        self._read = read
        self._known = set(read())
        self._channel: socket.socket | None = None
        self._later: asyncio.TimerHandle | None = None

    def start(self, channel: socket.socket | None = None) -> None:
        """`channel`: where the news comes, readable when something has changed; the kernel's by default."""
        try:
            self._channel = channel or _netlink()
        except (OSError, AttributeError):
            _log.info("changes of this machine's addresses are not noticed")
            return
        self._channel.setblocking(False)
        asyncio.get_running_loop().add_reader(self._channel, self._news)

    def close(self) -> None:
        if self._later is not None:
            self._later.cancel()
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self._channel = None

    def _news(self) -> None:
        channel = self._channel
        if channel is None:
            return
        try:
            while channel.recv(65_536):
                pass
        except BlockingIOError:
            pass
        except OSError:  # ENOBUFS: so much has changed that some of it was not told
            pass
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(_SETTLING, self.compare)

    def compare(self) -> None:
        """Read what there is, and tell the differences."""
        self._later = None
        now = set(self._read())
        for host in sorted(now - self._known):
            _log.info("address came", host=host)
            self._came(host)
        for host in sorted(self._known - now):
            _log.info("address went", host=host)
            self._went(host)
        self._known = now


def _netlink() -> socket.socket:
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        channel.bind((0, _ADDRESSES_CHANGED))
    except OSError:
        channel.close()
        raise
    return channel
