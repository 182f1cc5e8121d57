"""The switchboard: takes in new INVITEs, finds the leg of every request inside a call, lists and ends calls.

It is `pbx.policy`'s CallControl and the programs' source of legs. It has no feature of its own: a call is `call`, what
joins two parties `media_bridge`, a program's hold on a leg `program_leg`.
"""

from __future__ import annotations

from dataclasses import dataclass

from base.failures import Failure
from base.log import get_logger
from directory.model import Account, AccountRoute, Caller, Resolution, UnknownRoute
from pbx.b2bua.call import Call, new_call
from pbx.b2bua.echo import NativePrograms
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.failures import status_of
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.program_leg import ProgramLeg
from pbx.b2bua.sip_origin import SipOrigin
from pbx.programs import ProgramLeg as AnyProgramLeg
from pbx.programs import Programs
from pbx.records.record import LiveRecord
from pbx.signal.way import choose
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.transactions import ServerTransaction

_log = get_logger("pbx.calls")

_LONGEST_RING = 3600.0


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

    # --- CallControl

    def invite(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        exchange, request = self.exchange, transaction.request
        exchange.metrics.count("calls.invites")
        origin = SipOrigin(caller)
        try:
            call = new_call(exchange, origin, request.call_id, request.uri)
        except Failure as failure:
            _log.warning("call refused", cause=str(failure), caller=caller.uri)
            status = status_of(failure)
            transaction.reply(status, headers=(("Retry-After", "10"),))
            self._record_refused(caller, request, status)
            return
        if self._closing:
            self._refuse(call, transaction, 503, "shutdown")
            return
        try:
            leg = IncomingLeg(exchange, transaction, caller, origin)
        except SipSyntaxError as error:
            self._refuse(call, transaction, error.code, error.reason)
            return
        origin.attach(call, leg)
        way = choose("INVITE", caller, resolution.route, True)
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
        exchange.spawn(self._begin(call, leg, resolution), f"begin {call.id}")

    async def _begin(self, call: Call, leg: IncomingLeg, resolution: Resolution) -> None:
        route = resolution.route
        if not isinstance(route, UnknownRoute):
            try:
                await leg.open()
            except Failure as failure:
                _log.warning("no port for audio", call=call.id, cause=str(failure))
                leg.refuse(503)
                call.record.status = 503
                call.end("server", "no media")
                return
        if isinstance(route, AccountRoute):
            call.record.callee, call.record.callee_account = route.account.address, route.account.id
        expires = leg.request.number("Expires")
        call.begin(route, min(float(expires), _LONGEST_RING) if expires else None)

    def _refuse(self, call: Call, transaction: ServerTransaction, status: int, cause: str) -> None:
        transaction.reply(status)
        call.record.status = status
        call.end("server", cause)

    def _record_refused(self, caller: Caller, request: Request, status: int) -> None:
        exchange = self.exchange
        now = exchange.clock.wall()
        account = None if caller.account is None else caller.account.id
        record = LiveRecord(exchange.entropy.token(8), request.call_id, now, caller.uri, account, request.uri)
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
            LiveCall(r.id, r.caller, r.dialled, r.callee, r.program, r.started, r.answered)
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
