"""A call that a SIP caller placed: his INVITE is answered by the phone or the program that the Signal chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from directory.model import Caller
from pbx.b2bua.asserted import REVEALING
from pbx.b2bua.diversion import MOST
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import MEDIA_LOST, Leg
from pbx.b2bua.media_bridge import Bridge
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.pending import request_data, seen_by
from pbx.b2bua.phone_branch import PhoneBranch, leg_of
from pbx.b2bua.program_branch import ProgramBranch
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Program
from pbx.sipcore.failures import NotAcceptable
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.call import BranchRunner, Call

_PASSING = ("Subject", "Alert-Info", "Priority", "Call-Info", "Organization")
"""Headers of the caller that the callee's phone may use."""

_HISTORY = ("Diversion", "History-Info")
"""RFC 5806, RFC 7044: a trusted peer's account of where the call has been."""


class SipOrigin:
    """Owns the caller's leg until somebody answers."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._leg: IncomingLeg | None = None
        self._call: Call | None = None

    def attach(self, call: Call, leg: IncomingLeg) -> None:
        self._call, self._leg = call, leg
        call.parties = [leg]

    @property
    def leg(self) -> IncomingLeg:
        if self._leg is None:
            raise ValueError("no leg is attached")
        return self._leg

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def hops(self) -> int:
        """RFC 3261 §16.6 step 3; a B2BUA counts down too, so that circles through it end (RFC 5393 §5)."""
        said = self.leg.request.number("Max-Forwards")
        return max(0, (70 if said is None else min(said, 70)) - 1)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        request = self.leg.request
        shown = [name for name in _PASSING if not (self._caller.private and name in REVEALING)]
        passing = [(name, value) for name in shown for value in request.get_all(name)[:3]]
        if self._caller.trusted:  # what strangers and phones say of earlier diversions is not believed
            passing += [(name, value) for name in _HISTORY for value in request.get_all(name)[:MOST]]
        return tuple(passing)

    @property
    def asked(self) -> SessionDescription | None:
        return self.leg.theirs

    def offer(self, leg: OutgoingLeg) -> SessionDescription | None:
        return None if self.leg.theirs is None else leg.relay(self.leg.theirs)

    def run_program(self, call: Call, branch: Branch, target: Program) -> BranchRunner:
        seen = seen_by(self._caller, target.route.account)
        data = request_data(self.leg.request, seen)
        return ProgramBranch(call, branch, target.route, self.leg, self._caller, data, self)

    def ring(self, call: Call, branch: Branch) -> BranchRunner:
        return PhoneBranch(call, branch)

    def progress(self, call: Call, answer: Answer, runner: BranchRunner) -> None:
        """A phone rings. Early audio passes when it is the only one (RFC 3960 §3.1)."""
        description = None
        leg = leg_of(runner)
        if leg is not None and leg.theirs is not None and self.leg.theirs is not None and call.ringing_phones == 1:
            try:
                description = self.leg.relay_answer(leg.theirs)
                self.leg.settle()
                leg.settle()
                self.leg.media.join(leg.media)
            except NotAcceptable:
                description = None
        self.leg.provision(answer.status, answer.reason, description)

    def connect(self, call: Call, runner: BranchRunner) -> None:
        if (leg := leg_of(runner)) is not None:
            Bridge(call, self.leg, leg).answer()

    def refuse(self, call: Call, answer: Answer) -> None:
        if not self.leg.ended:
            self.leg.refuse(answer.status, answer.reason)

    # --- told by the caller's leg while nobody has answered

    def leg_ended(self, leg: Leg, cause: str) -> None:
        if self._call is None:
            return
        if cause == MEDIA_LOST:
            self._call.break_off(503, cause)
        else:
            self._call.signal.cancel()

    def leg_acknowledged(self, leg: Leg) -> None: ...

    def leg_reinvite(self, leg: Leg, transaction: ServerTransaction) -> None:
        transaction.reply(491)

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        transaction.reply(501)

    def leg_digit(self, leg: Leg, digit: str) -> None: ...

    def leg_played(self, leg: Leg, play: int) -> None: ...

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...
