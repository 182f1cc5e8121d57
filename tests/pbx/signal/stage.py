"""The stage on which a Signal is stepped by hand: who there is, a way that writes down what it is told, and a clock."""

from __future__ import annotations

from collections.abc import Sequence

from base.clock import ManualClock
from directory.model import (
    Account,
    AccountRoute,
    Address,
    CallRule,
    ForeignRoute,
    GroupRoute,
    NullRoute,
    ProgramRoute,
    Redirect,
    Route,
    UnknownRoute,
)
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Program
from pbx.signal.port import Limits
from pbx.signal.signal import Signal

ALICE = Account(1, "example.org", "alice")
BOB = Account(2, "example.org", "bob")
CAROL = Account(3, "example.org", "carol")
PEOPLE = {account.name: account for account in (ALICE, BOB, CAROL)}
OTHERS = (ForeignRoute(Address("two", "b.net")), ForeignRoute(Address("three", "c.net")), AccountRoute(CAROL))
VOICEMAIL = Redirect(("#voicemail",))


class Way:
    """A way that only writes down what it is told."""

    def __init__(self) -> None:
        self.phones: dict[int, list[str]] = {}
        self.call_rules: dict[int, list[CallRule]] = {}
        self.started: list[Branch] = []
        self.cancelled: list[tuple[Branch, str | None]] = []
        self.discarded: list[Branch] = []
        self.provisionals: list[tuple[Branch, Answer]] = []
        self.finals: list[Answer] = []
        self.winner: Branch | None = None

    def resolve(self, target: str, account: Account | None) -> Route:
        if target.startswith("#"):
            return ProgramRoute(target[1:], (), account or ALICE)
        if target == "void":
            return NullRoute(Address("void", "example.org"))
        if target == "team":
            return GroupRoute("team", tuple(Address(name, "example.org") for name in ("bob", "carol")))
        local, _, domain = target.partition("@")
        if domain not in ("", "example.org"):
            return ForeignRoute(Address(local, domain), others=OTHERS if local == "listed" else ())
        return AccountRoute(PEOPLE[local]) if local in PEOPLE else UnknownRoute(Address(local, "example.org"))

    def devices(self, account: Account) -> Sequence[str]:
        return self.phones.get(account.id, [])

    def rules(self, account: Account) -> Sequence[CallRule]:
        return self.call_rules.get(account.id, [])

    def best_way(self, route: ForeignRoute) -> ForeignRoute:
        return route

    def start_branch(self, branch: Branch) -> None:
        self.started.append(branch)

    def cancel_branch(self, branch: Branch, reason: str | None) -> None:
        self.cancelled.append((branch, reason))

    def discard(self, branch: Branch) -> None:
        self.discarded.append(branch)

    def provisional(self, branch: Branch, answer: Answer) -> None:
        self.provisionals.append((branch, answer))

    def answered(self, branch: Branch, answer: Answer) -> None:
        self.winner = branch
        self.finals.append(answer)

    def failed(self, answer: Answer) -> None:
        self.finals.append(answer)


class Play:
    """A Signal with its clock and its way."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = ManualClock()
        self.way = Way()
        self.signal = Signal(self.clock, self.way, limits)

    def bob_has(self, *phones: str, rules: Sequence[CallRule] = ()) -> Play:
        self.way.phones[BOB.id] = list(phones)
        self.way.call_rules[BOB.id] = list(rules)
        return self

    def call(self, target: str = "bob") -> Play:
        self.signal.begin(self.way.resolve(target, None))
        return self

    def says(self, index: int, status: int, *contacts: str) -> None:
        self.signal.answer(self.way.started[index], Answer(status, contacts=contacts))

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.way.finals]

    @property
    def programs(self) -> list[str]:
        return [b.target.route.program for b in self.way.started if isinstance(b.target, Program)]
