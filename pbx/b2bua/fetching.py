"""A caller who is not answered yet takes over a party that a program holds: a parked call is fetched."""

from __future__ import annotations

from collections.abc import Callable

from pbx.b2bua.asserted import recorded
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import Leg
from pbx.b2bua.media_bridge import Bridge
from pbx.b2bua.pending import Pending
from pbx.b2bua.program_leg import ProgramLeg
from pbx.b2bua.takeover import Takeover
from pbx.b2bua.watching import tell_lines


class Fetching(Takeover):
    """`holder` has the party that stays; `newcomer` waits for the answer of `branch`. `failed` is told when it has come
    to nothing. It is its own `Place`: the one before that program."""

    def __init__(
        self, holder: ProgramLeg, stays: Leg, newcomer: IncomingLeg, branch: Pending, failed: Callable[[], None]
    ) -> None:
        self._holder = holder
        self.stays = stays
        self._branch = branch
        self._failed = failed
        self._caller = newcomer
        self._bridge: Bridge | None = None
        newcomer.owner = self
        super().__init__(self, newcomer, self._finished)

    def free(self) -> bool:
        return self._holder.talks_to(self.stays)

    def seat(self, newcomer: Leg) -> None:
        self._branch.accept()
        self._holder.release(self.stays)
        call, person = self._branch.call, self.stays.person
        call.record.program, call.record.callee = "", recorded(person).removeprefix("sip:")
        call.record.callee_account = None if person.account is None else person.account.id
        self._bridge = Bridge(call, newcomer, self.stays)
        tell_lines(call)

    def joined(self) -> None:
        if self._bridge is not None:
            self._bridge.start()

    def leg_ended(self, leg: Leg, cause: str) -> None:
        self._branch.caller_gone()
        super().leg_ended(leg, cause)

    def _finished(self, status: int) -> None:
        newcomer = self._caller
        self.stays.replacing = False
        if status == 200:
            return
        if not newcomer.pending:  # he had our answer, and no audio has come of it
            newcomer.hang_up(status)
        self._branch.refuse(status, "")
        self._failed()
