"""The spool of the main process: recordings written by a thread, whole and playable after each piece.

Samples are written first and the sizes in the header after them, so a file read at any moment is a good WAV that lacks
at most the last piece. Not here: what the worker does.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from base.log import get_logger
from pbx.mediaproxy.wav import HEADER_SIZE, RATE, header

_log = get_logger("pbx.mediaproxy")

# Limit: pieces waiting for a slow disk; half a second each.
_LONGEST_QUEUE = 20000

Report = Callable[[float], None]
Trouble = Callable[[OSError], None]


@dataclass(slots=True)
class Recording:
    """One file being written; only the spool's thread writes it."""

    path: Path
    channels: int = 1
    octets: int = 0
    descriptor: int = -1
    failed: bool = field(default=False)
    """Nothing more of it is written."""

    @property
    def seconds(self) -> float:
        return self.octets / (2 * self.channels * RATE)

    def write(self, samples: bytes) -> None:
        if self.descriptor < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            _write(self.descriptor, header(0, self.channels), 0)
        if samples:
            _write(self.descriptor, samples, HEADER_SIZE + self.octets)
            self.octets += len(samples)
            _write(self.descriptor, header(self.octets, self.channels), 0)

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def give_up(self) -> None:
        """Disk full or the like: nothing half-written stays."""
        self.failed = True
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def _write(descriptor: int, data: bytes, position: int) -> None:
    while data:
        done = os.pwrite(descriptor, data, position)
        data, position = data[done:], position + done


class Spool:
    """The thread. `post(function)` must run a function on the caller's loop (`loop.call_soon_threadsafe`)."""

    def __init__(self, post: Callable[[Callable[[], None]], object]) -> None:
        self._post = post
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="media-spool", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Write what waits, end the thread."""
        self._queue.put(None)
        self._thread.join()

    def write(self, recording: Recording, samples: bytes, trouble: Trouble) -> None:
        """Append samples (none: make the file). `trouble` is told once, when writing failed; the file is removed."""

        def work() -> None:
            if recording.failed:
                return
            try:
                recording.write(samples)
            except OSError as error:
                failure = error
                recording.give_up()
                self._post(lambda: trouble(failure))

        if recording.failed:
            return
        if self._queue.qsize() > _LONGEST_QUEUE:
            recording.failed = True
            self._queue.put(recording.give_up)
            self._post(lambda: trouble(OSError("the disk does not keep up")))
        else:
            self._queue.put(work)

    def finish(self, recording: Recording, report: Report) -> None:
        """Close the file behind all that was written before; `report` is told its length in seconds."""

        def work() -> None:
            try:
                recording.close()
            except OSError as error:  # a disk in the network may tell only now; what has come is kept
                _log.error("recording badly closed", path=str(recording.path), error=str(error))
            seconds = recording.seconds
            self._post(lambda: report(seconds))

        self._queue.put(work)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
