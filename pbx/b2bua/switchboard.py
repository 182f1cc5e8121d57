"""The switchboard: takes in new INVITEs, finds the leg of every request inside a call, lists and ends calls.

It is `pbx.policy`'s CallControl and the programs' source of legs. It has no feature of its own: a call is `call`, what
joins two parties `media_bridge`, a program's hold on a leg `program_leg`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from base.failures import Failure
from base.log import get_logger
from directory.model import (
    PICKUP,
    Account,
    AccountRoute,
    Address,
    Caller,
    ForeignRoute,
    NullRoute,
    ProgramRoute,
    Resolution,
    Route,
    UnknownRoute,
)
from pbx.b2bua.asserted import complete, recorded
from pbx.b2bua.bodies import unreadable
from pbx.b2bua.call import Call, new_call
from pbx.b2bua.echo import NativePrograms
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.failures import status_of
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.outside import is_limited
from pbx.b2bua.overheard import may_be_heard
from pbx.b2bua.pickup import pick_up
from pbx.b2bua.program_leg import ProgramLeg
from pbx.b2bua.proxy_branch import Forwarder
from pbx.b2bua.proxy_origin import ProxyOrigin
from pbx.b2bua.replacing import make_way, meant, replace
from pbx.b2bua.replacing import proxied as proxied_dialog
from pbx.b2bua.sip_origin import SipOrigin
from pbx.b2bua.trunk_line import leaves_by_trunk
from pbx.programs import ProgramLeg as AnyProgramLeg
from pbx.programs import Programs
from pbx.records.record import LiveRecord
from pbx.signal.way import Way, WayKind, choose
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.sdp import CONTENT_TYPE
from pbx.sipcore.session_ports import unknown_extensions
from pbx.sipcore.session_timer import SMALLEST, too_small
from pbx.sipcore.transactions import ServerTransaction
from pbx.sipcore.uri import Uri

_log = get_logger("pbx.calls")

_LONGEST_RING = 3600.0
_RETRY = (5, 30)  # seconds of Retry-After, by lot, so that those who were refused do not come back together


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call under way, for `tandem calls`."""

    id: str
    caller: str
    dialled: str
    callee: str
    program: str
    started: float
    answered: float | None
    accounts: frozenset[int | None] = frozenset()


class Switchboard:
    """Give it an `Exchange`, then `attach` the programs."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._closing = False
        exchange.programs = NativePrograms(exchange)
        exchange.metrics.gauge("calls.live", lambda: len(exchange.calls))
        exchange.metrics.gauge("calls.legs", lambda: exchange.legs)

    def attach(self, programs: Programs) -> None:
        """Who runs the programs that are not native."""
        self.exchange.programs = NativePrograms(self.exchange, programs)

    def attach_proxy(self, forwarder: Forwarder) -> None:
        """Who forwards the calls that go the proxy way; without one all calls go the B2BUA way."""
        self.exchange.forwarder = forwarder

    def passed(self, request: Request, flow: Flow) -> None:
        """Told by the proxy: this came by in a dialog of a proxied call."""
        talk, tags = self.exchange.proxied.get(request.call_id), frozenset((request.from_tag, request.to_tag))
        match request.method:
            case "BYE" if talk is None:
                for pending in self.exchange.calls.values():  # on a bad network it may overtake the answer
                    if pending.record.call_id == request.call_id:
                        pending.byes_seen |= tags
            case "BYE" if talk is not None:
                talk.bye_passed(tags)
            case "ACK" if talk is not None:
                talk.ack_passed(tags)
            case "REFER" if talk is not None:
                make_way(self.exchange, talk.call.record, request, flow)

    # --- CallControl

    def invite(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        exchange, request = self.exchange, transaction.request
        exchange.metrics.count("calls.invites")
        caller = complete(caller, request, lambda uri: self._owns(caller.account, uri))
        found, route = meant(exchange, request), resolution.route
        if found is not None:
            replace(exchange, transaction, caller, found)
            return
        if isinstance(route, ProgramRoute) and route.program == PICKUP:
            self._pick_up(transaction, caller, route)
            return
        way = self._way(caller, route, transaction)
        if request.has("Replaces") and way.kind is WayKind.B2BUA and not isinstance(route, ForeignRoute):
            transaction.reply(481)  # RFC 3891 §3
            return
        forwarder = exchange.forwarder
        proxied = None
        if way.kind is WayKind.PROXY and forwarder is not None:
            proxied = ProxyOrigin(caller, transaction, forwarder)
        origin = SipOrigin(caller)
        try:
            urgent = _is_urgent(route)
            call = new_call(exchange, proxied or origin, request.call_id, request.uri, counted=True, urgent=urgent)
        except Failure as failure:
            self._refuse_full(transaction, caller, failure)
            return
        _log.info(
            "call",
            id=call.id,
            call_id=request.call_id,
            caller=caller.uri,
            dialled=request.uri,
            way=way.kind.value,
            because=way.reason,
            steps="; ".join(resolution.steps),
        )
        with _ended_by_fault(call):
            self._expect(call, route)
            if self._closing:
                self._refuse(call, transaction, 503, "shutdown")
            elif proxied is not None:
                proxied.attach(call)
                call.begin(route, _expires(request))
            else:
                self._take(call, origin, transaction, route)

    def _pick_up(self, transaction: ServerTransaction, caller: Caller, route: ProgramRoute) -> None:
        if (unfit := _unfit(transaction.request)) is None:
            pick_up(self.exchange, transaction, caller, route)
        else:
            transaction.reply(unfit.status, headers=(unfit.header,))

    def _way(self, caller: Caller, route: Route, transaction: ServerTransaction) -> Way:
        if proxied_dialog(self.exchange, transaction.request):
            return Way(WayKind.PROXY, "replaces a proxied dialog")
        trunk = leaves_by_trunk(self.exchange.trunks, route)
        unlike = self._unlike(transaction.flow, route)
        features, limited = self._features(caller, route), is_limited(self.exchange, caller, route)
        return choose("INVITE", caller, route, features, trunk=trunk, unlike=unlike, limited=limited)

    def _unlike(self, flow: Flow, route: Route) -> bool:
        """A browser calls something else, or the other way round; of other servers nobody knows better."""
        if not isinstance(route, AccountRoute):
            return flow.web
        return any(each.flow.web != flow.web for each in self.exchange.phones.contacts(route.account.id))

    def _owns(self, account: Account | None, uri: Uri) -> bool:
        """Whether an address is a name of that account."""
        route = self.exchange.people.resolve(Address(uri.user, uri.host), caller=None, services=False).route
        return isinstance(route, AccountRoute) and route.account == account

    def _features(self, caller: Caller, route: Route) -> bool:
        """Whether server-side call features are on for the one who is called, or who calls out (decision 3). A call
        that others may hear needs them, whoever wants it."""
        people = self.exchange.people
        called = route.account if isinstance(route, AccountRoute) else None
        account = called or caller.account
        if account is None or people.setting(account.id, "CallFeatures") != "NO":
            return True
        return any(each is not None and may_be_heard(people, each) for each in (called, caller.account))

    def _take(self, call: Call, origin: SipOrigin, transaction: ServerTransaction, route: Route) -> None:
        if (unfit := _unfit(transaction.request)) is not None:
            self._refuse(call, transaction, unfit.status, unfit.cause, unfit.header)
            return
        if self._crowded(route):
            again = str(self.exchange.entropy.number(*_RETRY))
            self._refuse(call, transaction, 503, "media worker full", ("Retry-After", again))
            return
        try:
            leg = IncomingLeg(self.exchange, transaction, origin.caller, origin)
        except SipSyntaxError as error:
            self._refuse(call, transaction, error.code, error.reason)
            return
        origin.attach(call, leg)
        self.exchange.spawn(self._begin(call, leg, route), f"begin {call.id}")

    def _crowded(self, route: Route) -> bool:
        """The media worker has no room for a call that needs a stream; emergency calls are let in always."""
        if isinstance(route, UnknownRoute | NullRoute) or _is_urgent(route):
            return False
        return not self.exchange.media.room()

    @staticmethod
    def _expect(call: Call, route: Route) -> None:
        """The record names who is called also when nobody answers."""
        if isinstance(route, AccountRoute):
            call.record.callee, call.record.callee_account = route.account.address, route.account.id

    async def _begin(self, call: Call, leg: IncomingLeg, route: Route) -> None:
        with _ended_by_fault(call):
            await self._open_and_begin(call, leg, route)

    async def _open_and_begin(self, call: Call, leg: IncomingLeg, route: Route) -> None:
        if not isinstance(route, UnknownRoute | NullRoute):
            try:
                await leg.open()
                await leg.prepare(leg.theirs)
            except Failure as failure:
                _log.warning("no port for audio", call=call.id, cause=str(failure))
                leg.refuse(503, headers=(("Retry-After", "10"),))
                call.record.status = 503
                call.end("server", "no media")
                return
        call.begin(route, _expires(leg.request))

    def _refuse(
        self, call: Call, transaction: ServerTransaction, status: int, cause: str, *headers: tuple[str, str]
    ) -> None:
        transaction.reply(status, headers=headers)
        call.record.status = status
        call.end("server", cause)

    def _refuse_full(self, transaction: ServerTransaction, caller: Caller, failure: Failure) -> None:
        _log.warning("call refused", cause=str(failure), caller=caller.uri)
        exchange, request, status = self.exchange, transaction.request, status_of(failure)
        transaction.reply(status, headers=(("Retry-After", "10"),))
        now = exchange.clock.wall()
        account = None if caller.account is None else caller.account.id
        record = LiveRecord(exchange.entropy.token(8), request.call_id, now, recorded(caller), account, request.uri)
        record.status, record.ended_by, record.cause = status, "server", "limit"
        exchange.records.write(record.close(now))

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        """Decision 4: Call-ID and both tags must match."""
        request = transaction.request
        leg = self.exchange.find(request.call_id, request.to_tag)
        session = None if leg is None else leg.find_session(request.from_tag)
        if session is None:
            return False
        session.receive(transaction)
        return True

    def ack(self, request: Request, flow: Flow) -> bool:
        leg = self.exchange.find(request.call_id, request.to_tag)
        session = None if leg is None else leg.find_session(request.from_tag)
        if session is None:
            return False
        session.receive_ack(request)
        return True

    def stray_response(self, response: Response, flow: Flow) -> None:
        leg = self.exchange.find(response.call_id, response.from_tag)
        if isinstance(leg, OutgoingLeg) and response.method == "INVITE":
            leg.stray_response(response)

    # --- Legs

    def new_leg(self, account: Account, beside: AnyProgramLeg | None = None) -> ProgramLeg:
        """A disconnected leg acting for `account`, with no more rights than the leg `beside` has."""
        return ProgramLeg(self.exchange, account, not isinstance(beside, ProgramLeg) or beside.proved)

    # --- for people

    def live(self) -> list[LiveCall]:
        """Calls under way, the oldest first."""
        records = [call.record for call in self.exchange.calls.values()]
        return [
            LiveCall(
                *(r.id, r.caller, r.dialled, r.callee, r.program, r.started, r.answered),
                frozenset((r.caller_account, r.callee_account)),
            )
            for r in sorted(records, key=lambda record: record.started)
        ]

    def hang_up(self, call_id: str) -> bool:
        """End a call by its id; False when there is none."""
        call = self.exchange.calls.get(call_id)
        if call is not None:
            call.hang_up()
        return call is not None

    async def close(self, drain: float = 2.0) -> None:
        """Hang up all calls, and wait a little for what they still have to do."""
        self._closing = True
        for call in list(self.exchange.calls.values()):
            call.hang_up(503)
        await self.exchange.settle(drain)


class _Unfit(NamedTuple):
    """Why an INVITE is refused before it is looked at where it leads."""

    status: int
    cause: str
    header: tuple[str, str]


def _unfit(request: Request) -> _Unfit | None:
    if unknown := unknown_extensions(request):
        return _Unfit(420, "unknown extension", ("Unsupported", unknown))
    if too_small(request):  # RFC 4028 §9
        return _Unfit(422, "session interval too small", ("Min-SE", str(SMALLEST)))
    if unreadable(request):  # RFC 3261 §8.2.3
        return _Unfit(415, "no body that we can read", ("Accept", CONTENT_TYPE))
    return None


@contextmanager
def _ended_by_fault(call: Call) -> Iterator[None]:
    """What goes wrong in us while a call begins ends it: its caller gets a 500, and the table of calls forgets it."""
    begun = False
    try:
        yield
        begun = True
    finally:
        if not begun:
            call.record.status = 500
            call.end("server", "fault")
            for party in call.parties:
                party.hang_up(500)
            if call.signal.open:
                call.signal.cancel(500)


def _is_urgent(route: Route) -> bool:
    """A call for help."""
    return isinstance(route, ForeignRoute) and route.emergency


def _expires(request: Request) -> float | None:
    """How long the caller wants it to ring at most (RFC 3261 §13.2.1)."""
    seconds = request.number("Expires")
    return min(float(seconds), _LONGEST_RING) if seconds else None
