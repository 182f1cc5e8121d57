"""A call leg in the hands of a program: `ProgramLeg` of `pbx.programs` for calls that came in and calls that go out.

The party at the other end is a SIP leg, or the end of a pipe to another program. News is told to the program later,
never from inside an operation of its own. Spec: cgpl-builtins §12-§14.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from base.failures import Failure
from base.log import get_logger
from directory.model import Account, Caller
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.hold import answer_alone
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import MEDIA_LOST, Leg
from pbx.b2bua.leg_audio import LegAudio
from pbx.b2bua.outside import kept_in
from pbx.b2bua.pending import Pending, Placed, waits_for
from pbx.b2bua.program_bridge import ProgramBridge
from pbx.b2bua.silence import SilenceWatch
from pbx.b2bua.takeover import ProgramTakeover
from pbx.b2bua.talk import Talk
from pbx.b2bua.watching import tell_lines
from pbx.programs import LegMode, RequestData
from pbx.programs import ProgramLeg as AnyProgramLeg
from pbx.sipcore.failures import NotAcceptable
from pbx.sipcore.message import REASONS
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.transactions import ServerTransaction

_log = get_logger("pbx.calls")


class ProgramLeg(LegAudio):
    """`proved` tells whether the caller whom the program serves was proved (decision 4)."""

    def __init__(self, exchange: Exchange, account: Account, proved: bool) -> None:
        super().__init__(exchange)
        self.account = account
        self.proved = proved
        self._pending: Pending | None = None
        self._placed: Placed | None = None
        self._answer: SessionDescription | None = None
        self._acknowledged: asyncio.Future[str | None] | None = None
        self._bridge: ProgramBridge | None = None
        self._caller: Caller | None = None
        self._request: RequestData | None = None
        self._on_end: Callable[[str, str], None] | None = None
        self.calls = False
        """The program has called the party, not the party the program."""
        self._watch = SilenceWatch.of_legs(exchange.clock, exchange.settings.silence, self._watched, self._silent)

    # --- what the program may ask

    @property
    def mode(self) -> LegMode:
        return self._mode

    @property
    def caller(self) -> Caller | None:
        return self._caller

    @property
    def request(self) -> RequestData | None:
        return self._request

    @property
    def remote_uri(self) -> str | None:
        session = None if self._party is None else self._party.session
        if session is not None:
            return str(session.dialog.remote.uri)
        return None if self._request is None else self._request.from_uri

    @property
    def local_uri(self) -> str | None:
        session = None if self._party is None else self._party.session
        if session is not None:
            return str(session.dialog.local.uri)
        return f"sip:{self.account.address}"

    @property
    def party(self) -> Leg | None:
        """The leg at the other end, None when disconnected."""
        return self._party

    # --- a call that came in

    def take_pending(self, pending: Pending, party: Leg, caller: Caller, request: RequestData) -> None:
        """Told by the branch: this call waits for the program."""
        self._pending, self._party = pending, party
        self._caller, self._request, self.calls = caller, request, False
        self._mode = LegMode.INCOMING

    @property
    def _waiting(self) -> bool:
        return self._mode in (LegMode.INCOMING, LegMode.PROVISIONED) and self._pending is not None

    async def accept(self) -> str | None:
        party, pending = self._party, self._pending
        if not self._waiting or party is None or pending is None:
            return None if self._mode is LegMode.CONNECTED else "call is not pending"
        try:
            await party.open()
            description = self._answer or party.studio_answer()
        except NotAcceptable:
            self.reject(488)
            return "no common audio"
        except Failure as failure:
            self.reject(503)
            return failure.public
        if not pending.accept():
            self.withdraw()
            return "call was answered elsewhere"
        self._pending = None
        self._mode = LegMode.CONNECTED
        party.owner = self
        pending.connected()
        self._watch.start()
        self._acknowledged = asyncio.get_running_loop().create_future()
        party.accept(description)
        return await self._acknowledged

    def reject(self, status: int, reason: str = "") -> None:
        pending = self._pending
        if self._waiting and pending is not None:
            self._leave()
            pending.refuse(status if 300 <= status <= 699 else 603, reason)

    async def provision(self, status: int = 180, *, media: bool = False, reason: str = "") -> str | None:
        party = self._party
        if not self._waiting or party is None:
            return "call is not pending"
        if not 101 <= status <= 199:
            return "not a provisional status"
        if media and self._answer is None:
            try:
                await party.open()
                self._answer = party.studio_answer()
            except NotAcceptable:
                return "no common audio"
            except Failure as failure:
                return failure.public
            if self._pending is None:
                return "call is not pending"
            self._mode = LegMode.PROVISIONED
        party.provision(status, reason, self._answer)
        return None

    def redirect(self, targets: Sequence[str]) -> None:
        pending = self._pending
        if self._waiting and pending is not None:
            self._leave()
            pending.redirect(self._allowed(targets))

    def fork(self, targets: Sequence[str]) -> None:
        if self._waiting and self._pending is not None:
            self._pending.fork(self._allowed(targets))

    def _allowed(self, targets: Sequence[str]) -> tuple[str, ...]:
        """Decision 4: for an outside caller nothing leads out of this server."""
        return tuple(target for target in targets if self._may_lead_to(target))

    def _may_lead_to(self, target: str) -> bool:
        return self.proved or not kept_in(self._exchange, self.account, target)

    def withdraw(self) -> None:
        """Told by the branch: the call went elsewhere."""
        self._leave()
        self._tell(lambda listener: listener.leg_disconnected())

    def hand_over(self) -> tuple[IncomingLeg, Pending] | None:
        """The caller who waits is somebody else's from here on: he, and the branch that wants an answer."""
        party, pending = self._party, self._pending
        if not isinstance(party, IncomingLeg) or pending is None or not self._waiting:
            return None
        self._leave()
        return party, pending

    # --- a call that goes out

    def start_call(self, uri: str, parameters: Mapping[str, str], *, wanted: bool = False) -> str | None:
        from pbx.b2bua.program_call import place

        if self._mode is not LegMode.DISCONNECTED or self._placed is not None:
            return "leg is in use"
        if not self._may_lead_to(uri):
            return "403 Forbidden"
        placed = place(self._exchange, self, uri, parameters, wanted=wanted)
        if isinstance(placed, str):
            return placed
        self._placed = placed
        return None

    def cancel_call(self) -> None:
        placed, self._placed = self._placed, None
        if placed is not None:
            placed.cancel()

    def call_progress(self, status: int) -> None:
        """Told by the placed call."""
        if self._placed is not None:
            self._tell(lambda listener: listener.leg_provisioned(status))

    def call_failed(self, status: int, reason: str) -> None:
        """Told by the placed call."""
        if self._placed is not None:
            self._placed = None
            text = f"{status} {reason or REASONS.get(status, '')}".strip()
            self._tell(lambda listener: listener.leg_completed(text))

    def call_answered(self, party: Leg, on_end: Callable[[str, str], None]) -> bool:
        """Told by the placed call: the party is ours. False when the program does not want it any more."""
        if self._placed is None:
            return False
        self._placed = None
        self._party, self._on_end, self.calls = party, on_end, True
        party.owner = self
        self._mode = LegMode.CONNECTED
        self._watch.start()
        self._tell(lambda listener: listener.leg_completed(None))
        return True

    def ends_with(self, on_end: Callable[[str, str], None]) -> None:
        """Who is told by whom and why the call ended."""
        self._on_end = on_end

    # --- the end

    def disconnect(self, status: int = 0, reason: str = "") -> None:
        if self._placed is not None:
            self.cancel_call()
        elif self._waiting:
            self.reject(status or 480, reason)
        elif (party := self._party) is not None:
            ended = self._leave()
            party.hang_up(status, reason)
            ended("caller" if self.calls else "callee", "BYE")

    def shut_down(self, status: int) -> None:
        """End it from above: the program is told."""
        if self._mode is not LegMode.DISCONNECTED:
            self.disconnect(status)
            self._tell(lambda listener: listener.leg_disconnected())

    def _leave(self) -> Callable[[str, str], None]:
        """Become disconnected; returns whom to tell that the call is over."""
        self.unbridge()
        self._watch.stop()
        on_end, self._on_end = self._on_end, None
        self._party = self._pending = self._answer = None
        self._mode = LegMode.DISCONNECTED
        self._settle_accept("call ended")
        return on_end or _nobody

    def _settle_accept(self, outcome: str | None) -> None:
        if self._acknowledged is not None and not self._acknowledged.done():
            self._acknowledged.set_result(outcome)

    def release(self, leg: Leg) -> None:
        """A transfer has taken the party over."""
        if leg is self._party:
            ended = self._leave()
            if leg.stream is not None:
                leg.stream.disconnect()
                leg.stream.stop()
            ended("callee", "transferred")
            self._tell(lambda listener: listener.leg_disconnected())

    def take_back(self, leg: Leg, *, renewed: bool) -> None:
        """Our audio is what it has with a program anyway."""

    def replace(self, leg: Leg, newcomer: Leg, done: Callable[[int], None]) -> None:
        """`newcomer` is to take the place of the party `leg`; `done` is told 200, or why not."""
        ProgramTakeover(self, leg, newcomer, done).start()

    def talks_to(self, leg: Leg) -> bool:
        return leg is self._party and self._mode is LegMode.CONNECTED and not leg.ended

    def seat(self, leg: Leg, newcomer: Leg) -> None:
        """`newcomer` has the place of `leg`, which is hung up; the program goes on with him."""
        newcomer.owner = self
        newcomer.media.part()
        self._turn_to(newcomer)
        leg.hang_up()
        for call in [each for each in self._exchange.calls.values() if leg in each.parties]:
            call.parties = [newcomer if party is leg else party for party in call.parties]
            tell_lines(call)
        if self._bridge is not None:
            self._bridge.join()
        self._watch.start()
        self._tell(lambda listener: listener.leg_transferred())

    def _watched(self) -> Sequence[Leg]:
        """The party, with the one that it talks to; a pipe between programs makes its own packets."""
        other = None if self.bridged is None else self.bridged.party
        return [leg for leg in (self._party, other) if leg is not None and leg.session is not None]

    def _silent(self) -> None:
        """The caller has vanished without a BYE."""
        party = self._party
        if party is not None:
            _log.info("no audio from the caller", account=self.account.address, call_id=party.call_id)
            party.hang_up()
            self.leg_ended(party, "no RTP")

    # --- told by the party

    def leg_ended(self, leg: Leg, cause: str) -> None:
        if leg is not self._party:
            return
        pending = self._pending
        ended = self._leave()
        self._tell(lambda listener: listener.leg_disconnected())
        if pending is not None:
            pending.caller_gone()
        ended("server" if cause in (MEDIA_LOST, "no RTP") else ("callee" if self.calls else "caller"), cause)

    def leg_acknowledged(self, leg: Leg) -> None:
        self._settle_accept(None)

    def leg_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        answer_alone(leg, transaction)

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        from pbx.b2bua.program_request import take_request

        take_request(self, leg, transaction)

    def leg_info(self, content_type: str, body: bytes) -> None:
        self._tell(lambda listener: listener.leg_info(content_type, body))

    def leg_digit(self, leg: Leg, digit: str) -> None:
        if self._bridge is not None:
            self._bridge.talk.typed(leg, digit)
        self._tell(lambda listener: listener.leg_digit(digit))

    def leg_played(self, leg: Leg, play: int) -> None:
        self._tell(lambda listener: listener.leg_played(play))

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None:
        self._tell(lambda listener: listener.leg_recorded(record, cause, seconds))

    # --- bridges

    @property
    def talk(self) -> Talk | None:
        return None if self._bridge is None else self._bridge.talk

    @property
    def bridged(self) -> ProgramLeg | None:
        """With whose party ours talks."""
        return None if self._bridge is None else self._bridge.beside(self)

    async def bridge(self, other: AnyProgramLeg) -> str | None:
        if not isinstance(other, ProgramLeg) or other is self:
            return "no such leg"
        for leg in (self, other):
            if leg._waiting and (error := await leg.accept()) is not None:
                return error
        if self.stream is None or other.stream is None:
            return "leg is not connected"
        self.unbridge()
        other.unbridge()
        self._bridge = other._bridge = ProgramBridge(self._exchange, self, other)
        self._bridge.join()
        return None

    def unbridge(self) -> None:
        bridge = self._bridge
        if bridge is None:
            return
        other = bridge.beside(self)
        self._bridge = other._bridge = None
        bridge.part()
        other._tell(lambda listener: listener.leg_unbridged())

    async def transfer(self, uri: str) -> str | None:
        from pbx.b2bua.referral import transfer_party

        party = self._party
        if self._mode is not LegMode.CONNECTED or party is None:
            return "leg is not connected"
        if not self._may_lead_to(uri):
            return "403 Forbidden"
        return await transfer_party(self._exchange, self, party, uri)

    async def send_info(self, content_type: str, body: bytes) -> str | None:
        session = None if self._party is None else self._party.session
        if self._mode is not LegMode.CONNECTED or session is None:
            return "leg is not connected"
        outcome: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        session.request(session.new_request("INFO", body, content_type), waits_for(outcome))
        return await outcome


def _nobody(by: str, cause: str) -> None:
    """Nobody waits for the end."""
