"""What a host built-in is: a name, how many arguments, and a function over the running Task. Not here: any of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from apps.running import RunningTask
from base.values.kinds import Dictionary, Value

YES = "YES"


def flag(condition: bool) -> Value:
    """The language's true and false."""
    return YES if condition else None


class Arguments:
    """The arguments of one call; a missing one is null."""

    __slots__ = ("_values",)

    def __init__(self, values: tuple[Value, ...]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> Value:
        return self._values[index] if index < len(self._values) else None

    def text(self, index: int) -> str:
        """A string or number as text; anything else is empty."""
        value = self[index]
        return str(value) if isinstance(value, str | int) else ""

    def number(self, index: int, default: int = 0) -> int:
        """A number, also as digits in a string."""
        value = self[index]
        if isinstance(value, int):
            return value
        if isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit() and len(value) < 19:
            return int(value)
        return default

    def dictionary(self, index: int) -> Dictionary | None:
        value = self[index]
        return value if isinstance(value, Dictionary) else None


@dataclass(frozen=True, slots=True)
class Verb:
    """One built-in. Exactly one of `now` (answers at once) and `later` (may wait) is given."""

    name: str
    kind: Literal["F", "P"]
    least: int
    most: int
    now: Callable[[RunningTask, Arguments], Value] | None = None
    later: Callable[[RunningTask, Arguments], Awaitable[Value]] | None = None
    environment: Literal["core", "pbx"] = "core"
