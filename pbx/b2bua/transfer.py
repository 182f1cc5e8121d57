"""A party on its way to new company: the call that is placed for it, and what becomes of it when nobody answers.

Who asked for it and how he is told is `referral`'s business. The party stays with its holder until somebody answers,
and hears ringing instead of him while telephones ring.

    answered                   the two are joined, the holder lets go
    refused                    nothing changes
    refused, holder hung up    the party is led back to who sent it, once; else hung up

A call that the holder has placed himself and that still rings is taken over instead (RFC 5589 §7.6).

RFC 5589 §6; CommuniGate's TransferCall.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from base.failures import Failure
from base.log import get_logger
from directory.model import Account, AccountRoute, Caller, Route
from pbx.b2bua.asserted import recorded
from pbx.b2bua.call import Call, new_call
from pbx.b2bua.connected import introduce
from pbx.b2bua.failures import status_of
from pbx.b2bua.hold import answer_alone
from pbx.b2bua.leg import Leg, LegOwner
from pbx.b2bua.overheard import let_hear
from pbx.b2bua.phone_branch import PhoneBranch, answered_leg
from pbx.b2bua.reoffer import Reoffer
from pbx.b2bua.ringback import Ringback
from pbx.b2bua.watching import tell_lines
from pbx.programs import RequestData
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Program
from pbx.sipcore.failures import NotAcceptable
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.call import BranchRunner
    from pbx.b2bua.media_bridge import Bridge

_log = get_logger("pbx.calls")


class Holder(Protocol):
    """Who holds the party that is sent elsewhere."""

    def release(self, leg: Leg) -> None:
        """Give the leg away; hang up what else there was."""

    def take_back(self, leg: Leg, *, renewed: bool) -> None:
        """The leg stays. It may have heard us meanwhile; `renewed`: in place of the other party's audio."""


class Transfer:
    """The party as a caller. `caller`: how it is shown and on whose rights; `back`: to whom it returns."""

    hops = 70
    earlier: tuple[tuple[str, str], ...] = ()
    reliable = False
    breadth: int | None = None
    can_encrypt = True  # it is offered other media in any case

    def __init__(
        self,
        party: Leg,
        holder: Holder,
        caller: Caller,
        outcome: Callable[[int, bool], None],
        back: Account | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._party = party
        self._holder = holder
        self._caller = caller
        self._outcome = outcome
        self.back = back
        self._call: Call | None = None
        self._taken = False
        self._alone = False
        self._ringback = Ringback(party)
        self.headers = headers

    def begin(self, route: Route, dialled: str) -> None:
        """Place the call."""
        party = self._party
        try:
            self._call = call = new_call(party.exchange, self, party.call_id, dialled)
        except Failure as failure:
            self._failed(status_of(failure))
            return
        _log.info("transfer", call=call.id, party=self._caller.uri, target=dialled)
        party.transfer = self
        call.begin(route)

    def take(self, call: Call) -> None:
        """A call that rings for the one who sends the party elsewhere rings for it from here on."""
        self._call, self._taken = call, True
        call.origin = self
        call.parties = []
        call.record.caller, call.record.caller_account = recorded(self._caller), None
        _log.info("transfer takes a call over", call=call.id, party=self._caller.uri, target=call.record.dialled)
        self._party.transfer = self
        tell_lines(call)
        if call.rung:
            self._ringback.start(self._prompts)

    @property
    def _prompts(self) -> Account | None:
        """Whose prompts the party hears."""
        return self._party.person.account or self._caller.payer

    # --- what happens to those at this end meanwhile

    def keep(self, holder: LegOwner) -> None:
        """The one who sent the party elsewhere has hung up: it waits with us."""
        self._alone = True
        if self._party.owner is holder:
            self._party.owner = self

    def party_gone(self) -> None:
        if self._call is not None:
            self._call.signal.cancel()

    # --- the call's origin

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def security(self) -> MediaSecurity:
        return self._party.media.guards.wish

    @property
    def asked(self) -> SessionDescription | None:
        return self._party.media.takes

    def offer(self, leg: Leg) -> SessionDescription | None:
        """What the party takes, the codec that it has now first."""
        let_hear(self._party, leg)
        theirs = self._party.media.takes
        return leg.studio_offer() if theirs is None else leg.relay(theirs.with_direction("sendrecv"))

    def early_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        answer_alone(leg, transaction)

    def run_program(self, call: Call, branch: Branch, target: Program) -> BranchRunner:
        from pbx.b2bua.program_branch import ProgramBranch

        self._ringback.stop()
        data = RequestData(call.record.call_id, call.record.dialled, self._caller.uri, "", call.record.dialled, {})
        party = self._party

        def connected() -> None:
            program = party.owner
            party.theirs = None
            self._leave(200)
            party.owner = program

        return ProgramBranch(call, branch, target.route, party, self._caller, data, party.owner, connected)

    def ring(self, call: Call, branch: Branch) -> BranchRunner:
        return PhoneBranch(call, branch)

    def progress(self, call: Call, answer: Answer, runner: BranchRunner) -> None:
        self._outcome(answer.status, False)
        self._ringback.start(self._prompts)

    def connect(self, call: Call, runner: BranchRunner) -> None:
        from pbx.b2bua.media_bridge import Bridge

        if (leg := answered_leg(runner)) is None:
            return
        try:
            self._acknowledge(leg)
            if leg.theirs is None or self._party.ended:
                raise NotAcceptable("No answer, or nobody left to talk to")
            leg.settle()
        except NotAcceptable:
            leg.hang_up(488)
            call.end("server", "no common audio")
            self._failed(488)
            return
        self._leave(200)
        bridge = Bridge(call, self._party, leg)
        headers = introduce(self._party, leg)
        offer = self._party.relay(leg.theirs)
        self._ringback.stop(lambda: Reoffer(self._party, lambda _done: self._joined(bridge, leg), headers).send(offer))

    def _acknowledge(self, leg: Leg) -> None:
        """A telephone that rang without an offer, for a caller who has stepped aside, has made one: it is answered with
        what the party takes. Raises NotAcceptable."""
        answer, theirs = None, self._party.theirs
        try:
            if leg.media.ours is None and leg.theirs is not None:
                answer = leg.studio_answer() if theirs is None else leg.relay_answer(theirs.with_direction("sendrecv"))
        finally:
            leg.acknowledge(answer)

    def _joined(self, bridge: Bridge, leg: Leg) -> None:
        bridge.start()
        if self._taken:  # his telephone has shown another caller
            leg.refresh(introduce(leg, self._party))

    def _leave(self, status: int) -> None:
        self._party.transfer = None
        self._outcome(status, True)
        if not self._alone:
            self._holder.release(self._party)

    def refuse(self, call: Call, answer: Answer) -> None:
        self._failed(answer.status)

    def _failed(self, status: int) -> None:
        party, back = self._party, self.back
        party.transfer = None
        self._ringback.stop(self._give_back)
        self._outcome(status, True)
        if not self._alone or party.ended:
            return
        party.owner = self
        if back is None:
            party.hang_up(status)
        else:
            _log.info("transfer returns", party=self._caller.uri, to=back.address, status=status)
            again = Transfer(party, self._holder, self._caller, lambda _status, _final: None)
            again.keep(self)
            again.begin(AccountRoute(back), f"sip:{back.address}")

    def _give_back(self) -> None:
        if not self._alone:
            self._holder.take_back(self._party, renewed=self._ringback.renewed)

    # --- told by the party, when its holder is gone

    def leg_ended(self, leg: Leg, cause: str) -> None:
        """`party_gone` was told."""

    def leg_acknowledged(self, leg: Leg) -> None: ...

    def leg_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        answer_alone(leg, transaction)

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        transaction.reply(491 if transaction.request.method == "REFER" else 480)

    def leg_digit(self, leg: Leg, digit: str) -> None: ...

    def leg_played(self, leg: Leg, play: int) -> None: ...

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...
