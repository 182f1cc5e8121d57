"""Queues of Tasks, as an application for call distribution uses them. In memory, as the Tasks are.

Source: CommuniGate CGPL.html, "Queues".
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from base.values.kinds import Handle, Value

# Limit: Tasks in one queue, queues of one account, octets of a queue's name.
MAX_LENGTH = 1000
MAX_QUEUES = 100
MAX_NAME = 128


@dataclass(slots=True)
class Entry:
    """One waiting Task."""

    task: Handle
    parameter: Value
    priority: float
    arrival: int


@dataclass(frozen=True, slots=True)
class Place:
    """Length of the queue and the Task's position in it, counted from 0; None when it is not (or no more) there."""

    length: int
    position: int | None


class Queues:
    """The queues of all accounts: larger priority first, then who came first."""

    def __init__(self) -> None:
        self._queues: dict[tuple[int, str], list[Entry]] = {}
        self._arrivals = itertools.count()

    def enqueue(self, account_id: int, name: str, task: Handle, parameter: Value, priority: float) -> Place | None:
        """Join, or change parameter and priority; None when the queue is full or the name is no name."""
        entries = self._queues.get((account_id, name), [])
        entry = next((entry for entry in entries if entry.task is task), None)
        if entry is None:
            queues = sum(1 for owner, _ in self._queues if owner == account_id)
            if len(name) > MAX_NAME or len(entries) >= MAX_LENGTH or (not entries and queues >= MAX_QUEUES):
                return None
            entry = Entry(task, parameter, priority, next(self._arrivals))
            entries.append(entry)
            self._queues[account_id, name] = entries
        entry.parameter, entry.priority = parameter, priority
        entries.sort(key=lambda each: (-each.priority, each.arrival))
        return self.place(account_id, name, task)

    def place(self, account_id: int, name: str, task: Handle) -> Place:
        entries = self._queues.get((account_id, name), [])
        position = next((index for index, entry in enumerate(entries) if entry.task is task), None)
        return Place(len(entries), position)

    def read(self, account_id: int, name: str) -> Entry | None:
        """Take the first one out."""
        entries = self._queues.get((account_id, name))
        if not entries:
            return None
        first = entries.pop(0)
        self._tidy(account_id, name)
        return first

    def dequeue(self, account_id: int, name: str, task: Handle) -> None:
        entries = self._queues.get((account_id, name), [])
        entries[:] = [entry for entry in entries if entry.task is not task]
        self._tidy(account_id, name)

    def leave(self, task: Handle) -> None:
        """A Task has ended: it waits nowhere any more."""
        for account_id, name in list(self._queues):
            self.dequeue(account_id, name, task)

    def _tidy(self, account_id: int, name: str) -> None:
        if not self._queues.get((account_id, name)):
            self._queues.pop((account_id, name), None)
