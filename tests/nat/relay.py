"""A small relay for datagrams of SIP that swaps those which follow each other closely, and doubles some.

Run as a program it is the relay; `Shuffler` starts it on a machine of the world."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from select import select
from types import TracebackType

from tests.nat.world import Host

DOUBLE = 5
PATIENCE = 0.1
"""Seconds that a datagram waits for the one that is to overtake it."""


class Shuffler:
    """One relay; `swapped` and `doubled` are known when it has been left."""

    def __init__(self, machine: Host, server: tuple[str, int]) -> None:
        self._machine = machine
        self._server = server
        self._process: asyncio.subprocess.Process | None = None
        self.swapped = self.doubled = 0

    async def __aenter__(self) -> Shuffler:
        self._process = await asyncio.create_subprocess_exec(
            *self._machine.before, sys.executable, __file__, self._machine.address, *map(str, self._server),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        assert self._process.stdout is not None
        await asyncio.wait_for(self._process.stdout.readline(), 10)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self._process is not None
        output, _stderr = await asyncio.wait_for(self._process.communicate(b""), 10)
        self.swapped, self.doubled = json.loads(output)


class _Way:
    """One direction."""

    def __init__(self) -> None:
        self.held: tuple[bytes, float] | None = None
        self.count = self.swapped = self.doubled = 0

    def take(self, data: bytes) -> list[bytes]:
        """What goes out now that this one has come in."""
        if self.held is not None:
            before, self.held = self.held[0], None
            self.swapped += 1
            return [data, *self._some_twice(before)]
        self.held = (data, time.monotonic())
        return []

    def late(self) -> list[bytes]:
        """What has waited long enough."""
        if self.held is None or time.monotonic() - self.held[1] < PATIENCE:
            return []
        data, self.held = self.held[0], None
        return self._some_twice(data)

    def _some_twice(self, data: bytes) -> list[bytes]:
        self.count += 1
        if self.count % DOUBLE:
            return [data]
        self.doubled += 1
        return [data, data]


def main(own: str, server: tuple[str, int]) -> None:
    """One telephone at a time: what comes from the server goes to whom it last heard."""
    outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    outside.bind((own, 5060))
    inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inside.bind((own, 0))
    phone: tuple[str, int] | None = None
    there, back = _Way(), _Way()
    print("ready", flush=True)
    while True:
        ready, _, _ = select([outside, inside, sys.stdin], [], [], 0.02)
        if sys.stdin in ready:
            break
        if outside in ready:
            data, phone = outside.recvfrom(65535)
            for each in there.take(data):
                inside.sendto(each, server)
        if inside in ready and phone is not None:
            for each in back.take(inside.recv(65535)):
                outside.sendto(each, phone)
        for each in there.late():
            inside.sendto(each, server)
        if phone is not None:
            for each in back.late():
                outside.sendto(each, phone)
    print(json.dumps([there.swapped + back.swapped, there.doubled + back.doubled]))


if __name__ == "__main__":
    main(sys.argv[1], (sys.argv[2], int(sys.argv[3])))
