"""Messages on their way in: small ones in memory, large ones in an unlinked file; all together bounded."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import IO

from base.failures import Failure
from mail.store.model import MAX_MESSAGE

# Limit: octets on their way in over all sessions, and those of one message held in memory.
MAX_TOTAL = 1024 * 1024 * 1024
IN_MEMORY = 1024 * 1024
_PIECE = 256 * 1024


class SpooledUploads:
    """`folder` holds the files; `run` runs blocking work elsewhere than on the loop."""

    def __init__(self, folder: Path | None, run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._folder = folder
        self._run = run
        self._total = 0

    def open(self, size: int) -> SpooledUpload:
        """Raises Failure("full") when the message is too large, "busy" when too much is on its way."""
        if size > MAX_MESSAGE:
            raise Failure("full", "the message is too large")
        if self._total + size > MAX_TOTAL:
            raise Failure("busy", "too many messages on their way", temporary=True)
        self._total += size
        return SpooledUpload(size, self._folder, self._run, self._closed)

    def _closed(self, size: int) -> None:
        self._total -= size


class SpooledUpload:
    """One message. The writing thread of the store reads it by `pieces`."""

    def __init__(
        self,
        size: int,
        folder: Path | None,
        run: Callable[[Callable[[], None]], Awaitable[None]],
        closed: Callable[[int], None],
    ) -> None:
        self.size = size
        self._folder = folder
        self._run = run
        self._closed: Callable[[int], None] | None = closed
        self._memory = bytearray()
        self._file: IO[bytes] | None = None

    async def write(self, octets: bytes) -> None:
        """Raises Failure("full") when the disk is."""
        self._memory += octets
        if len(self._memory) < IN_MEMORY:
            return
        spilling = asyncio.ensure_future(self._run(self._spill))
        try:
            await asyncio.shield(spilling)
        except asyncio.CancelledError:
            # The thread has the file in its hands: nobody may close it before.
            await asyncio.wait((spilling,))
            raise

    def _spill(self) -> None:
        """In another thread. The session waits for it, so nobody else touches this upload."""
        try:
            if self._file is None:
                if self._folder is not None:
                    self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by `close`
            self._file.write(self._memory)
        except OSError as error:
            raise Failure("full", "no space left in the store", private=str(error), temporary=True) from error
        self._memory.clear()

    def pieces(self) -> Iterator[bytes]:
        """In the writing thread, after the last `write`."""
        if self._file is not None:
            self._file.seek(0)
            while piece := self._file.read(_PIECE):
                yield piece
        yield bytes(self._memory)

    def close(self) -> None:
        if self._closed is not None:
            self._closed(self.size)
            self._closed = None
        if self._file is not None:
            self._file.close()
            self._file = None
        self._memory.clear()
