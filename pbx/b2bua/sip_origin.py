"""A call that a SIP caller placed: his INVITE is answered by the phone or the program that the Signal chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from directory.model import Caller
from pbx.b2bua import diversion
from pbx.b2bua.asserted import REVEALING
from pbx.b2bua.bodies import read_description
from pbx.b2bua.guards import pair
from pbx.b2bua.hold import Renegotiation
from pbx.b2bua.incoming import NO_PRACK, IncomingLeg
from pbx.b2bua.leg import MEDIA_LOST, Leg
from pbx.b2bua.media_bridge import Bridge
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.overheard import let_hear
from pbx.b2bua.pending import request_data, seen_by
from pbx.b2bua.phone_branch import PhoneBranch, answered_leg, leg_of
from pbx.b2bua.program_branch import ProgramBranch
from pbx.b2bua.reoffer import Reoffer
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Program
from pbx.sipcore.breadth import HEADER
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Request
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity, can_encrypt
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.call import BranchRunner, Call

_PASSING = ("Subject", "Alert-Info", "Priority", "Call-Info", "Organization", "Referred-By", "Replaces")
"""Headers of the caller that the callee's phone may use. A Replaces that gets here means a dialog of others."""

_OUR_REASONS = {MEDIA_LOST: 503, NO_PRACK: 504}
"""Ends that are no second thoughts of the caller's."""


class SipOrigin:
    """Owns the caller's leg until somebody answers."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._leg: IncomingLeg | None = None
        self._call: Call | None = None
        self._early: OutgoingLeg | None = None

    def attach(self, call: Call, leg: IncomingLeg) -> None:
        self._call, self._leg = call, leg
        call.parties = [leg]
        if "histinfo" in leg.request.tokens("Supported") and (leg.trusted or self._caller.account is not None):
            leg.history = lambda: self._history(call)

    def _history(self, call: Call) -> diversion.Headers:
        """Nothing of who has answered and hides himself."""
        if any(party.person.private for party in call.parties[1:]):
            return ()
        return diversion.for_caller(call.branches, call.record.dialled, self.earlier)

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
        """RFC 3261 §16.6 step 3; a B2BUA counts down too, so that circles through it end."""
        said = self.leg.request.number("Max-Forwards")
        return max(0, (70 if said is None else min(said, 70)) - 1)

    @property
    def breadth(self) -> int | None:
        """RFC 5393 §5.3.3 is for proxies; a B2BUA passes on what it was told."""
        return self.leg.request.number(HEADER)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        request = self.leg.request
        shown = [name for name in _PASSING if not (self._caller.private and name in REVEALING)]
        return tuple((name, value) for name in shown for value in request.get_all(name)[:3])

    @property
    def earlier(self) -> tuple[tuple[str, str], ...]:
        return diversion.earlier(self.leg.request, self._caller)

    @property
    def security(self) -> MediaSecurity:
        return self.leg.media.guards.wish

    @property
    def can_encrypt(self) -> bool:
        return self.leg.theirs is None or can_encrypt(self.leg.theirs)

    @property
    def asked(self) -> SessionDescription | None:
        return self.leg.theirs

    @property
    def reliable(self) -> bool:
        return self.leg.invite.reliable

    def offer(self, leg: Leg) -> SessionDescription | None:
        let_hear(self.leg, leg)
        return None if self.leg.theirs is None else leg.relay(self.leg.theirs)

    def run_program(self, call: Call, branch: Branch, target: Program) -> BranchRunner:
        seen = seen_by(self._caller, target.route.account)
        data = request_data(self.leg.request, seen)
        return ProgramBranch(call, branch, target.route, self.leg, self._caller, data, self)

    def ring(self, call: Call, branch: Branch) -> BranchRunner:
        return PhoneBranch(call, branch)

    # --- while it rings

    def progress(self, call: Call, answer: Answer, runner: BranchRunner) -> None:
        """A phone rings. Early audio passes when it is the only one (RFC 3960 §3.1)."""
        description = None
        leg = leg_of(runner)
        if leg is not None and leg.theirs is not None and not leg.acknowledged and call.ringing_phones == 1:
            description = self._early_audio(leg, leg.theirs)
        self.leg.provision(answer.status, answer.reason, description)

    def _early_audio(self, leg: OutgoingLeg, theirs: SessionDescription) -> SessionDescription | None:
        """What the caller is told with the ringing."""
        if not pair(self.leg, leg):
            return None
        if self.leg.settled:
            self._change_early(leg, theirs)
        elif leg.asked is not None:
            return self._ask_early(leg, theirs)
        elif self.leg.theirs is not None:
            return self._answer_early(leg, theirs)
        return None

    def _answer_early(self, leg: OutgoingLeg, theirs: SessionDescription) -> SessionDescription | None:
        """The phone's answer to the caller's offer."""
        try:
            description = self.leg.relay_answer(theirs)
            self._join_early(leg, theirs)
        except NotAcceptable:
            return None
        return description

    def _ask_early(self, leg: OutgoingLeg, theirs: SessionDescription) -> SessionDescription | None:
        """The phone's offer to a caller without one: his PRACK answers it (RFC 3262 §5)."""
        if self.leg.theirs is not None or not self.leg.invite.reliable:
            return None
        leg.carried = True
        self.leg.heard = theirs
        self.leg.answer_in_ack = lambda prack: self._answered_in_prack(leg, prack)
        return self.leg.relay(theirs)

    def _answered_in_prack(self, leg: OutgoingLeg, prack: Request) -> None:
        try:
            self.leg.theirs = theirs = read_description(prack)
            if theirs is None or leg.theirs is None:
                raise NotAcceptable("PRACK without an answer")
            leg.answer_early(leg.relay_answer(theirs))
            self._join_early(leg, leg.theirs)
        except (SipSyntaxError, NotAcceptable):
            leg.answer_early_alone()

    def _change_early(self, leg: OutgoingLeg, theirs: SessionDescription) -> None:
        """Another phone, or other audio of the same, after the caller had his answer: an UPDATE, if he takes it."""
        session = self.leg.session
        if theirs.same_as(self.leg.heard) or session is None or not session.changes.may_update:
            return

        def told(done: bool) -> None:
            if done:
                self._join_early(leg, theirs)

        Reoffer(self.leg, told).send(self.leg.relay(theirs))

    def _join_early(self, leg: OutgoingLeg, theirs: SessionDescription) -> None:
        """Both have described themselves. Raises NotAcceptable."""
        self._early, self.leg.heard = leg, theirs
        self.leg.settle()
        leg.settle()
        self.leg.media.join(leg.media)

    def early_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        Renegotiation(leg, self.leg, transaction).start()

    def connect(self, call: Call, runner: BranchRunner) -> None:
        if (leg := answered_leg(runner)) is not None:
            Bridge(call, self.leg, leg).answer()

    def refuse(self, call: Call, answer: Answer) -> None:
        if not self.leg.ended:
            self.leg.refuse(answer.status, answer.reason, call.warning(answer))

    def step_aside(self) -> Call | None:
        """The call rings on for somebody else, and its caller is refused. None when it cannot: what a telephone offers
        while it rings, to a caller without an offer of his own, only he can answer."""
        leg, call = self.leg, self._call
        if call is None or leg.owner is not self or not leg.pending or not call.signal.open:
            return None
        if leg.theirs is None and self.reliable:
            return None
        self._call = None
        leg.media.part()
        leg.refuse(487)
        return call

    # --- told by the caller's leg while nobody has answered

    def leg_ended(self, leg: Leg, cause: str) -> None:
        if self._call is None:
            return
        if cause in _OUR_REASONS:
            self._call.break_off(_OUR_REASONS[cause], cause)
        else:
            self._call.signal.cancel(reason=self.leg.invite.cancel_reason)

    def leg_acknowledged(self, leg: Leg) -> None: ...

    def leg_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        """He changes the audio of a phone that he hears before it answers (RFC 3311 §5.1)."""
        if self._early is not None:
            Renegotiation(leg, self._early, transaction).start()
        elif (session := leg.session) is not None:
            session.answer_offer(transaction, session.response(transaction, 488))

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        transaction.reply(501)

    def leg_digit(self, leg: Leg, digit: str) -> None: ...

    def leg_played(self, leg: Leg, play: int) -> None: ...

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...
