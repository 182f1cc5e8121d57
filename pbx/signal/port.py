"""What a Signal needs of the way that carries it, within which bounds, and how it stands: contracts, no behaviour."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from directory.model import Account, CallRule, ForeignRoute, Route
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one Signal, in seconds and in numbers."""

    ring: float = 185.0  # Limit: RFC 3261 §16.6 step 11, Timer C is more than three minutes for a proxy
    drain: float = 2.0  # Limit: how long a timed redirect waits for the finals of what it cancelled
    redirects: int = 10
    branches: int = 50
    depth: int = 10


class SignalPort(Protocol):
    """What a Signal asks of the way that carries it. It may call back at once; the Signal takes one event at a time."""

    def resolve(self, target: str, account: Account | None) -> Route:
        """Where a rule's, program's or telephone's target leads, read as `account` would dial it."""

    def devices(self, account: Account) -> Sequence[str]:
        """The contacts registered for an account."""

    def device(self, account: Account, instance: str) -> Sequence[str]:
        """The contact of that one telephone of the account, if it is registered."""

    def rules(self, account: Account) -> Sequence[CallRule]: ...

    def best_way(self, route: ForeignRoute) -> ForeignRoute:
        """The route with what is known to be down after its other ways."""

    def start_branch(self, branch: Branch) -> None: ...

    def cancel_branch(self, branch: Branch, reason: str | None) -> None:
        """Stop it; its final answer is still reported. `reason` is a Reason header's value (RFC 3326)."""

    def discard(self, branch: Branch) -> None:
        """It was answered too late: accept the answer and hang up (RFC 3261 §16.7 step 5, §13.2.2.4)."""

    def provisional(self, branch: Branch, answer: Answer) -> None: ...

    def answered(self, branch: Branch, answer: Answer) -> None:
        """The one success."""

    def failed(self, answer: Answer) -> None:
        """The one failure."""


class SignalState(enum.Enum):
    """PENDING → ANSWERED | FAILED; both are final."""

    PENDING = "pending"
    ANSWERED = "answered"
    FAILED = "failed"
