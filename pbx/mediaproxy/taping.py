"""The main process's end of one tape: two streams recorded in stereo, whoever they are at the time.

Not here: the samples (`recorder`, in the worker), the file (`spool`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from base.log import get_logger
from pbx.mediaproxy import protocol
from pbx.mediaproxy.engine import MediaStream
from pbx.mediaproxy.spool import Recording, Report, Trouble

_log = get_logger("pbx.mediaproxy")


class Desk(Protocol):
    """What a tape needs of its engine."""

    def tell(self, command: protocol.Command) -> None: ...

    def write(self, recording: Recording, samples: bytes, trouble: Trouble) -> None: ...

    def finish(self, recording: Recording, report: Report) -> None: ...


class WorkerTape:
    """Implements `MediaTape`. `told` gets its cause and its seconds, once, when the file is closed."""

    def __init__(self, engine: Desk, number: int, path: Path, told: Callable[[str, float], None]) -> None:
        self._engine = engine
        self._number = number
        self._recording = Recording(path, channels=2)
        self._told: Callable[[str, float], None] | None = told
        self._ended = False
        self._write(b"")

    def turn(self, left: MediaStream | None, right: MediaStream | None) -> None:
        if not self._ended:
            sides = (0 if side is None else side.id for side in (left, right))
            self._engine.tell(protocol.Tape(self._number, *sides))

    def end(self) -> None:
        if not self._ended:
            self._engine.tell(protocol.EndTape(self._number))

    # --- news from the worker

    def sound(self, samples: bytes, cause: str) -> None:
        """A piece; with a cause the last one."""
        if self._ended:
            return
        self._write(samples)
        if cause:
            self._close(cause)

    def lose(self) -> None:
        """The worker has died: what had come until then is kept."""
        if not self._ended:
            self._close("lost")

    def _close(self, cause: str) -> None:
        self._ended = True
        self._engine.finish(self._recording, lambda seconds: self._tell(cause, seconds))

    def _write(self, samples: bytes) -> None:
        self._engine.write(self._recording, samples, self._failed)

    def _failed(self, error: OSError) -> None:
        """The disk is full, or the folder is gone; the file is removed."""
        _log.error("recording failed", path=str(self._recording.path), error=str(error))
        self.end()
        self._ended = True
        self._tell("failed", 0.0)

    def _tell(self, cause: str, seconds: float) -> None:
        told, self._told = self._told, None
        if told is not None:
            told(cause, seconds)
