"""What has come in for a Task and was not read yet: digits and events in one queue, in the order in which they came.

Not here: waiting for them (`apps.running`). Source: CommuniGate PBXApp.html, "Input and Events".
"""

from __future__ import annotations

from collections import deque

from base.values.kinds import Dictionary, Value

# Limit: digits of a Task that nobody reads (CommuniGate's account setting DTMFLength).
MAX_DIGITS = 50
# Limit: events of a Task that does not read them; a well-behaved one holds one or two.
MAX_EVENTS = 100

# Names of events that the server makes. SendEvent takes names that start with a letter only: none can be forged.
DISCONNECT = "_disconnect"
PROVISION = "_provision"
COMPLETED = "_completed"
START_BRIDGE = "_startBridge"
BREAK_BRIDGE = "_breakBridge"
TRANSFERRED = "_transferred"
INFO = "_info"


class Inputs:
    """A bounded queue of digits (one-symbol strings) and event dictionaries."""

    def __init__(self) -> None:
        self._items: deque[str | Dictionary] = deque()
        self._events = 0

    def put_digit(self, digit: str) -> bool:
        """False when the buffer is full; the digit is dropped then."""
        if len(self._items) - self._events >= MAX_DIGITS:
            return False
        self._items.append(digit)
        return True

    def put_event(self, what: str, sender: Value = None, parameter: Value = None, *, always: bool = False) -> bool:
        """False when the queue is full; `always` is for what must not be lost and comes once."""
        if self._events >= MAX_EVENTS and not always:
            return False
        event = Dictionary([("what", what)])
        if sender is not None:
            event["sender"] = sender
        if parameter is not None:
            event["parameter"] = parameter
        self._items.append(event)
        self._events += 1
        return True

    def take(self) -> str | Dictionary | None:
        """The oldest item, or None."""
        if not self._items:
            return None
        item = self._items.popleft()
        self._events -= isinstance(item, Dictionary)
        return item

    def clear_digits(self) -> None:
        """Forget the digits; events stay."""
        self._items = deque(item for item in self._items if isinstance(item, Dictionary))

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._events = 0

    @property
    def digits(self) -> str:
        """The digits that wait, oldest first."""
        return "".join(item for item in self._items if isinstance(item, str))

    @property
    def events(self) -> int:
        """How many events wait."""
        return self._events

    def __bool__(self) -> bool:
        return bool(self._items)


def is_event(value: Value, what: str) -> bool:
    """Whether a program holds an event of that name."""
    return isinstance(value, Dictionary) and value.get("what") == what
