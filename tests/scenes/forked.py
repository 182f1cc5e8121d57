"""Servers of the scenes as children of one process that has loaded their code already: a start costs a fifth.

What runs is `tandem serve` itself, with its arguments; only reading the code is shared. The machine of a scene behind a
router is entered by a command, so there the server is started as everywhere else.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.scenes.loaded"])


def _serve(arguments: list[str], log: str) -> None:
    """In the child: the command, with its words in `log`."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from server.command import app

    app(arguments)


class Forked:
    """One of them; it is waited for and ended as an `asyncio.subprocess.Process` is."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._process: ForkServerProcess = _context.Process(target=_serve, args=(arguments, str(log)))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    async def wait(self) -> int:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()
