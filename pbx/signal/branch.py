"""One try to reach somebody: a telephone, a program, or an address elsewhere. Driven by Signal."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from base.clock import Timer
from directory.model import Account, ForeignRoute, ProgramRoute
from pbx.signal.cause import Cause

if TYPE_CHECKING:
    from pbx.signal.node import Node


@dataclass(frozen=True, slots=True)
class Device:
    """A registered telephone of an account, named by its contact as it was registered."""

    account: Account
    contact: str


@dataclass(frozen=True, slots=True)
class Program:
    """A Real-Time application; its Task owns the answer (decision 2)."""

    route: ProgramRoute


@dataclass(frozen=True, slots=True)
class Foreign:
    """An address that leads out of this server."""

    route: ForeignRoute


Target = Device | Program | Foreign


class BranchState(enum.Enum):
    """RINGING → CANCELLED → ENDED, or RINGING → WON | ENDED. A cancelled branch can win while its `drain` waits."""

    RINGING = "ringing"
    CANCELLED = "cancelled"
    WON = "won"
    ENDED = "ended"


@dataclass(eq=False, slots=True)
class Branch:
    """`number` is unique within its Signal. `account` is the address of record that it rings for, if any. `cause` and
    `index` as for a Node. `instead`: it goes another way for one that was not taken. `final`: the status of its
    refusal, 0 without one."""

    number: int
    target: Target
    node: Node
    account: Account | None = None
    state: BranchState = BranchState.RINGING
    cause: Cause | None = None
    index: tuple[int, ...] = (1, 1)
    instead: bool = False
    final: int = 0
    drain: Node | None = None
    timer: Timer | None = field(default=None, repr=False)

    @property
    def urgent(self) -> bool:
        """It is a call for help, on its way out."""
        return isinstance(self.target, Foreign) and self.target.route.emergency

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
