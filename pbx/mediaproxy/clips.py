"""Clips by content hash: read and converted once by a thread, so that the beat never waits for a disk.

Not here: playing. Bounded by the memory of the samples held; the least lately used goes first.
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

from base.failures import Failure
from pbx.mediaproxy import wav
from pbx.mediaproxy.player import Clip, tone

# Limit: 128 MB of samples in both laws, about an hour of prompts.
_MOST_OCTETS = 128 << 20

Arrived = Callable[[Clip | None, str], None]


class Clips:
    """`get` tells at once when the clip is held, else after `collect`. `wake` is called by the thread when there is
    something to collect."""

    def __init__(self, wake: Callable[[], None], most_octets: int = _MOST_OCTETS) -> None:
        self._wake = wake
        self._most = most_octets
        self._held: OrderedDict[str, Clip] = OrderedDict()
        self._octets = 0
        self._waiting: dict[str, list[Arrived]] = {}
        self._orders: queue.SimpleQueue[tuple[str, Path] | None] = queue.SimpleQueue()
        self._loaded: deque[tuple[str, Clip | None, str]] = deque()
        self._thread = threading.Thread(target=self._run, name="media-clips", daemon=True)
        self._thread.start()

    def get(self, digest: str, path: Path, arrived: Arrived) -> None:
        """`arrived(clip, "")`, or `(None, reason)` when it cannot be read."""
        clip = self._held.get(digest)
        if clip is not None:
            self._held.move_to_end(digest)
            arrived(clip, "")
        elif digest in self._waiting:
            self._waiting[digest].append(arrived)
        else:
            self._waiting[digest] = [arrived]
            self._orders.put((digest, path))

    def tone(self, frequency: float, second: float) -> Clip:
        """A second of a tone, to be looped."""
        digest = f"tone:{round(frequency)}:{round(second)}"
        if digest not in self._held:
            self._keep(digest, tone(frequency, second))
        return self._held[digest]

    def collect(self) -> None:
        """Hand out what the thread has read."""
        while self._loaded:
            digest, clip, trouble = self._loaded.popleft()
            if clip is not None:
                self._keep(digest, clip)
            for arrived in self._waiting.pop(digest, []):
                arrived(clip, trouble)

    def close(self) -> None:
        self._orders.put(None)
        self._thread.join()

    def _keep(self, digest: str, clip: Clip) -> None:
        self._held[digest] = clip
        self._octets += clip.octets
        while self._octets > self._most and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            self._octets -= dropped.octets

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            digest, path = order
            try:
                item: tuple[str, Clip | None, str] = (digest, Clip(wav.load(path)), "")
            except (Failure, MemoryError) as error:
                item = (digest, None, str(error))
            self._loaded.append(item)
            self._wake()
