"""A branch that a program answers: its Task owns the answer (decision 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from base.failures import Failure
from base.log import get_logger
from directory.model import Caller, ProgramRoute
from pbx.b2bua.failures import status_of
from pbx.b2bua.leg import Leg, LegOwner
from pbx.b2bua.pending import seen_by
from pbx.b2bua.program_leg import ProgramLeg
from pbx.policy.relaying import lets_out
from pbx.programs import RequestData
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, BranchState

if TYPE_CHECKING:
    from pbx.b2bua.call import Call

_log = get_logger("pbx.calls")


class ProgramBranch:
    """Starts the program with a leg in its hands; `party` is the caller's leg, which it borrows from `lender`."""

    def __init__(
        self,
        call: Call,
        branch: Branch,
        route: ProgramRoute,
        party: Leg,
        caller: Caller,
        request: RequestData,
        lender: LegOwner,
        on_connected: Callable[[], None] | None = None,
    ) -> None:
        self._call = call
        self._branch = branch
        self._route = route
        self._party = party
        self._lender = lender
        self._on_connected = on_connected
        self._leg = ProgramLeg(call.exchange, route.account, lets_out(call.exchange.people, caller))
        self._leg.take_pending(self, party, seen_by(caller, route.account), request)

    @property
    def call(self) -> Call:
        return self._call

    def start(self) -> None:
        self._call.exchange.spawn(self._run(), f"program {self._route.program} of {self._call.id}")

    async def _run(self) -> None:
        try:
            await self._party.open()
            if self._branch.state is not BranchState.RINGING:
                return
            programs = self._call.exchange.programs
            if programs is None:
                raise Failure("unavailable", "No programs here")
            self._party.owner = self._leg
            programs.start(self._route.program, self._route.parameters, self._route.account, self._leg)
        except Failure as failure:
            _log.warning("program not started", program=self._route.program, cause=str(failure), call=self._call.id)
            self.refuse(status_of(failure), "")

    # --- told by the Signal

    def cancel(self, reason: str | None) -> None:
        self._give_back()
        self._leg.withdraw()
        self._call.signal.answer(self._branch, Answer(487))

    def discard(self) -> None:
        """A program's answer is taken in `accept` or not at all."""

    def _give_back(self) -> None:
        if self._party.owner is self._leg:
            self._party.owner = self._lender

    # --- told by the program's leg

    def accept(self) -> bool:
        """The program wants to answer: true when it is the one that does."""
        self._call.signal.answer(self._branch, Answer(200))
        return self._branch.state is BranchState.WON

    def connected(self) -> None:
        call = self._call
        call.parties = [self._party]
        call.hang_up_all = self._leg.shut_down
        self._leg.ends_with(call.end)
        if self._on_connected is not None:
            self._on_connected()

    def refuse(self, status: int, reason: str) -> None:
        self._give_back()
        self._call.signal.answer(self._branch, Answer(status, reason))

    def redirect(self, targets: tuple[str, ...]) -> None:
        self._give_back()
        self._call.signal.redirect(self._branch, targets)

    def fork(self, targets: tuple[str, ...]) -> None:
        self._call.signal.fork(self._branch, targets)

    def caller_gone(self) -> None:
        """The caller cancelled: the whole call ends; so does what else his party was in."""
        self._give_back()
        self._call.signal.answer(self._branch, Answer(487))
        self._call.signal.cancel()
        if self._party.ended:
            self._lender.leg_ended(self._party, "BYE")
