"""The pictures of regular expressions: read into a tree, and written out as instructions for an automaton.

Not the matching (`regex`). Not supported, as in POSIX ERE: back references, lazy repeats, look-around.
Standard: POSIX.1-2017, XBD §9.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

PROGRAM_LIMIT = 5_000  # Limit: instructions of a pattern, repeats written out.
REPEAT_LIMIT = 255  # RE_DUP_MAX
_DEPTH_LIMIT = 100  # Limit: nested groups.

_CLASSES: dict[str, Callable[[str], bool]] = {
    "alpha": str.isalpha,
    "digit": lambda char: "0" <= char <= "9",
    "alnum": str.isalnum,
    "upper": str.isupper,
    "lower": str.islower,
    "space": lambda char: char in " \t\r\n\v\f",
    "blank": lambda char: char in " \t",
    "punct": lambda char: char.isascii() and char.isprintable() and not char.isalnum() and char != " ",
    "print": str.isprintable,
    "graph": lambda char: char.isprintable() and char != " ",
    "cntrl": lambda char: ord(char) < 32 or ord(char) == 127,
    "xdigit": lambda char: char in "0123456789abcdefABCDEF",
}


class PatternError(ValueError):
    """A picture that is no expression."""


@dataclass(frozen=True, slots=True)
class _Set:
    """Characters: ranges and named classes, or all others when inverted."""

    ranges: tuple[tuple[str, str], ...]
    names: tuple[str, ...] = ()
    inverted: bool = False

    def holds(self, char: str) -> bool:
        inside = any(low <= char <= high for low, high in self.ranges) or any(_CLASSES[n](char) for n in self.names)
        return inside is not self.inverted


_ANY = _Set((), inverted=True)


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Tree, ...]


@dataclass(frozen=True, slots=True)
class _Either:
    ways: tuple[_Tree, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    inner: _Tree
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class _Group:
    inner: _Tree
    number: int


@dataclass(frozen=True, slots=True)
class _Edge:
    """`^` (start) or `$`."""

    start: bool


_Tree: TypeAlias = _Set | _Sequence | _Either | _Repeat | _Group | _Edge


class PictureParser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self.groups = 0

    def parse(self) -> _Tree:
        tree = self._either()
        if self._at < len(self._text):
            raise PatternError("unmatched )")
        return tree

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, char: str) -> bool:
        if self._peek() == char:
            self._at += 1
            return True
        return False

    def _either(self) -> _Tree:
        ways = [self._sequence()]
        while self._take("|"):
            ways.append(self._sequence())
        return ways[0] if len(ways) == 1 else _Either(tuple(ways))

    def _sequence(self) -> _Tree:
        parts: list[_Tree] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated())
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def _repeated(self) -> _Tree:
        tree = self._atom()
        nested = 0
        while (sign := self._peek()) in ("*", "+", "?", "{") and sign:
            bounds = self._bounds(sign)
            if bounds is None:
                break
            tree = _Repeat(tree, *bounds)
            nested += 1
            if nested > _DEPTH_LIMIT:
                raise PatternError("too many repeats")
        return tree

    def _bounds(self, sign: str) -> tuple[int, int | None] | None:
        if sign != "{":
            self._at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        end = self._text.find("}", self._at)
        least, comma, most = self._text[self._at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not _bound(least) or (most and not _bound(most)):
            raise PatternError("a bad repeat count")
        low = int(least)
        high = low if not comma else (int(most) if most else None)
        if max(low, high or 0) > REPEAT_LIMIT or (high is not None and high < low):
            raise PatternError("a bad repeat count")
        self._at = end + 1
        return low, high

    def _atom(self) -> _Tree:
        char = self._peek()
        self._at += 1
        match char:
            case "(":
                return self._group()
            case "[":
                return self._bracket()
            case ".":
                return _ANY
            case "^" | "$":
                return _Edge(start=char == "^")
            case "*" | "+" | "?" | "{":
                raise PatternError("nothing to repeat")
            case "\\":
                char = self._peek()
                self._at += 1
                if not char:
                    raise PatternError("a backslash at the end")
        return _Set(((char, char),))

    def _group(self) -> _Tree:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise PatternError("groups are nested too deeply")
        self.groups += 1
        number = self.groups
        inner = self._either()
        if not self._take(")"):
            raise PatternError("unmatched (")
        self._depth -= 1
        return _Group(inner, number)

    def _bracket(self) -> _Tree:
        inverted = self._take("^")
        ranges: list[tuple[str, str]] = []
        names: list[str] = []
        first = True
        while first or self._peek() != "]":
            first = False
            if self._text.startswith("[:", self._at):
                names.append(self._named_class())
                continue
            low = self._member()
            high = low
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._member()
            if high < low:
                raise PatternError("a range that ends before it starts")
            ranges.append((low, high))
        self._at += 1
        return _Set(tuple(ranges), tuple(names), inverted)

    def _member(self) -> str:
        for mark in (".", "="):
            if self._text.startswith("[" + mark, self._at):
                end = self._text.find(mark + "]", self._at + 2)
                if end == self._at + 3:
                    self._at = end + 2
                    return self._text[end - 1]
                raise PatternError("an unknown collating element")
        char = self._peek()
        if not char:
            raise PatternError("unmatched [")
        self._at += 1
        return char

    def _named_class(self) -> str:
        end = self._text.find(":]", self._at)
        name = self._text[self._at + 2 : end] if end > 0 else ""
        if name not in _CLASSES:
            raise PatternError("an unknown character class")
        self._at = end + 2
        return name


def _bound(text: str) -> bool:
    return 0 < len(text) <= 3 and text.isascii() and text.isdigit()


@dataclass(slots=True)
class Step:
    """One instruction: `set` (go to `next`), `split` (to `next`, then `other`), `save`, `start`, `end`, `match`."""

    kind: str
    next: int = 0
    other: int = 0
    chars: _Set = _ANY
    slot: int = 0


class Machine:
    """The instructions of a pattern, forward or reversed, and its automaton as far as it was needed."""

    def __init__(self, tree: _Tree, *, backward: bool) -> None:
        self.steps: list[Step] = []
        self._backward = backward
        self._emit(tree)
        self._add(Step("match"))

    def _add(self, step: Step) -> int:
        if len(self.steps) >= PROGRAM_LIMIT:
            raise PatternError("the expression is too large")
        self.steps.append(step)
        return len(self.steps) - 1

    def _emit(self, tree: _Tree) -> None:
        match tree:
            case _Set():
                at = self._add(Step("set", chars=tree))
                self.steps[at].next = at + 1
            case _Edge(start=start):
                at = self._add(Step("start" if start is not self._backward else "end"))
                self.steps[at].next = at + 1
            case _Sequence(parts=parts):
                for part in reversed(parts) if self._backward else parts:
                    self._emit(part)
            case _Either(ways=ways):
                self._emit_ways(ways)
            case _Repeat():
                self._emit_repeat(tree)
            case _Group(inner=inner, number=number):
                self._save(number * 2)
                self._emit(inner)
                self._save(number * 2 + 1)

    def _save(self, slot: int) -> None:
        at = self._add(Step("save", slot=slot))
        self.steps[at].next = at + 1

    def _emit_ways(self, ways: tuple[_Tree, ...]) -> None:
        ends: list[int] = []
        for way in ways[:-1]:
            split = self._add(Step("split"))
            self.steps[split].next = split + 1
            self._emit(way)
            ends.append(self._add(Step("split")))
            self.steps[split].other = len(self.steps)
        self._emit(ways[-1])
        for end in ends:
            self.steps[end].next = self.steps[end].other = len(self.steps)

    def _emit_repeat(self, tree: _Repeat) -> None:
        for _ in range(tree.least):
            self._emit(tree.inner)
        if tree.most is None:
            split = self._add(Step("split"))
            self.steps[split].next = split + 1
            self._emit(tree.inner)
            back = self._add(Step("split"))
            self.steps[back].next = self.steps[back].other = split
            self.steps[split].other = len(self.steps)
            return
        splits: list[int] = []
        for _ in range(tree.most - tree.least):
            splits.append(self._add(Step("split")))
            self.steps[splits[-1]].next = splits[-1] + 1
            self._emit(tree.inner)
        for split in splits:
            self.steps[split].other = len(self.steps)
