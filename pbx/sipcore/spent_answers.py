"""Answers that are given and wait only for the same request to come again.

Most of what a busy registrar must remember is of this kind, for 32 seconds each: so a transaction that has answered
leaves only its key and its octets here. One timer serves all.

RFC 3261 §17.2.2 (Completed state, Timer J).
"""

from __future__ import annotations

from collections import deque

from base.clock import Clock, Timer
from pbx.sipcore.flow import Flow

Key = tuple[str, ...]


MOST_OCTETS = 256 * 1024 * 1024
"""Limit: octets of all answers that are kept. A usual one has 500; a stranger's may repeat 16 KB of his own header."""


class SpentAnswers:
    """Final answers to other methods than INVITE, each for `life` seconds; beyond `limit` answers, or `octets` of them
    in all, the oldest go early."""

    def __init__(self, clock: Clock, life: float, limit: int, octets: int = MOST_OCTETS) -> None:
        self._clock = clock
        self._life = life
        self._limit = limit
        self._most_octets = octets
        self._octets = 0
        self._answers: dict[Key, tuple[Flow, bytes]] = {}
        self._queue: deque[tuple[float, Key]] = deque()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: Key) -> tuple[Flow, bytes] | None:
        """The way back and the octets to repeat."""
        return self._answers.get(key)

    def put(self, key: Key, flow: Flow, data: bytes) -> None:
        """Keep an answer that has just been sent; a key comes once in its life."""
        self._answers[key] = flow, data
        self._queue.append((self._clock.now() + self._life, key))
        self._octets += len(data)
        while len(self._queue) > self._limit or self._octets > self._most_octets:
            self._forget_oldest()
        if self._timer is None:
            self._timer = self._clock.call_later(self._life, self._sweep)

    def _sweep(self) -> None:
        """Forget what is due, and sleep until the next one; a little late, so that one waking serves many."""
        now = self._clock.now()
        while self._queue and self._queue[0][0] <= now:
            self._forget_oldest()
        self._timer = None
        if self._queue:
            self._timer = self._clock.call_later(max(self._queue[0][0] - now, self._life / 64), self._sweep)

    def _forget_oldest(self) -> None:
        _, data = self._answers.pop(self._queue.popleft()[1])
        self._octets -= len(data)
