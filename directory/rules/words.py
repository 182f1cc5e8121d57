"""Rules in words, for people: how one is typed at a command line, and how it is told. Pure.

when     at once · after 30 · no answer · busy · failure
if       "Time Of Day in 18:00-07:30"    "From is not *@example.com"
do       "Redirect to #voicemail"    "Fork to carol"    "Reject with 486"    "Stop processing"
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from base.failures import Failure
from base.values.kinds import Value
from directory.model import CallRule, Fork, Redirect, Reject, Stage
from directory.rules.conditions import KNOWN, Operation

_STAGES = {"at once": 1000, "immediately": 1000, "no answer": 5, "busy": 3, "failure": 1}
_AFTER = re.compile(r"after (\d{1,3})(?: ?s(?:econds)?)?")
# the longer ones first: "is not" begins like "is"
_OPERATIONS = "|".join(sorted((re.escape(each.value) for each in Operation), key=len, reverse=True))
_CONDITION = re.compile(rf"\s*({'|'.join(KNOWN)})\s+({_OPERATIONS})\s+(.*)", re.IGNORECASE)
_ACTION = re.compile(r"\s*(redirect to|fork to|reject with)\s+(.+)", re.IGNORECASE)


def number_of(when: str, priority: int) -> int:
    """The number of a rule. Raises Failure("invalid")."""
    text = when.strip().lower()
    after = _AFTER.fullmatch(text)
    stage = 1000 - int(after[1]) if after is not None else _STAGES.get(text)
    if stage is None or (after is not None and not 5 < stage < 1000):
        raise Failure("invalid", f"{when!r} is no moment: at once, after N (1 to 994), no answer, busy, failure")
    return stage * 100 + priority


def typed(name: str, when: str, priority: int, conditions: Sequence[str], actions: Sequence[str]) -> Value:
    """A rule in its stored form, from what a person typed. Raises Failure("invalid")."""
    return [
        number_of(when, priority),
        name,
        [_condition(text) for text in conditions],
        [_action(text) for text in actions],
    ]


def _condition(text: str) -> Value:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise Failure("invalid", f"{text!r} is no condition: write it like 'From is *@example.com'; {', '.join(KNOWN)}")
    return [match[1], match[2].lower(), match[3].strip()]


def _action(text: str) -> Value:
    if text.strip().lower() == "stop processing":
        return ["Stop processing"]
    match = _ACTION.fullmatch(text)
    if match is None:
        raise Failure("invalid", f"{text!r} is no action: Redirect to …, Fork to …, Reject with NNN, Stop processing")
    return [match[1].capitalize(), match[2].strip()]


def told(rule: CallRule) -> str:
    """One rule that holds, as a sentence."""
    match rule.action:
        case Redirect(targets):
            what = f"send the call to {', '.join(targets)}"
        case Fork(targets):
            what = f"ring {', '.join(targets)} as well"
        case Reject(status):
            what = f"refuse with {status}"
    return f"{_moment(rule)}: {what}"


def _moment(rule: CallRule) -> str:
    match rule.stage:
        case Stage.AT_ONCE:
            return "at once"
        case Stage.AFTER:
            return f"after {rule.delay:g} s"
        case Stage.NO_DEVICE:
            return "without a telephone"
        case Stage.NO_ANSWER:
            return "without an answer"
        case Stage.BUSY:
            return "when busy"
        case Stage.FAILURE:
            return "when it fails"
