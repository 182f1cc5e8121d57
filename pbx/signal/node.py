"""One address of record inside a Signal: its rules, its timers, and what rings for it. Driven by Signal."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from base.clock import Timer
from directory.model import Account, CallRule, Stage
from pbx.signal.answer import BUSY, SILENT, Answer
from pbx.signal.branch import Branch
from pbx.signal.cause import Cause


class NodeState(enum.Enum):
    """RINGING ⇄ DRAINING (the old branches were cancelled, their finals are awaited) → DONE."""

    RINGING = "ringing"
    DRAINING = "draining"
    DONE = "done"


@dataclass(eq=False, slots=True)
class Node:
    """An account, a group, or (`account` None) the root. Children that have not ended are in `branches` and `nodes`.

    `cause`: why the address above it has led here; None for what was dialled. `index`: its place in the tree, as in
    RFC 7044 §10.3, (1,) for what was dialled. `members`: of a group, the addresses that are rung without their rules.
    """

    parent: Node | None
    account: Account | None = None
    cause: Cause | None = None
    index: tuple[int, ...] = (1,)
    led_to: int = 0
    members: frozenset[str] = frozenset()
    rules: list[CallRule] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    finals: list[Answer] = field(default_factory=list)
    state: NodeState = NodeState.RINGING
    timers: list[Timer] = field(default_factory=list)
    drain_timer: Timer | None = None
    waiting: set[Branch] = field(default_factory=set)
    next_targets: tuple[str, ...] = ()
    next_cause: Cause = Cause.ALWAYS

    def next_index(self) -> tuple[int, ...]:
        """The index of what is rung next for this address."""
        self.led_to += 1
        return (*self.index, self.led_to)

    def take(self, stage: Stage) -> list[CallRule]:
        """Remove and return the rules of a stage: each fires once."""
        found = [rule for rule in self.rules if rule.stage is stage]
        self.rules = [rule for rule in self.rules if rule.stage is not stage]
        return found

    def next_timed(self) -> CallRule | None:
        """The timed rule that is due first."""
        timed = [rule for rule in self.rules if rule.stage is Stage.AFTER]
        return min(timed, key=lambda rule: rule.delay, default=None)

    def stop_timers(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def end_drain(self) -> list[Branch]:
        """Wait no more for what was cancelled; returns what still owes its final."""
        owed = list(self.waiting)
        for branch in owed:
            branch.drain = None
        self.waiting.clear()
        if self.drain_timer is not None:
            self.drain_timer.cancel()
            self.drain_timer = None
        return owed

    def lineage(self) -> Iterator[Node]:
        """This address and those that led to it."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    @property
    def owner(self) -> Account | None:
        """The account that this address is of, or the next one above."""
        return next((node.account for node in self.lineage() if node.account is not None), None)

    @property
    def busy(self) -> bool:
        """Something still rings for this address."""
        return bool(self.branches or self.nodes)


def stage_of(finals: Sequence[Answer]) -> Stage:
    """One phone that said busy decides; "on error" leaves out no answer and no response (spec: pbx-apps §10)."""
    if any(answer.status in BUSY for answer in finals):
        return Stage.BUSY
    if not finals or all(answer.status in SILENT for answer in finals):
        return Stage.NO_ANSWER
    return Stage.FAILURE
