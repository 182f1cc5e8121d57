"""REFER: a party sends the other one elsewhere. It ends at us (decision 3): we place the call and join the two.

The call itself is `transfer`, taking somebody's place `takeover`. RFC 3515 (REFER, NOTIFY of its outcome), RFC 3891
(Replaces: attended transfer), RFC 3892 (Referred-By), RFC 4488 (no NOTIFY where none is wanted), RFC 5589 (practice).

    referrer ──REFER──> us ──202, NOTIFY 100──> referrer
                        us ──INVITE──> target            (a Signal, with its own rules)
    answered:           us ──re-INVITE──> transferee,  NOTIFY 200, BYE ──> referrer
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from base.log import get_logger
from directory.model import Address, Caller, Route
from pbx.b2bua.asserted import from_value, sent_by
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import Leg
from pbx.b2bua.refer_news import Report
from pbx.b2bua.transfer import Holder, Transfer
from pbx.policy.relaying import account_lets_out
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.headers import Replaces
from pbx.sipcore.message import REASONS, Request
from pbx.sipcore.transactions import ServerTransaction
from pbx.sipcore.uri import NameAddress, Uri

if TYPE_CHECKING:
    from pbx.b2bua.call import Call
    from pbx.b2bua.program_leg import ProgramLeg

_log = get_logger("pbx.calls")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a REFER asks for. `replaces`: the dialog at the target whose place is to be taken."""

    target: Uri
    replaces: Replaces | None
    silent: bool

    @classmethod
    def of(cls, request: Request) -> Wish:
        """Raises SipSyntaxError."""
        values = request.get_all("Refer-To")
        if len(values) != 1:
            raise SipSyntaxError("One Refer-To is wanted")
        target = NameAddress.parse(values[0]).uri
        if not (target.is_sip or target.scheme == "tel"):
            raise SipSyntaxError("Not an address that can be called")
        if (target.params.get("method") or "INVITE").upper() != "INVITE":
            raise SipSyntaxError("Only calls are transferred")
        named = next((value for name, value in target.headers.items() if name.lower() == "replaces"), None)
        silent = (request.get("Refer-Sub") or "").strip().lower() == "false"  # RFC 4488 §4
        return cls(target, None if named is None else Replaces.parse(named), silent)


def refer(exchange: Exchange, referrer: Leg, party: Leg, holder: Holder, transaction: ServerTransaction) -> None:
    """A REFER of one of two parties that talk to each other."""
    _refer(exchange, referrer, party, holder, transaction, _speaker(exchange, referrer))


def refer_from_program(leg: ProgramLeg, referrer: Leg, transaction: ServerTransaction) -> None:
    """A REFER of a party that programs have joined with another."""
    other = leg.bridged
    if other is None or other.party is None:
        transaction.reply(501)
        return
    speaker = Caller(referrer.person.uri, rights=leg.account if leg.proved and other.proved else None)
    _refer(other.party.exchange, referrer, other.party, other, transaction, speaker)


def _refer(
    exchange: Exchange, referrer: Leg, party: Leg, holder: Holder, transaction: ServerTransaction, speaker: Caller
) -> None:
    request, session = transaction.request, referrer.session
    try:
        wish = Wish.of(request)
    except SipSyntaxError as error:
        transaction.reply(400, error.reason)
        return
    if party.transfer is not None or session is None:
        transaction.reply(491)
        return
    report = referrer.news.begin(request.cseq.number, silent=wish.silent)
    session.answer(transaction, 202, **({"Refer_Sub": "false"} if wish.silent else {}))
    report(100, False)
    if wish.replaces is not None and _others(exchange, wish.replaces, referrer):
        exchange.metrics.count("calls.replaces.denied")
        _log.warning("may not replace", caller=referrer.person.uri, call_id=wish.replaces.call_id)
        report(403, True)
        return
    consulted = None if wish.replaces is None else _consulted(exchange, wish.replaces)
    if consulted is not None and not _rings(consulted):
        _join(consulted, party, holder, report)
        return
    said = () if consulted is not None or wish.replaces is None else (("Replaces", str(wish.replaces)),)
    target = wish.target
    route = _route(exchange, target, speaker)
    headers = (*said, *_referred_by(referrer))
    caller = sent_by(party.person, speaker)
    transfer = Transfer(party, holder, caller, report, referrer.person.account, headers)
    ringing = _question(exchange, referrer, route, speaker) if consulted is None and not said else consulted
    call = _freed(ringing)
    if call is None:
        transfer.begin(route, str(target.replace(headers={})))
    else:
        transfer.take(call)


def _route(exchange: Exchange, target: Uri, speaker: Caller) -> Route:
    one = None if exchange.gruus is None else exchange.gruus.route(target)  # RFC 5627 §1: what they are made for
    if one is not None:
        return one
    domain = target.host or (exchange.people.main_domain if speaker.payer is None else speaker.payer.domain)
    return exchange.people.resolve(Address(target.user, domain, target.port or 0), caller=speaker).route


def _referred_by(referrer: Leg) -> tuple[tuple[str, str], ...]:
    """RFC 3892 §2.1, in our words and not in his: who he is was proved to us."""
    person = referrer.person
    return () if person.private or not person.uri else (("Referred-By", from_value(person)),)


def _speaker(exchange: Exchange, referrer: Leg) -> Caller:
    """On whose rights a party sends another one elsewhere: its own, whatever call it has come into since."""
    person = referrer.person
    if isinstance(referrer, IncomingLeg):
        return Caller(person.uri, rights=person.payer, client=person.client)
    account = person.account
    allowed = account is not None and account_lets_out(exchange.people, account)
    return Caller(person.uri, rights=account if allowed else None)


def _consulted(exchange: Exchange, replaces: Replaces) -> Leg | None:
    """The referrer's other call with us (RFC 3891 §3): our tag is its to-tag. None when it went another way."""
    leg = exchange.find(replaces.call_id, replaces.to_tag)
    if leg is None or leg.ended or leg.find_session(replaces.from_tag) is None:
        return None
    return leg


def _others(exchange: Exchange, replaces: Replaces, referrer: Leg) -> bool:
    """Whether Replaces means a call of somebody else with us, named as we or as his telephone would (RFC 3891 §8).
    Who watches a line knows its tags (RFC 4235), and a telephone that gets our INVITE with them would obey."""
    named = (exchange.find(replaces.call_id, tag) for tag in (replaces.to_tag, replaces.from_tag))
    return any(leg is not None and not _same(leg, referrer) for leg in named)


def _same(leg: Leg, referrer: Leg) -> bool:
    """One account's, or one address's that proved none."""
    one, other = leg.person.account, referrer.person.account
    if one is None or other is None:
        return one is other and leg.flow.remote[0] == referrer.flow.remote[0]
    return one.id == other.id


def _rings(consulted: Leg) -> bool:
    """He has not waited for the answer: the call that rings becomes the party's."""
    return isinstance(consulted, IncomingLeg) and consulted.pending


def _question(exchange: Exchange, referrer: Leg, route: Route, speaker: Caller) -> Leg | None:
    """A call of the referrer's telephone that rings at that target: he has asked, and sends the party there blindly.
    Behind a gateway there are others, whose calls are not his."""
    if referrer.person.account is None or referrer.person.trusted:
        return None
    for call in exchange.calls.values():
        asking = call.parties[0] if len(call.parties) == 1 else None
        if asking is None or not _rings(asking) or not _same(asking, referrer):
            continue
        if (
            asking.flow.remote == referrer.flow.remote
            and _route(exchange, Uri.parse(call.record.dialled), speaker) == route
        ):
            return asking
    return None


def _freed(ringing: Leg | None) -> Call | None:
    """The call of a caller who steps aside. None: there is none, or a program is about to answer him."""
    from pbx.b2bua.sip_origin import SipOrigin

    return ringing.owner.step_aside() if ringing is not None and isinstance(ringing.owner, SipOrigin) else None


def _join(consulted: Leg, party: Leg, holder: Holder, report: Report) -> None:
    """Attended transfer: the party takes the place of the referrer in his other call."""
    from pbx.b2bua.media_bridge import Bridge
    from pbx.b2bua.program_leg import ProgramLeg

    def done(status: int) -> None:
        consulted.replacing = False
        report(status, True)
        if status == 200:
            holder.release(party)

    owner = consulted.owner
    if consulted.replacing or not isinstance(owner, Bridge | ProgramLeg):
        report(481, True)
        return
    consulted.replacing = True
    owner.replace(consulted, party, done)


async def transfer_party(exchange: Exchange, leg: ProgramLeg, party: Leg, uri: str) -> str | None:
    """A program's blind transfer, done by us: None when the party talks to the target."""
    done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def outcome(status: int, final: bool) -> None:
        if final and not done.done():
            done.set_result(None if status == 200 else f"{status} {REASONS.get(status, '')}".strip())

    target = f"<{uri}>" if uri.lower().startswith("sip:") else uri
    route = exchange.people.resolve_target(target, leg.account).route
    speaker = Caller(party.person.uri, rights=leg.account if leg.proved else None)
    Transfer(party, leg, sent_by(party.person, speaker), outcome).begin(route, uri)
    return await done
