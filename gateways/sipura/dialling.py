"""What an adapter does with the keys that somebody types, by its dial plan; for explaining plans and for tests.

It takes the first sequence that fits. A complete number that cannot become longer is called at once; one that can,
after the short timer; an incomplete one is refused after the long one. No sequence left: the tone of refusal.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from gateways.sipura.dialplan import DialPlan, Element, Keys, Sequence_, Swap, Tone


class Action(enum.Enum):
    """What happens after the last key."""

    CALLS = "calls"
    REFUSES = "refuses"
    BARRED = "barred"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`after`: seconds without a further key. `number` is what is sent, `via` where to (`gw0`, or a host; empty: the
    proxy), `sequence` the alternative that decided (from 1)."""

    action: Action
    after: float = 0.0
    number: str = ""
    via: str = ""
    sequence: int = 0

    def __str__(self) -> str:
        when = "at once" if not self.after else f"after {self.after:g} s"
        match self.action:
            case Action.CALLS:
                return f"calls {self.number or 'nothing'}{f' via {self.via}' if self.via else ''} {when}"
            case Action.BARRED:
                return f"refuses the number: alternative {self.sequence} bars it"
            case Action.REFUSES:
                return f"refuses: no alternative fits{'' if not self.after else f', {when}'}"


def dial(plan: DialPlan, typed: str) -> Outcome:
    """`typed` without a further key; a final `#` that no alternative asks for means "now"."""
    if typed.endswith("#") and not any(_run(each, typed) for each in plan.sequences):
        outcome = dial(plan, typed[:-1])
        return Outcome(outcome.action, 0.0, outcome.number, outcome.via, outcome.sequence)
    complete, possible = None, False
    for number, sequence in enumerate(plan.sequences, 1):
        for run in _run(sequence, typed):
            possible = possible or run.may_go_on
            if run.complete and complete is None:
                complete = (number, sequence, run.sent)
    if complete is not None:
        return _called(plan, *complete, longer=possible, typed=typed)
    if not possible:
        return Outcome(Action.REFUSES)
    return Outcome(Action.REFUSES, _timer(plan, typed))


def _timer(plan: DialPlan, typed: str) -> float:
    own = [each.long for each in plan.sequences if each.long is not None and _run(each, typed)]
    return own[0] if own else plan.long


def _called(plan: DialPlan, number: int, sequence: Sequence_, sent: str, *, longer: bool, typed: str) -> Outcome:
    if sequence.barred:
        return Outcome(Action.BARRED, sequence=number)
    digits, at, host = sent.partition("@")
    via = host.partition(";")[0] if at else ""
    if not typed:  # the hot line: nobody types anything
        wait = sequence.pause if sequence.pause is not None else sequence.short
        return Outcome(Action.CALLS, plan.short if wait is None else wait, digits, via, number)
    wait = sequence.short if sequence.short is not None else plan.short
    return Outcome(Action.CALLS, wait if longer else 0.0, digits, via, number)


@dataclass(frozen=True, slots=True)
class _Run:
    """One way in which the keys fit the beginning of a sequence."""

    complete: bool
    may_go_on: bool
    sent: str


def _run(sequence: Sequence_, typed: str) -> list[_Run]:
    """All ways; none when the keys do not fit."""
    runs: dict[tuple[bool, bool, str], None] = {}
    for left, sent, used in _walk(sequence.elements, typed, ""):
        needs = any(not each.repeated for each in _keys_of(left))
        more = used or any(True for _ in _keys_of(left))
        tail = "".join(each.sent for each in left if isinstance(each, Swap) and not each.typed)
        runs[(not needs, more, sent + tail)] = None
    return [_Run(*each) for each in runs]


def _walk(elements: tuple[Element, ...], typed: str, sent: str) -> Iterator[tuple[tuple[Element, ...], str, bool]]:
    """Where all keys are used up: what is left of the sequence, what is sent so far, and whether the last element may
    still take more."""
    if not typed:
        yield elements, sent, False
        return
    if not elements:
        return
    head, rest = elements[0], elements[1:]
    match head:
        case Tone():
            yield from _walk(rest, typed, sent)
        case Swap(parts, instead):
            yield from _swapped(parts, instead, rest, typed, sent)
        case Keys(allowed, _, repeated):
            if repeated:
                yield from _walk(rest, typed, sent)
            if typed[0] in allowed:
                if repeated and len(typed) == 1:
                    yield rest, sent + typed, True
                else:
                    yield from _walk(elements if repeated else rest, typed[1:], sent + typed[0])


def _swapped(
    parts: tuple[Keys, ...], instead: str, rest: tuple[Element, ...], typed: str, sent: str
) -> Iterator[tuple[tuple[Element, ...], str, bool]]:
    """The keys inside `<typed:sent>` are awaited like others and sent as something else."""
    for left, _, used in _walk(parts, typed, ""):
        if left:
            yield (*left, Swap((), instead), *rest), sent, used
        else:
            yield rest, sent + instead, used
    for taken in range(len(typed)):
        if any(not left for left, _, _ in _walk(parts, typed[:taken], "")) or (not parts and taken == 0):
            yield from _walk(rest, typed[taken:], sent + instead)


def _keys_of(elements: tuple[Element, ...]) -> Iterator[Keys]:
    for each in elements:
        if isinstance(each, Keys):
            yield each
        elif isinstance(each, Swap):
            yield from each.typed
