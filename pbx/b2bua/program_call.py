"""A call that a program places: a Signal of its own, whose answered leg is handed to the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from base.failures import Failure
from directory.model import Caller
from pbx.b2bua.call import Call, new_call
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.hold import answer_alone
from pbx.b2bua.leg import Leg
from pbx.b2bua.phone_branch import PhoneBranch, answered_leg
from pbx.b2bua.pipe import PipeLeg, make_pipe
from pbx.b2bua.program_branch import ProgramBranch
from pbx.programs import RequestData
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Program
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from pbx.sipcore.transactions import ServerTransaction
from pbx.sipcore.uri import NameAddress

if TYPE_CHECKING:
    from pbx.b2bua.call import BranchRunner
    from pbx.b2bua.program_leg import ProgramLeg

_LONGEST_RING = 3600.0


class ProgramOrigin:
    """The program as a caller."""

    headers: tuple[tuple[str, str], ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()
    hops = 70
    reliable = True
    breadth: int | None = None
    security = MediaSecurity.OPTIONAL
    can_encrypt = True

    def __init__(self, leg: ProgramLeg, caller: Caller, dialled: str) -> None:
        self._leg = leg
        self._caller = caller
        self._dialled = dialled
        self._pipes: list[PipeLeg] = []

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def asked(self) -> SessionDescription | None:
        return None

    def offer(self, leg: Leg) -> SessionDescription | None:
        return leg.studio_offer()

    def early_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        answer_alone(leg, transaction)

    def run_program(self, call: Call, branch: Branch, target: Program) -> BranchRunner:
        near, far = make_pipe(call.exchange, self._leg.call_progress)
        self._pipes.append(near)
        said = self._caller
        data = RequestData(call.record.call_id, self._dialled, said.uri, said.name, self._dialled, {})

        def connected() -> None:
            self._pipes.remove(near)
            if not self._leg.call_answered(near, call.end):
                near.hang_up()

        return ProgramBranch(call, branch, target.route, far, said, data, far, connected)

    def ring(self, call: Call, branch: Branch) -> BranchRunner:
        return PhoneBranch(call, branch)

    def progress(self, call: Call, answer: Answer, runner: BranchRunner) -> None:
        self._leg.call_progress(answer.status)

    def connect(self, call: Call, runner: BranchRunner) -> None:
        self._close_pipes()
        if (leg := answered_leg(runner)) is None:
            return
        leg.acknowledge()
        try:
            if leg.theirs is None:
                raise NotAcceptable("No answer to our offer")
            leg.settle()
        except NotAcceptable:
            leg.hang_up(488)
            self._leg.call_failed(488, "")
            call.end("server", "no common audio")
            return
        call.parties = [leg]
        call.hang_up_all = self._leg.shut_down
        if not self._leg.call_answered(leg, call.end):
            leg.hang_up()
            call.end("caller", "cancelled")

    def refuse(self, call: Call, answer: Answer) -> None:
        self._close_pipes()
        self._leg.call_failed(answer.status, answer.reason)

    def _close_pipes(self) -> None:
        for pipe in self._pipes:
            pipe.hang_up()
        self._pipes.clear()


class _Placed:
    """What the leg holds while nobody has answered."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def cancel(self) -> None:
        self._call.signal.cancel()


def place(
    exchange: Exchange, leg: ProgramLeg, uri: str, parameters: Mapping[str, str], *, wanted: bool = False
) -> _Placed | str:
    """Start the call; a text tells why it could not be started. Outcomes come later, as events. `wanted`: who is called
    has asked for it."""
    target = uri.strip()
    if target.lower().startswith("sip:"):
        target = f"<{target}>"
    try:
        route = exchange.people.resolve_target(target, leg.account).route
        origin = ProgramOrigin(leg, _caller(leg, parameters), uri)
        call = new_call(exchange, origin, parameters.get("Call-ID") or exchange.entropy.token(16), uri)
        call.wanted = wanted
    except Failure as failure:
        return failure.public
    exchange.clock.call_later(0.0, lambda: call.begin(route, _expires(parameters)))
    return _Placed(call)


def _caller(leg: ProgramLeg, parameters: Mapping[str, str]) -> Caller:
    """The identity that the callee sees: what the program says, else its account. It calls on the rights of its
    account, but on none where it serves somebody who has none (decision 4)."""
    account, rights = leg.account, leg.account if leg.proved else None
    said = parameters.get("From", "").strip()
    if said:
        try:
            address = NameAddress.parse(said if ":" in said else f"<sip:{said}>")
            return Caller(str(address.uri), address.display, rights=rights)
        except SipSyntaxError:
            pass
    return Caller(f"sip:{account.address}", account.real_name, rights, rights=rights)


def _expires(parameters: Mapping[str, str]) -> float | None:
    try:
        seconds = float(parameters.get("Expires", "0"))
    except ValueError:
        return None
    return min(seconds, _LONGEST_RING) if seconds > 0 else None
