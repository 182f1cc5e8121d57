"""POSIX extended regular expressions that cannot stall: automata instead of backtracking.

The leftmost-longest match is found by two passes of a lazily built automaton, one backward for its start and one
forward for its end; groups are then found by threads inside that span. Work is bounded whatever the pattern.
Deviation: where POSIX would choose between group borders by longest sub-match, the greedy one from the left is taken.
Not supported, as in POSIX ERE: back references, lazy repeats, look-around. Standard: POSIX.1-2017, XBD §9.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from cgpl.diagnostics import ProgramFault

PROGRAM_LIMIT = 5_000  # Limit: instructions of a pattern, repeats written out.
REPEAT_LIMIT = 255  # RE_DUP_MAX
STATE_LIMIT = 1_000  # Limit: states of an automaton kept; then it starts anew.
WORK_LIMIT = 1_500_000  # Limit: instruction visits of one search, about a second.
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


class _Parser:
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
class _Step:
    """One instruction: `set` (go to `next`), `split` (to `next`, then `other`), `save`, `start`, `end`, `match`."""

    kind: str
    next: int = 0
    other: int = 0
    chars: _Set = _ANY
    slot: int = 0


class _Machine:
    """The instructions of a pattern, forward or reversed, and its automaton as far as it was needed."""

    def __init__(self, tree: _Tree, *, backward: bool) -> None:
        self.steps: list[_Step] = []
        self._backward = backward
        self._emit(tree)
        self._add(_Step("match"))

    def _add(self, step: _Step) -> int:
        if len(self.steps) >= PROGRAM_LIMIT:
            raise PatternError("the expression is too large")
        self.steps.append(step)
        return len(self.steps) - 1

    def _emit(self, tree: _Tree) -> None:
        match tree:
            case _Set():
                at = self._add(_Step("set", chars=tree))
                self.steps[at].next = at + 1
            case _Edge(start=start):
                at = self._add(_Step("start" if start is not self._backward else "end"))
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
        at = self._add(_Step("save", slot=slot))
        self.steps[at].next = at + 1

    def _emit_ways(self, ways: tuple[_Tree, ...]) -> None:
        ends: list[int] = []
        for way in ways[:-1]:
            split = self._add(_Step("split"))
            self.steps[split].next = split + 1
            self._emit(way)
            ends.append(self._add(_Step("split")))
            self.steps[split].other = len(self.steps)
        self._emit(ways[-1])
        for end in ends:
            self.steps[end].next = self.steps[end].other = len(self.steps)

    def _emit_repeat(self, tree: _Repeat) -> None:
        for _ in range(tree.least):
            self._emit(tree.inner)
        if tree.most is None:
            split = self._add(_Step("split"))
            self.steps[split].next = split + 1
            self._emit(tree.inner)
            back = self._add(_Step("split"))
            self.steps[back].next = self.steps[back].other = split
            self.steps[split].other = len(self.steps)
            return
        splits: list[int] = []
        for _ in range(tree.most - tree.least):
            splits.append(self._add(_Step("split")))
            self.steps[splits[-1]].next = splits[-1] + 1
            self._emit(tree.inner)
        for split in splits:
            self.steps[split].other = len(self.steps)


@dataclass(slots=True)
class Work:
    """What a search may still spend."""

    left: int = WORK_LIMIT

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise ProgramFault("the regular expression needs too much work")


@dataclass(slots=True, eq=False)
class _State:
    """A set of instructions reached; `moves` are filled in as characters come."""

    waiting: tuple[int, ...]
    matched: bool
    matched_at_end: bool
    moves: dict[str, _State] = field(default_factory=dict)


class _Automaton:
    """Runs a machine over a text as a set of states; each new (state, character) is worked out once."""

    def __init__(self, machine: _Machine, work: Work, *, floating: bool) -> None:
        self._steps = machine.steps
        self._work = work
        self._floating = floating
        self._states: dict[tuple[tuple[int, ...], bool, bool], _State] = {}

    def begin(self, *, at_start: bool) -> _State:
        return self._state([0], at_start)

    def move(self, state: _State, char: str) -> _State:
        found = state.moves.get(char)
        if found is None:
            self._work.spend(len(state.waiting) + 1)
            reached = [self._steps[at].next for at in state.waiting if self._steps[at].chars.holds(char)]
            found = state.moves[char] = self._state([*reached, 0] if self._floating else reached, False)
        return found

    def _state(self, roots: list[int], at_start: bool) -> _State:
        waiting, matched = self._closure(roots, at_start, False)
        _, at_end = self._closure(roots, at_start, True)
        key = (tuple(waiting), matched, at_end)
        if len(self._states) > STATE_LIMIT:
            for state in self._states.values():
                state.moves.clear()
            self._states.clear()
        return self._states.setdefault(key, _State(key[0], matched, at_end))

    def _closure(self, roots: list[int], at_start: bool, at_end: bool) -> tuple[list[int], bool]:
        seen: set[int] = set()
        stack = roots[::-1]
        waiting: list[int] = []
        matched = False
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            step = self._steps[at]
            match step.kind:
                case "set":
                    waiting.append(at)
                case "match":
                    matched = True
                case "split":
                    stack += (step.other, step.next)
                case "start" if not at_start:
                    pass
                case "end" if not at_end:
                    pass
                case _:
                    stack.append(step.next)
        self._work.spend(len(seen))
        return sorted(waiting), matched


class Pattern:
    """A compiled expression. Raises PatternError when the picture is broken."""

    def __init__(self, picture: str) -> None:
        parser = _Parser(picture)
        tree = parser.parse()
        self.groups = parser.groups
        self._forward = _Machine(tree, backward=False)
        self._backward = _Machine(tree, backward=True)

    def search(self, text: str, work: Work | None = None) -> tuple[str | None, ...] | None:
        """The matched part and each group (None for one that took no part), or None. Raises ProgramFault."""
        work = work or Work()
        start = self._start(text, work)
        if start is None:
            return None
        end = self._end(text, start, work)
        if not self.groups:
            return (text[start:end],)
        saved = self._groups(text, start, end, work)
        return (text[start:end], *(_cut(text, saved, number) for number in range(1, self.groups + 1)))

    def _start(self, text: str, work: Work) -> int | None:
        """Where the leftmost match begins: the last place where the reversed pattern matches, read from the end."""
        automaton = _Automaton(self._backward, work, floating=True)
        state = automaton.begin(at_start=True)
        found = None
        for at in range(len(text), 0, -1):
            if state.matched:
                found = at
            state = automaton.move(state, text[at - 1])
        return 0 if state.matched_at_end else found

    def _end(self, text: str, start: int, work: Work) -> int:
        """Where the longest match from `start` ends."""
        automaton = _Automaton(self._forward, work, floating=False)
        state = automaton.begin(at_start=start == 0)
        found = start
        for at in range(start, len(text)):
            if state.matched:
                found = at
            if not state.waiting:
                return found
            state = automaton.move(state, text[at])
        return len(text) if state.matched_at_end else found

    def _groups(self, text: str, start: int, end: int, work: Work) -> tuple[int, ...]:
        """The borders of the groups of the match that spans exactly start to end."""
        steps = self._forward.steps
        threads = _follow(steps, [(0, (-1,) * (self.groups * 2 + 2))], start, len(text), work)
        for at in range(start, end):
            moved = [(steps[i].next, saved) for i, saved in threads if _goes(steps[i], text[at])]
            threads = _follow(steps, moved, at + 1, len(text), work)
        return next(saved for i, saved in threads if steps[i].kind == "match")


def _goes(step: _Step, char: str) -> bool:
    return step.kind == "set" and step.chars.holds(char)


_Thread: TypeAlias = tuple[int, tuple[int, ...]]


def _follow(steps: list[_Step], roots: list[_Thread], at: int, size: int, work: Work) -> list[_Thread]:
    """The threads after all that needs no character, in order of preference."""
    threads: list[_Thread] = []
    seen: set[int] = set()
    stack = roots[::-1]
    while stack:
        i, saved = stack.pop()
        if i in seen:
            continue
        seen.add(i)
        step = steps[i]
        match step.kind:
            case "set" | "match":
                threads.append((i, saved))
            case "split":
                stack += ((step.other, saved), (step.next, saved))
            case "save":
                stack.append((step.next, (*saved[: step.slot], at, *saved[step.slot + 1 :])))
            case "start":
                stack += [(step.next, saved)] if at == 0 else []
            case _:
                stack += [(step.next, saved)] if at == size else []
    work.spend(len(seen) + 1)
    return threads


def _cut(text: str, saved: tuple[int, ...], number: int) -> str | None:
    start, end = saved[number * 2], saved[number * 2 + 1]
    return text[start:end] if 0 <= start <= end else None
