"""POSIX extended regular expressions that cannot stall: automata instead of backtracking.

The leftmost-longest match is found by two passes of a lazily built automaton, one backward for its start and one
forward for its end; groups are then found by threads inside that span. Work is bounded whatever the pattern.
Deviation: where POSIX would choose between group borders by longest sub-match, the greedy one from the left is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from cgpl.builtins.picture import Machine, PatternError, PictureParser, Step
from cgpl.diagnostics import ProgramFault

__all__ = ["WORK_LIMIT", "Pattern", "PatternError", "Work"]

STATE_LIMIT = 1_000  # Limit: states of an automaton kept; then it starts anew.
WORK_LIMIT = 1_500_000  # Limit: instruction visits of one search, about a second.


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

    def __init__(self, machine: Machine, work: Work, *, floating: bool) -> None:
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
        parser = PictureParser(picture)
        tree = parser.parse()
        self.groups = parser.groups
        self._forward = Machine(tree, backward=False)
        self._backward = Machine(tree, backward=True)

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


def _goes(step: Step, char: str) -> bool:
    return step.kind == "set" and step.chars.holds(char)


_Thread: TypeAlias = tuple[int, tuple[int, ...]]


def _follow(steps: list[Step], roots: list[_Thread], at: int, size: int, work: Work) -> list[_Thread]:
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
