"""Rules of server, domain and account for one call, in the order in which they are looked at (spec: pbx-apps §11).

Inside a stage: server and domain rules with a priority above 5, then all of the account (its simple settings last),
then domain and server rules with a priority of 5 and less. Higher priorities first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from directory.model import CallRule, Stage
from directory.rules.occasion import Occasion
from directory.rules.rule import Rule

_HIGH = 5


def in_order(
    server: Sequence[Rule],
    domain: Sequence[Rule],
    account: Sequence[Rule],
    control: Sequence[CallRule],
    occasion: Occasion,
    moment: datetime,
) -> tuple[CallRule, ...]:
    """What holds now. A rule that stops processing cuts off the lower ones of its stage, simple settings too."""
    chosen: list[CallRule] = []
    stopped: set[tuple[Stage, float]] = set()
    for rules in (_above(server), _above(domain), _sorted(account)):
        _take(rules, chosen, stopped, occasion, moment)
    chosen += [rule for rule in control if (rule.stage, rule.delay) not in stopped]
    for rules in (_below(domain), _below(server)):
        _take(rules, chosen, stopped, occasion, moment)
    return tuple(chosen)


def _take(
    rules: Iterable[Rule],
    chosen: list[CallRule],
    stopped: set[tuple[Stage, float]],
    occasion: Occasion,
    moment: datetime,
) -> None:
    for rule in rules:
        if (rule.stage, rule.delay) in stopped or not rule.holds(occasion, moment):
            continue
        chosen += [CallRule(rule.stage, action, rule.delay) for action in rule.actions]
        if rule.stops:
            stopped.add((rule.stage, rule.delay))


def _sorted(rules: Iterable[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: -rule.priority)  # stable: equal ones as they were written


def _above(rules: Sequence[Rule]) -> list[Rule]:
    return _sorted(rule for rule in rules if rule.priority > _HIGH)


def _below(rules: Sequence[Rule]) -> list[Rule]:
    return _sorted(rule for rule in rules if rule.priority <= _HIGH)
