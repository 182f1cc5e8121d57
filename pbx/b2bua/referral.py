"""REFER: a party sends the other one elsewhere. It ends at us (decision 3): we place the call and join the two.

RFC 3515 (REFER, NOTIFY of its outcome), RFC 3891 (Replaces: attended transfer), RFC 5589 (how phones do it).

    referrer ──REFER──> us ──202, NOTIFY 100──> referrer
                        us ──INVITE──> target            (a Signal, with its own rules)
    answered:           us ──re-INVITE──> transferee,  NOTIFY 200, BYE ──> referrer
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from base.failures import Failure
from base.log import get_logger
from directory.model import Address, Caller, Route
from pbx.b2bua.call import Call, new_call
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.failures import status_of
from pbx.b2bua.hold import answer_alone
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import Leg
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.phone_branch import PhoneBranch, leg_of
from pbx.b2bua.reoffer import Reoffer
from pbx.policy.relaying import account_lets_out
from pbx.programs import RequestData
from pbx.signal.answer import Answer
from pbx.signal.branch import Branch, Program
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.headers import Replaces
from pbx.sipcore.message import REASONS, Response
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.transactions import ServerTransaction
from pbx.sipcore.uri import NameAddress

if TYPE_CHECKING:
    from pbx.b2bua.call import BranchRunner
    from pbx.b2bua.program_leg import ProgramLeg

_log = get_logger("pbx.calls")


class Holder(Protocol):
    """Who holds the party that is sent elsewhere."""

    def release(self, leg: Leg) -> None:
        """Give the leg away; hang up what else there was."""


class TransferOrigin:
    """The transferred party as a caller: connected already, and given new company."""

    headers: tuple[tuple[str, str], ...] = ()
    hops = 70
    reliable = False

    def __init__(self, party: Leg, holder: Holder, caller: Caller, outcome: Callable[[int, bool], None]) -> None:
        self._party = party
        self._holder = holder
        self._caller = caller
        self._outcome = outcome

    @property
    def caller(self) -> Caller:
        return self._caller

    @property
    def asked(self) -> SessionDescription | None:
        return self._party.theirs

    def offer(self, leg: OutgoingLeg) -> SessionDescription | None:
        """What the party takes now, so that its own codec goes on."""
        theirs = self._party.theirs
        return leg.studio_offer() if theirs is None else leg.relay(theirs.with_direction("sendrecv"))

    def early_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        answer_alone(leg, transaction)

    def run_program(self, call: Call, branch: Branch, target: Program) -> BranchRunner:
        from pbx.b2bua.program_branch import ProgramBranch

        data = RequestData(call.record.call_id, call.record.dialled, self._caller.uri, "", call.record.dialled, {})
        party, held = self._party, self._party.owner

        def connected() -> None:
            leg_owner = party.owner
            party.theirs = None
            self._outcome(200, True)
            self._holder.release(party)
            party.owner = leg_owner

        return ProgramBranch(call, branch, target.route, party, self._caller, data, held, connected)

    def ring(self, call: Call, branch: Branch) -> BranchRunner:
        return PhoneBranch(call, branch)

    def progress(self, call: Call, answer: Answer, runner: BranchRunner) -> None:
        self._outcome(answer.status, False)

    def connect(self, call: Call, runner: BranchRunner) -> None:
        from pbx.b2bua.media_bridge import Bridge

        if (leg := leg_of(runner)) is None:
            return
        leg.acknowledge()
        try:
            if leg.theirs is None or self._party.ended:
                raise NotAcceptable("No answer, or nobody left to talk to")
            leg.settle()
        except NotAcceptable:
            leg.hang_up(488)
            self._outcome(488, True)
            call.end("server", "no common audio")
            return
        self._outcome(200, True)
        self._holder.release(self._party)
        bridge = Bridge(call, self._party, leg)
        Reoffer(self._party, lambda _done: bridge.start()).send(self._party.relay(leg.theirs))

    def refuse(self, call: Call, answer: Answer) -> None:
        self._outcome(answer.status, True)


class _Report:
    """NOTIFYs to the referrer (RFC 3515 §2.4.4)."""

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self._done = False

    def __call__(self, status: int, final: bool) -> None:
        session = self._leg.session
        if self._done or session is None or self._leg.ended:
            return
        self._done = final
        body = f"SIP/2.0 {status} {REASONS.get(status, 'Failure')}\r\n".encode()
        notify = session.new_request("NOTIFY", body, "message/sipfrag;version=2.0")
        notify.set("Event", "refer")
        notify.set("Subscription-State", "terminated;reason=noresource" if final else "active;expires=180")
        session.request(notify, self)

    def on_response(self, response: Response) -> None: ...

    def on_failure(self, cause: str) -> None: ...


def refer(call: Call, referrer: Leg, party: Leg, holder: Holder, transaction: ServerTransaction) -> None:
    """A REFER of one of two parties that talk to each other."""
    _refer(call.exchange, referrer, party, holder, transaction, _speaker(call.exchange, referrer))


def refer_from_program(leg: ProgramLeg, referrer: Leg, transaction: ServerTransaction) -> None:
    """A REFER of a party that programs have joined with another."""
    other = leg.bridged
    if other is None or other.party is None:
        transaction.reply(501)
        return
    speaker = Caller(_remote(referrer).uri, rights=leg.account if leg.proved and other.proved else None)
    _refer(other.party.exchange, referrer, other.party, other, transaction, speaker)


def _refer(
    exchange: Exchange, referrer: Leg, party: Leg, holder: Holder, transaction: ServerTransaction, speaker: Caller
) -> None:
    values = transaction.request.get_all("Refer-To")
    try:
        if len(values) != 1:
            raise SipSyntaxError("One Refer-To is wanted")
        target = NameAddress.parse(values[0]).uri
        replaces = next((value for name, value in target.headers.items() if name.lower() == "replaces"), None)
        found = None if replaces is None else _replaced(exchange, Replaces.parse(replaces))
    except SipSyntaxError:
        transaction.reply(400)
        return
    report = _Report(referrer)
    transaction.reply(202)
    report(100, False)
    if replaces is not None and found is None:
        report(481, True)
    elif found is not None:
        _join(found, party, holder, report)
    else:
        one = None if exchange.gruus is None else exchange.gruus.route(target)  # RFC 5627 §1: what they are made for
        route = one or exchange.people.resolve(Address(target.user, target.host), caller=speaker).route
        _place(exchange, party, holder, route, str(target), report, speaker)


def _speaker(exchange: Exchange, referrer: Leg) -> Caller:
    """On whose rights a party sends another one elsewhere: its own, whatever call it has come into since."""
    uri = _remote(referrer).uri
    match referrer:
        case IncomingLeg(caller=caller):
            return Caller(uri, rights=caller.payer, client=caller.client)
        case OutgoingLeg() if (number := referrer.invitation.account) is not None:
            account = exchange.people.account(number)
            allowed = account is not None and account_lets_out(exchange.people, account)
            return Caller(uri, rights=account if allowed else None)
        case _:
            return Caller(uri)


def _remote(leg: Leg) -> Caller:
    """How a party calls itself; nothing is proved by it."""
    remote = None if leg.session is None else leg.session.dialog.remote
    return Caller("") if remote is None else Caller(str(remote.uri), remote.display)


def _place(
    exchange: Exchange,
    party: Leg,
    holder: Holder,
    route: Route,
    dialled: str,
    outcome: Callable[[int, bool], None],
    speaker: Caller,
) -> Call | None:
    caller = replace(_remote(party), rights=speaker.payer, client=speaker.client)
    try:
        call = new_call(exchange, TransferOrigin(party, holder, caller, outcome), party.call_id, dialled)
    except Failure as failure:
        outcome(status_of(failure), True)
        return None
    _log.info("transfer", call=call.id, party=caller.uri, target=dialled)
    call.begin(route)
    return call


def _replaced(exchange: Exchange, replaces: Replaces) -> Leg | None:
    """The referrer's other call with us (RFC 3891 §3): our tag is its to-tag."""
    leg = exchange.find(replaces.call_id, replaces.to_tag)
    if leg is None or leg.ended or leg.find_session(replaces.from_tag) is None:
        return None
    return leg


def _join(consulted: Leg, party: Leg, holder: Holder, report: _Report) -> None:
    """Attended transfer: the party takes the place of the referrer in his other call."""
    from pbx.b2bua.media_bridge import Bridge

    owner = consulted.owner
    if not isinstance(owner, Bridge):
        report(501, True)
        return
    report(200, True)
    holder.release(party)
    owner.replace(consulted, party)


async def transfer_party(exchange: Exchange, leg: ProgramLeg, party: Leg, uri: str) -> str | None:
    """A program's blind transfer, done by us: None when the party talks to the target."""
    done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def outcome(status: int, final: bool) -> None:
        if final and not done.done():
            done.set_result(None if status == 200 else f"{status} {REASONS.get(status, '')}".strip())

    target = f"<{uri}>" if uri.lower().startswith("sip:") else uri
    route = exchange.people.resolve_target(target, leg.account).route
    speaker = Caller(_remote(party).uri, rights=leg.account if leg.proved else None)
    _place(exchange, party, leg, route, uri, outcome, speaker)
    return await done
