"""Replaces in an INVITE: which of our dialogs is meant, whether the sender may, and what then happens. RFC 3891 §3.

The change itself is `takeover`; a REFER with Replaces is `referral`'s.

    the one who is meant talks      he is hung up, the newcomer talks to the other party
    his telephone rings             it stops, the newcomer takes the call (a pickup)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from base.failures import Failure
from base.log import get_logger
from directory.model import Caller
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.failures import status_of
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import Leg
from pbx.b2bua.media_bridge import Bridge
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.phone_branch import PhoneBranch
from pbx.b2bua.program_leg import ProgramLeg
from pbx.b2bua.referral import Wish
from pbx.b2bua.takeover import Pickup, Waiting
from pbx.records.record import LiveRecord
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.headers import Replaces
from pbx.sipcore.message import Request
from pbx.sipcore.session import Session
from pbx.sipcore.session_ports import SessionState
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.call import Call

_log = get_logger("pbx.calls")


def meant(exchange: Exchange, request: Request) -> tuple[Leg, Session, Replaces] | None:
    """The dialog of ours that an INVITE is to replace: our tag is its to-tag. None when it names none of ours.

    Raises SipSyntaxError.
    """
    value = request.get("Replaces")
    if value is None:
        return None
    replaces = Replaces.parse(value)
    leg = exchange.find(replaces.call_id, replaces.to_tag)
    session = None if leg is None else leg.find_session(replaces.from_tag)
    return None if leg is None or session is None else (leg, session, replaces)


def proxied(exchange: Exchange, request: Request) -> bool:
    """Whether it means a dialog that only passes through us: then it is for the telephone at its end."""
    call_id = (request.get("Replaces") or "").partition(";")[0].strip()
    if not call_id:
        return False
    return call_id in exchange.proxied or any(_passes(call, call_id) for call in exchange.calls.values())


def _passes(call: Call, call_id: str) -> bool:
    return call.record.call_id == call_id and not call.parties


def replace(
    exchange: Exchange, transaction: ServerTransaction, caller: Caller, found: tuple[Leg, Session, Replaces]
) -> None:
    """Answer the INVITE that means one of our dialogs."""
    leg, session, replaces = found
    early = session.state is SessionState.EARLY
    status = _refusal(leg, session, replaces)
    if not _may(exchange, caller, leg, early=early):
        exchange.metrics.count("calls.replaces.denied")
        _log.warning("may not replace", caller=caller.uri, party=leg.person.uri, call_id=replaces.call_id)
        status = 403
    if status:
        transaction.reply(status)
        return
    take_place(exchange, transaction, caller, leg)


def take_place(exchange: Exchange, transaction: ServerTransaction, caller: Caller, leg: Leg) -> None:
    """The sender of the INVITE gets the place of `leg`; whether he may was decided."""
    waiting = Waiting()
    try:
        newcomer = IncomingLeg(exchange, transaction, caller, waiting)
    except SipSyntaxError as error:
        transaction.reply(error.code, error.reason)
        return
    leg.replacing = True
    exchange.spawn(_seat(exchange, newcomer, leg), f"replace {leg.call_id}")


def _refusal(leg: Leg, session: Session, replaces: Replaces) -> int:
    """RFC 3891 §3: the status that says why it cannot be; 0 when it can."""
    if leg.ended or session.state is SessionState.ENDED:
        return 603
    if leg.replacing:
        return 491
    if session.state is SessionState.EARLY:  # one that the peer has begun is not for others to take
        return 0 if isinstance(leg, OutgoingLeg) and isinstance(leg.owner, PhoneBranch) else 481
    if replaces.early_only:
        return 486
    return 0 if isinstance(leg.owner, Bridge | ProgramLeg) else 481


def _may(exchange: Exchange, caller: Caller, leg: Leg, *, early: bool) -> bool:
    """The account whose telephone is replaced may; so may, while it rings, whoever may pick its calls up, and later
    whom that telephone has sent here (`make_way`). A trusted peer may replace dialogs with itself. What the INVITE says
    of who has sent it (Referred-By) counts for nothing. docs/security.md tells more."""
    owner = leg.person.account
    if caller.account is None or owner is None:
        return caller.trusted and leg.flow.remote[0] == caller.source[0]
    if caller.account.id == owner.id:
        return True
    return exchange.may_pick_up(caller, owner) if early else caller.account.id in leg.makes_way_for


def make_way(exchange: Exchange, record: LiveRecord, request: Request, flow: Flow) -> None:
    """A REFER passes in the proxied call of that record. When it names a dialog with us of the very telephone that has
    sent it, the other party of that call may take its place there."""
    try:
        replaces = Wish.of(request).replaces
    except SipSyntaxError:
        return
    leg = None if replaces is None else exchange.find(replaces.call_id, replaces.to_tag)
    if leg is None or replaces is None or leg.find_session(replaces.from_tag) is None or leg.flow.remote != flow.remote:
        return
    parties = (record.caller_account, record.callee_account)
    leg.makes_way_for = frozenset(each for each in parties if each is not None)


async def _seat(exchange: Exchange, newcomer: IncomingLeg, leg: Leg) -> None:
    """Ports for the newcomer, then his place."""
    done = partial(_done, newcomer, leg)
    try:
        await newcomer.open()
        await newcomer.prepare(newcomer.theirs)
    except Failure as failure:
        done(status_of(failure))
        return
    owner = leg.owner
    if newcomer.ended or leg.ended:
        done(603)
    elif isinstance(owner, PhoneBranch):
        Pickup(owner, newcomer, done).start()
    elif isinstance(owner, Bridge | ProgramLeg):
        owner.replace(leg, newcomer, done)
    else:
        done(481)


def _done(newcomer: IncomingLeg, leg: Leg, status: int) -> None:
    leg.replacing = False
    _log.info("replaced", party=leg.person.uri, by=newcomer.person.uri, call_id=leg.call_id, status=status)
    if status != 200 and not newcomer.ended:
        newcomer.hang_up(status)
