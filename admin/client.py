"""The blocking end of the control socket, for the command line. It loads nothing of the server: commands start fast."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from admin import wire
from admin.ports import Json
from base.failures import Failure


class NotRunning(Exception):
    """No server answers in this data folder."""


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """A name for `path` that fits into sockaddr_un (108 octets), however deep the folder lies."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def call(
    path: Path, act: str, arguments: Mapping[str, Json], who: wire.Who = wire.LOCAL_USER, *, timeout: float = 60.0
) -> Json:
    """Perform one act through the socket at `path`. Blocks. Raises NotRunning, or the Failure of the act."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            with short_address(path) as address:
                connection.connect(address)
        except PermissionError as error:
            raise Failure("denied", f"no permission to use {path}: run as the server's user") from error
        except OSError as error:
            raise NotRunning(f"no server is running with the data folder {path.parent}") from error
        try:
            connection.sendall(wire.format_request(wire.Request(act, arguments, who)))
            with connection.makefile("rb") as stream:
                line = stream.readline(wire.LINE_LIMIT)
        except OSError as error:
            raise Failure("unavailable", f"the server did not answer: {error}") from error
    if not line.endswith(b"\n"):
        raise Failure("unavailable", "the server ended before it answered")
    return wire.parse_answer(line)
