"""A whole server for programs of all kinds: every transport on IPv4, and the same on ::1."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.scenes.site import Site

TLS_PORT, WSS_PORT = 15061, 15089


def free_port() -> int:
    """A port of ::1 that nobody has: there is but one IPv6 loopback address for all scenes that run side by side."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.bind(("::1", 0))
        return int(sock.getsockname()[1])


class Everywhere(Site):
    """UDP and TCP on `sip_port`, TLS and WSS on ports of their own; UDP and TCP on `six_port` of ::1."""

    def __init__(self, data: Path, settings: str = "") -> None:
        super().__init__(data, settings)
        self.six_port = free_port()

    def _configuration(self) -> str:
        host = self.host
        listens = [
            f"{host}:{self.sip_port}", f"tls:{host}:{TLS_PORT}", f"wss:{host}:{WSS_PORT}", f"[::1]:{self.six_port}",
        ]  # fmt: skip
        return super()._configuration().replace(f'listen = "{host}:{self.sip_port}"', f"listen = {listens!r}")
