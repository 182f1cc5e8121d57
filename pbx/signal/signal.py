"""The Signal: one dialog-starting request in progress (decision 1). A pure machine, neutral to protocols.

It owns a tree of addresses of record, each with its own rules and timers, and the branches that ring for them; it
hands its port exactly one final answer. It is not SIP: the way that carries it (`pbx.b2bua`, `pbx.proxy`) sends
messages, and a branch may as well be a program. RFC 3261 §16.5-§16.7, §16.10; spec pbx-apps §10, §11.

    root ── alice (rules) ── phone 1, phone 2
         └─ group ── bob;services=no ── phone
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from base.clock import Clock, Timer
from directory.model import (
    Account,
    AccountRoute,
    CallRule,
    ForeignRoute,
    Fork,
    GroupRoute,
    NullRoute,
    ProgramRoute,
    Redirect,
    Reject,
    Route,
    Stage,
    UnknownRoute,
)
from pbx.signal.answer import COMPLETED_ELSEWHERE, GIVEN_UP, Answer, best
from pbx.signal.branch import Branch, BranchState, Device, Foreign, Program, Target
from pbx.signal.cancelling import cancel, cancel_below, cancel_children
from pbx.signal.cause import Cause
from pbx.signal.events import Events
from pbx.signal.node import Node, NodeState, stage_of
from pbx.signal.port import Limits, SignalPort, SignalState
from pbx.signal.turns import turns


class Signal:
    """Tell it what branches do; it tells its port what to start, to cancel, and what to answer."""

    def __init__(self, clock: Clock, port: SignalPort, limits: Limits | None = None) -> None:
        self._clock = clock
        self._port = port
        self._limits = limits or Limits()
        self._root = Node(None)
        self._tell = Events(lambda: self.on_change()).tell
        self._redirects = 0
        self._numbers = 0
        self._expiry: Timer | None = None
        self.state = SignalState.PENDING
        self.on_change: Callable[[], None] = lambda: None
        """Told after each event, when all that follows from it is done."""
        self.open: set[Branch] = set()
        """Branches that owe a final answer."""

    # --- events from outside

    def begin(self, route: Route, *, expires: float | None = None, diverted: int = 0) -> None:
        """Start. After `expires` seconds without an answer the Signal fails with 408. `diverted`: how often the call
        has been diverted before."""
        self._redirects = diverted
        if expires is not None:
            self._expiry = self._clock.call_later(expires, lambda: self._tell(lambda: self._end(Answer(408))))
        self._tell(lambda: self._begin(route))

    def answer(self, branch: Branch, answer: Answer) -> None:
        """A branch gave this provisional or final answer."""
        self._tell(lambda: self._answer(branch, answer))

    def cancel(self, status: int = 487, reason: str | None = None) -> None:
        """The caller has given up; another status says why it ends for him. `reason` is what his Reason header says
        (RFC 3326): the phones are told the same."""
        said = GIVEN_UP if reason is None and status == 487 else reason
        self._tell(lambda: self._end(Answer(status), said))

    def redirect(self, branch: Branch, targets: Sequence[str]) -> None:
        """A branch (a program) hands the call over to others and is done with it."""
        self._tell(lambda: self._hand_over(branch, tuple(targets)))

    def lead(self, branch: Branch, routes: Sequence[Route]) -> None:
        """A branch to an address that had to be looked up leads to these, one after another."""
        self._tell(lambda: self._lead(branch, tuple(routes)))

    def fork(self, branch: Branch, targets: Sequence[str]) -> None:
        """A branch (a program) has others rung as well."""
        self._tell(lambda: self._fork_beside(branch, tuple(targets)))

    # --- growing the tree

    def _begin(self, route: Route) -> None:
        if self.state is SignalState.PENDING:
            self._add(self._root, route, None)
            self._check(self._root)

    def _add(self, node: Node, route: Route, cause: Cause | None, *, instead: bool = False) -> None:
        match route:
            case AccountRoute():
                self._open_account(node, route, cause)
            case GroupRoute():
                self._open_group(node, route, cause)
            case ProgramRoute():
                self._start(node, Program(route), cause)
            case ForeignRoute():
                self._start(node, Foreign(self._port.best_way(route)), cause, instead=instead)
            case UnknownRoute():
                node.finals.append(Answer(404))
            case NullRoute():
                node.finals.append(Answer(480))
            case _:
                assert_never(route)

    def _child(self, parent: Node, account: Account | None, cause: Cause | None) -> Node | None:
        lineage = list(parent.lineage())
        if len(lineage) > self._limits.depth or (
            account is not None and any(n.account is not None and n.account.id == account.id for n in lineage)
        ):
            # The address leads back to itself, or too far: RFC 3261 §16.3 step 4.
            parent.finals.append(Answer(482))
            return None
        child = Node(parent, account, cause, parent.index if cause is None else parent.next_index())
        parent.nodes.append(child)
        return child

    def _open_group(self, parent: Node, route: GroupRoute, cause: Cause | None) -> None:
        if (node := self._child(parent, None, cause)) is None:
            return
        node.members = frozenset(map(str, route.members))
        first, node.rules = turns(route)
        for rule in node.rules:
            self._schedule(node, rule, rule.delay)
        for member in first:
            self._add(node, self._resolved(node, member), Cause.MEMBER)
        self._check(node)

    def _resolved(self, node: Node, target: str, account: Account | None = None) -> Route:
        """Decision 1: one member's voicemail must not swallow the call of a group."""
        route = self._port.resolve(target, account or node.owner)
        if target in node.members and isinstance(route, AccountRoute):
            return AccountRoute(route.account, services=False)
        return route

    def _open_account(self, parent: Node, route: AccountRoute, cause: Cause | None) -> None:
        account = route.account
        if (node := self._child(parent, account, cause)) is None:
            return
        node.rules = list(self._port.rules(account)) if route.services else []
        if not self._apply(node, node.take(Stage.AT_ONCE)):
            self._ring(node, account, route.instance)
        self._check(node)

    def _ring(self, node: Node, account: Account, instance: str) -> None:
        for contact in self._port.device(account, instance) if instance else self._port.devices(account):
            self._start(node, Device(account, contact), None)
        for rule in [rule for rule in node.rules if rule.stage is Stage.AFTER]:
            self._schedule(node, rule, rule.delay)
        if not node.busy:
            self._apply(node, node.take(Stage.NO_DEVICE))

    def _start(self, node: Node, target: Target, cause: Cause | None, *, instead: bool = False) -> None:
        if self._numbers >= self._limits.branches:
            node.finals.append(Answer(482))
            return
        self._numbers += 1
        account = target.route.account if isinstance(target, Program) else node.owner
        branch = Branch(self._numbers, target, node, account, cause=cause, index=node.next_index(), instead=instead)
        node.branches.append(branch)
        self.open.add(branch)
        self._limit_ringing(branch)
        self._port.start_branch(branch)

    def _limit_ringing(self, branch: Branch) -> None:
        branch.stop_timer()
        if not isinstance(branch.target, Program):
            branch.timer = self._clock.call_later(self._limits.ring, lambda: self._tell(lambda: self._rang_out(branch)))

    def _fork(self, node: Node, targets: Iterable[str], cause: Cause, account: Account | None = None) -> None:
        """Ring more for an address; targets are read as `account` would dial them, by default its own."""
        if self.state is SignalState.PENDING and node.state is not NodeState.DONE:
            for target in targets:
                self._add(node, self._resolved(node, target, account), cause)
            self._check(node)

    def _fork_beside(self, branch: Branch, targets: Iterable[str]) -> None:
        if branch.state is BranchState.RINGING:
            self._fork(branch.node, targets, Cause.FORK, branch.account)

    # --- rules

    def _schedule(self, node: Node, rule: CallRule, delay: float) -> None:
        node.timers.append(self._clock.call_later(delay, lambda: self._tell(lambda: self._timed(node, rule))))

    def _timed(self, node: Node, rule: CallRule) -> None:
        if self.state is not SignalState.PENDING or rule not in node.rules:
            return
        node.rules.remove(rule)
        if node.state is NodeState.RINGING:
            self._apply(node, [rule])
        elif node.state is NodeState.DRAINING and isinstance(rule.action, Redirect):
            node.next_targets = rule.action.targets

    def _apply_first_timed(self, node: Node) -> bool:
        """Nothing rings, so waiting is pointless (spec: pbx-apps §10); later rules keep their distance to the first."""
        if (first := node.next_timed()) is None:
            return False
        node.rules.remove(first)
        node.stop_timers()
        for rule in [rule for rule in node.rules if rule.stage is Stage.AFTER]:
            self._schedule(node, rule, rule.delay - first.delay)
        self._apply(node, [first])
        return True

    def _apply(self, node: Node, rules: Sequence[CallRule]) -> bool:
        """Carry out the rules of one stage; true when the address was sent elsewhere or has ended."""
        for rule in rules:
            match rule.action:
                case Fork(targets):
                    self._fork(node, targets, Cause.MEMBER if node.members else Cause.FORK)
                case Redirect(targets):
                    self._divert(node, targets, Cause.MEMBER if node.members else Cause.of(rule.stage))
                    return True
                case Reject(status):
                    self._finish(node, Answer(status))
                    return True
                case _:
                    assert_never(rule.action)
        return False

    def _divert(self, node: Node, targets: tuple[str, ...], cause: Cause) -> None:
        """Cancel what rings, wait a little for the finals, then ring the targets (decision 2)."""
        self._redirects += not node.members  # a group's next member is no diversion
        if self._redirects > self._limits.redirects:
            self._finish(node, Answer(482))
            return
        node.waiting = set(cancel_children(self._port, node, None))
        node.state, node.next_targets, node.next_cause = NodeState.DRAINING, targets, cause
        for branch in node.waiting:
            branch.drain = node
        if not node.waiting:
            self._launch(node)
            return
        node.drain_timer = self._clock.call_later(self._limits.drain, lambda: self._tell(lambda: self._launch(node)))

    def _launch(self, node: Node) -> None:
        if node.state is not NodeState.DRAINING:
            return
        node.end_drain()
        node.state, targets, node.next_targets = NodeState.RINGING, node.next_targets, ()
        node.finals.clear()
        routes = [self._resolved(node, target) for target in targets]
        if all(isinstance(route, ProgramRoute) for route in routes):
            node.rules.clear()  # a program owns the answer from here on
            node.stop_timers()
        for route in routes:
            self._add(node, route, node.next_cause)
        self._check(node)

    # --- answers

    def _answer(self, branch: Branch, answer: Answer) -> None:
        if answer.provisional:
            if branch.state is BranchState.RINGING and self.state is SignalState.PENDING:
                self._limit_ringing(branch)  # RFC 3261 §16.7 step 2: who tells that it rings goes on ringing
                self._port.provisional(branch, answer)
            return
        self.open.discard(branch)
        branch.stop_timer()
        if answer.success:
            self._succeed(branch, answer)
        else:
            self._fail(branch, answer)

    def _succeed(self, branch: Branch, answer: Answer) -> None:
        in_time = branch.state is BranchState.RINGING or branch.drain is not None
        if self.state is not SignalState.PENDING or not in_time:
            was, branch.state = branch.state, BranchState.ENDED
            if was is not BranchState.WON:
                self._port.discard(branch)
            return
        branch.state, branch.drain = BranchState.WON, None
        if branch in branch.node.branches:
            branch.node.branches.remove(branch)
        self.state = SignalState.ANSWERED
        self._close(COMPLETED_ELSEWHERE)
        self._port.answered(branch, answer)

    def _fail(self, branch: Branch, answer: Answer) -> None:
        state, branch.state = branch.state, BranchState.ENDED
        branch.final = branch.final or answer.status
        if branch.drain is not None:
            drain, branch.drain = branch.drain, None
            drain.waiting.discard(branch)
            if not drain.waiting:
                self._launch(drain)
        elif state is BranchState.RINGING and self.state is SignalState.PENDING:
            branch.node.branches.remove(branch)
            self._refused(branch, answer)

    def _refused(self, branch: Branch, answer: Answer) -> None:
        node = branch.node
        if answer.status // 100 == 3 and answer.contacts and self._redirects < self._limits.redirects:
            # RFC 3261 §16.5: recursing on a 3xx; here a telephone's own call forwarding.
            self._redirects += 1
            self._fork(node, answer.contacts, Cause.TELEPHONE)
            return
        if answer.elsewhere and isinstance(branch.target, Foreign) and (others := branch.target.route.others):
            self._go_on(branch, others)
            return
        node.finals.append(answer)
        if answer.status >= 600 and isinstance(branch.target, Device):
            # The user has declined: his other phones stop (RFC 3261 §16.7 step 5), and his rules go first.
            self._settle(node)
        else:
            self._check(node)

    def _hand_over(self, branch: Branch, targets: tuple[str, ...]) -> None:
        if self._has_led_on(branch):
            self._fork(branch.node, targets, Cause.PROGRAM, branch.account)

    def _lead(self, branch: Branch, routes: tuple[Route, ...]) -> None:
        if self._has_led_on(branch):
            others = branch.target.route.others if isinstance(branch.target, Foreign) else ()
            self._go_on(branch, (*routes, *others))

    def _has_led_on(self, branch: Branch) -> bool:
        """The branch is done with the call, which goes on elsewhere; False when it is too late, or once too often."""
        if branch.state is not BranchState.RINGING or self.state is not SignalState.PENDING:
            return False
        branch.state = BranchState.ENDED
        self.open.discard(branch)
        branch.stop_timer()
        branch.node.branches.remove(branch)
        self._redirects += 1
        if self._redirects > self._limits.redirects:
            branch.node.finals.append(Answer(482))
            self._check(branch.node)
            return False
        return True

    def _go_on(self, branch: Branch, routes: tuple[Route, ...]) -> None:
        """In the place of a branch, by the first of these ways; by the others if it is not taken there."""
        first, others = routes[0], routes[1:]
        way = first.then(others) if isinstance(first, ForeignRoute) else first
        self._add(branch.node, way, branch.cause, instead=True)
        self._check(branch.node)

    def _rang_out(self, branch: Branch) -> None:
        if branch.state is BranchState.RINGING and self.state is SignalState.PENDING:
            branch.node.branches.remove(branch)
            cancel(self._port, branch, None)
            branch.final = 408
            branch.node.finals.append(Answer(408))
            self._check(branch.node)

    # --- the end of an address, and of the Signal

    def _check(self, node: Node) -> None:
        """Look, when the present event is done, whether anything rings for this address any more."""
        self._tell(lambda: None if node.busy or node.state is not NodeState.RINGING else self._settle(node))

    def _settle(self, node: Node) -> None:
        """All that rang for this address has refused (or its user has declined): its rules, then its best answer."""
        if self.state is not SignalState.PENDING:
            return
        stage = stage_of(node.finals)
        rules = node.take(stage)
        self._apply(node, rules)
        if rules or ((stage is Stage.NO_ANSWER or node.members) and self._apply_first_timed(node)):
            self._check(node)
        else:
            self._finish(node, best(node.finals))

    def _finish(self, node: Node, answer: Answer) -> None:
        if node.state is NodeState.DONE:
            return
        if node.parent is None:
            self._end(answer)
            return
        cancel_below(self._port, node, None)
        node.parent.nodes.remove(node)
        node.parent.finals.append(answer)
        self._check(node.parent)

    def _end(self, answer: Answer, reason: str | None = None) -> None:
        if self.state is SignalState.PENDING:
            self.state = SignalState.FAILED
            self._close(reason)
            self._port.failed(answer)

    def _close(self, reason: str | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        cancel_below(self._port, self._root, reason)
