"""The addresses and names of this machine: telephones may be set to any of them, and all mean this server.

Linux only; elsewhere the address that faces the world and the loopback are all that is known.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from pathlib import Path

ANYWHERE = ("0.0.0.0", "::")


def own_names(listened: Iterable[str], advertised: str) -> list[str]:
    """Names and numeric addresses, without doubles; the machine's full name first."""
    listened = list(listened)
    names = [socket.getfqdn(), socket.gethostname(), advertised, *listened]
    if any(host in ANYWHERE for host in listened):
        names += [*own_addresses(), "127.0.0.1", "::1"]
    return [name for name in dict.fromkeys(names) if name and name not in ANYWHERE]


def own_addresses(proc: Path = Path("/proc/net")) -> list[str]:
    """Every address of every interface, as the kernel lists them."""
    found: list[str] = []
    try:
        trie = (proc / "fib_trie").read_text()
        found += re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", trie)
    except OSError:
        found += _facing_the_world()
    try:
        rows = (proc / "if_inet6").read_text().splitlines()
        found += [str(ipaddress.IPv6Address(int(row.split()[0], 16))) for row in rows]
    except OSError:
        pass
    return list(dict.fromkeys(found))


def _facing_the_world() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a datagram socket's connect sends nothing
        except OSError:
            return []
        return [str(probe.getsockname()[0])]
