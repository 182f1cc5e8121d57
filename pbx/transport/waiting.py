"""A queue in which each source has its turn, so that one that floods keeps only itself waiting. A machine.

Not here: what the things are that wait, and for how long they may.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What can wait. `size` in octets, `since` the moment of arrival."""

    source: str
    size: int
    since: float


T = TypeVar("T", bound=Sized)


class FairQueue(Generic[T]):
    """First in, first out within a source; sources go round.

    Limit: `most` things and `octets` octets in all; a quarter of either for one source.
    """

    def __init__(self, most: int, octets: int) -> None:
        self._most = most
        self._octets = octets
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._count = 0
        self._size = 0

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Octets that wait."""
        return self._size

    def push(self, thing: T) -> bool:
        """False when there is no room."""
        line, size = self._lines.get(thing.source), self._sizes.get(thing.source, 0)
        if self._count >= self._most or self._size + thing.size > self._octets:
            return False
        if line is None:
            line = self._lines[thing.source] = deque()
        elif len(line) >= self._most // 4 or size + thing.size > self._octets // 4:
            return False
        line.append(thing)
        self._sizes[thing.source] = size + thing.size
        self._count += 1
        self._size += thing.size
        return True

    def pop(self) -> T | None:
        """The next one; its source goes to the end of the round."""
        if not self._lines:
            return None
        source, line = next(iter(self._lines.items()))
        thing = line.popleft()
        self._count -= 1
        self._size -= thing.size
        if line:
            self._lines.move_to_end(source)
            self._sizes[source] -= thing.size
        else:
            del self._lines[source], self._sizes[source]
        return thing
