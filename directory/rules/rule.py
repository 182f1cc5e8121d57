"""One free rule in CommuniGate's stored form: `(number, name, ((what, operation, value), …), ((action, value), …))`.

`number` is stage times 100 plus priority: 1000 is at once, 1000 less N after N seconds, 5 no answer, 3 busy, 1 any
other failure; the priority is 1 to 10, and 0 switches the rule off. So 100005 is at once with priority 5, 97006 after
30 seconds with priority 6. Spec: pbx-apps §11.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from base.failures import Failure
from base.values.kinds import Value
from directory.model import Fork, Redirect, Reject, Stage
from directory.rules.conditions import Condition, ConditionError, read
from directory.rules.occasion import Occasion

MOST_RULES = 100  # Limit: rules of one owner.
MOST_PARTS = 20  # Limit: conditions, and actions, of one rule.
_LATE_STAGES = {5: Stage.NO_ANSWER, 3: Stage.BUSY, 1: Stage.FAILURE}
_ACTIONS = ("Redirect to", "Fork to", "Reject with", "Stop processing")


@dataclass(frozen=True, slots=True)
class Rule:
    """`delay` in seconds, for `Stage.AFTER`; `stops`: lower rules of the stage are not looked at any more."""

    stage: Stage
    delay: float
    priority: int
    name: str
    conditions: tuple[Condition, ...]
    actions: tuple[Redirect | Fork | Reject, ...]
    stops: bool = False

    def holds(self, occasion: Occasion, moment: datetime) -> bool:
        return self.priority > 0 and all(condition.holds(occasion, moment) for condition in self.conditions)


def read_rules(value: Value) -> tuple[Rule, ...]:
    """A list of rules as it is stored. Raises Failure("invalid") that names the rule and what is wrong with it."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_RULES:
        raise Failure("invalid", f"rules are a list, of at most {MOST_RULES}")
    return tuple(_rule(item, f"rule {number}") for number, item in enumerate(value, 1))


def _rule(value: Value, place: str) -> Rule:
    if not isinstance(value, list) or len(value) != 4:
        raise _fault(place, "a rule is (number, name, conditions, actions)")
    number, name, conditions, actions = value
    if isinstance(name, str) and name:
        place = f"{place}, {name}"
    if not isinstance(name, str):
        raise _fault(place, "the name is a text")
    stage, delay, priority = _number(number, place)
    acts, stops = _actions(_list(actions, place, "actions"), place)
    return Rule(stage, delay, priority, name, _conditions(_list(conditions, place, "conditions"), place), acts, stops)


def _fault(place: str, what: str) -> Failure:
    return Failure("invalid", f"{place}: {what}")


def _list(value: Value, place: str, what: str) -> Sequence[Sequence[str]]:
    """A list of lists of texts."""
    rows = value if isinstance(value, list) else None
    if rows is None or len(rows) > MOST_PARTS:
        raise _fault(place, f"the {what} are a list, of at most {MOST_PARTS}")
    found = []
    for row in rows:
        if not isinstance(row, list) or not row or not all(isinstance(item, str | int) for item in row):
            raise _fault(place, f"each of the {what} is a list of texts")
        found.append([str(item) for item in row])
    return found


def _number(value: Value, place: str) -> tuple[Stage, float, int]:
    text = str(value) if isinstance(value, str | int) else ""
    if not (text.isascii() and text.isdigit()):
        raise _fault(place, "the number is stage times 100 plus priority, such as 100005")
    stage, priority = divmod(int(text), 100)
    if priority > 10:
        raise _fault(place, f"the priority {priority} is more than 10")
    if stage in _LATE_STAGES:
        return _LATE_STAGES[stage], 0.0, priority
    if stage == 1000:
        return Stage.AT_ONCE, 0.0, priority
    if 5 < stage < 1000:
        return Stage.AFTER, float(1000 - stage), priority
    known = "1000 at once, 1000-N after N seconds, 5 no answer, 3 busy, 1 failure"
    raise _fault(place, f"there is no stage {stage}: {known}")


def _conditions(rows: Sequence[Sequence[str]], place: str) -> tuple[Condition, ...]:
    found = []
    for number, row in enumerate(rows, 1):
        if len(row) != 3:
            raise _fault(place, f"condition {number} is (what, operation, value)")
        try:
            found.append(read(row[0], row[1], row[2]))
        except ConditionError as error:
            raise _fault(place, f"condition {number}: {error}") from error
    return tuple(found)


def _actions(rows: Sequence[Sequence[str]], place: str) -> tuple[tuple[Redirect | Fork | Reject, ...], bool]:
    found: list[Redirect | Fork | Reject] = []
    stops = False
    for number, row in enumerate(rows, 1):
        name, value = row[0].strip().lower(), ",".join(row[1:])
        targets = tuple(part.strip() for part in value.split(",") if part.strip())
        match name:
            case "stop processing":
                stops = True
            case "redirect to" | "fork to" if targets:
                found.append(Redirect(targets) if name == "redirect to" else Fork(targets))
            case "reject with":
                found.append(Reject(_status(value, f"{place}, action {number}")))
            case _:
                known = ", ".join(_ACTIONS)
                raise _fault(place, f"action {number}: {row[0]!r} needs an address or is none of {known}")
    if not found and not stops:
        raise _fault(place, "it does nothing: give an action")
    return tuple(found), stops


def _status(value: str, place: str) -> int:
    digits = value.strip()[:3]
    if not digits.isdigit() or not 400 <= int(digits) <= 699:
        raise _fault(place, f"{value!r} is no refusal: a number from 400 to 699")
    return int(digits)
