"""Which transactions go by which flow, so that a lost connection is told to its own without a look at all others.

A table and nothing else: it ends no transaction. RFC 3261 §17.1.4, §17.2.4 (transport failures).
"""

from __future__ import annotations

from typing import Generic, TypeVar

from pbx.sipcore.flow import Flow

T = TypeVar("T")


class ByFlow(Generic[T]):
    """Things by their flow, in the order in which they came. As large as the table of those things, never larger."""

    def __init__(self) -> None:
        self._table: dict[Flow, dict[T, None]] = {}

    def __len__(self) -> int:
        """Flows that something goes by."""
        return len(self._table)

    def add(self, flow: Flow, thing: T) -> None:
        known = self._table.get(flow)
        if known is None:
            self._table[flow] = {thing: None}
        else:
            known[thing] = None

    def remove(self, flow: Flow, thing: T) -> None:
        """Raises KeyError when it is not there."""
        known = self._table[flow]
        del known[thing]
        if not known:
            del self._table[flow]

    def of(self, flow: Flow) -> list[T]:
        """A copy, so that those who are told may end meanwhile."""
        return list(self._table.get(flow, ()))
