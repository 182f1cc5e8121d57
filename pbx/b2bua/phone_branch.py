"""A branch that rings a phone or an address elsewhere: where it goes, what its INVITE says, what comes back.

Deviation: a call to a `sips:` address that leaves by a trunk goes by whatever transport the trunk has (RFC 5630 §5.3),
since there the telephone network begins.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from base.failures import Failure
from directory import names
from directory.model import Caller
from pbx.b2bua import diversion
from pbx.b2bua.acceptance import Acceptance
from pbx.b2bua.asking import Asking
from pbx.b2bua.asserted import by_trunk, from_by_trunk, from_value, headers_for, recorded
from pbx.b2bua.elsewhere import PATIENCE, helps
from pbx.b2bua.failures import status_of
from pbx.b2bua.guards import fits
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import Leg
from pbx.b2bua.outgoing import Invitation, OutgoingLeg
from pbx.b2bua.places import Place, Places
from pbx.b2bua.trunk_line import TrunkLine
from pbx.signal.answer import COMPLETED_ELSEWHERE, GIVEN_UP, Answer
from pbx.signal.branch import Branch, BranchState, Device, Foreign, Target
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Response
from pbx.sipcore.reliable import EXTENSION
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from pbx.sipcore.transactions import ServerTransaction
from pbx.sipcore.uri import Uri

if TYPE_CHECKING:
    from pbx.b2bua.call import Call


class PhoneBranch:
    """Owns its leg until the call takes it over. `party`: the caller's leg, where it has no ports yet."""

    def __init__(self, call: Call, branch: Branch, party: IncomingLeg | None = None) -> None:
        self._call = call
        self._branch = branch
        self._party = party
        self._exchange = call.exchange
        self._cancelled = False
        self._places = Places(call.exchange, branch.target, call.record.dialled)
        self._asking = Asking()
        self._looking: asyncio.Task[None] | None = None
        self._line: TrunkLine | None = None
        self._acceptance: Acceptance | None = None
        self.leg: OutgoingLeg | None = None
        self.picked_up: IncomingLeg | None = None
        """Who has taken the call that rang here."""

    def start(self) -> None:
        self._looking = self._exchange.spawn(self._run(), f"branch {self._branch.number} of {self._call.id}")

    async def _run(self) -> None:
        try:
            flow, invitation = await self._place()
        except Failure as failure:
            self._give_up(status_of(failure), elsewhere=True)
        except SipSyntaxError:
            self._give_up(480)
        else:
            await self._go(flow, invitation)

    async def _go(self, flow: Flow, invitation: Invitation) -> None:
        leg = OutgoingLeg(self._exchange, flow, invitation, self)
        leg.media.asking = self._asking
        leg.line = self._line
        self.leg = leg
        if not self._protects(leg):
            self._give_up(488)
            return
        try:
            if self._party is not None:
                await self._party.open()
                await self._party.prepare(self._party.theirs)
            await leg.open()
            await leg.prepare(self._call.origin.asked)
        except Failure as failure:
            self._give_up(status_of(failure))
            return
        if self._cancelled:
            self._give_up(487)
        else:
            leg.send(self._call.origin.offer(leg))
            self._expect_a_word(leg)

    def _expect_a_word(self, leg: OutgoingLeg) -> None:
        """Who says nothing at all is left for another way long before the 32 seconds of RFC 3261 §17.1.1.2."""

        def silent() -> None:
            if self.leg is leg and leg.unheard and not self._cancelled:
                self._exchange.stack.avoid(leg.flow)
                leg.abandon(GIVEN_UP)
                self.leg_failed(leg, 408, None)

        if isinstance(self._branch.target, Foreign) and self._branch.target.route.others:
            self._exchange.clock.call_later(PATIENCE, silent)

    def _protects(self, leg: Leg) -> bool:
        """Whether the caller and who is asked now can both be protected as the stricter of them wants it (`guards`)."""
        origin, guards = self._call.origin, leg.media.guards
        leg.exempt = self._branch.urgent
        if leg.exempt or MediaSecurity.REQUIRED not in (origin.security, guards.wish):
            return True
        if fits(origin.security, guards.wish):
            guards.require()
            return origin.can_encrypt
        return False

    def _give_up(self, status: int, *, elsewhere: bool = False) -> None:
        if self.leg is not None:
            self.leg.finish()
        self._tell(Answer(status, elsewhere=elsewhere))

    async def _place(self) -> tuple[Flow, Invitation]:
        origin = self._call.origin
        place = await self._places.next()
        self._line = place.line
        to, shares = f"<sip:{place.address}>", self._call.shares.headers(self._branch)
        return place.flow, Invitation(
            place.uri,
            self._from(origin.caller, place),
            to,
            place.routes,
            origin.hops,
            headers=(*self._history(place), *origin.headers, *self._said_of(origin.caller, place), *shares),
            person=place.person,
            agent=place.agent,
            reliable=origin.reliable,
            prover=None if place.line is None else place.line.credentials(),
        )

    def _from(self, caller: Caller, place: Place) -> str:
        return from_value(caller) if place.line is None else from_by_trunk(caller, self._shown(caller, place.line))

    def _shown(self, caller: Caller, line: TrunkLine) -> Uri:
        """The address at the provider that callees see."""
        trunk, payer = line.trunk, caller.payer
        if trunk.shows != "caller" or payer is None:
            return trunk.identity
        number = str(self._exchange.people.setting(payer.id, "CallerNumber") or "")
        return trunk.identity.replace(user=trunk.number(number)) if number else trunk.identity

    def _history(self, place: Place) -> tuple[tuple[str, str], ...]:
        call, trusted = self._call, self._exchange.trusts(place.flow, place.person.account)
        dialled, earlier = call.record.dialled, call.origin.earlier
        return diversion.headers_for(self._branch, place.uri, dialled, earlier, call.branches, trusted=trusted)

    def _said_of(self, caller: Caller, place: Place) -> tuple[tuple[str, str], ...]:
        if place.line is not None:
            return by_trunk(caller, self._shown(caller, place.line), place.line.trunk.identity)
        return headers_for(caller, trusted=self._exchange.trusts(place.flow, place.person.account))

    def _other_asking(self, leg: OutgoingLeg, status: int) -> Asking | None:
        """How to ask a telephone again that has refused the media (RFC 3261 §21.4.26)."""
        ours = leg.media.ours
        if self._cancelled or status not in (488, 606) or ours is None or ours.audio is None:
            return None
        secret = leg.media.guards.wish is not MediaSecurity.OFF and not leg.media.web
        return self._asking.after_refusal(
            self._call.origin.asked,
            translates=lambda: self._exchange.media.translates(self._exchange.translated),
            keys=secret and not ours.audio.is_encrypted,
            dtls=secret,
        )

    def _wants_prack(self, leg: OutgoingLeg, status: int, response: Response | None) -> bool:
        """RFC 3261 §21.4.16: a phone that rings reliably only is asked again with what it wants."""
        if self._cancelled or status != 421 or leg.invitation.reliable or response is None:
            return False
        return EXTENSION in response.tokens("Require")

    async def _elsewhere(self, status: int, response: Response | None) -> None:
        try:
            flow, invitation = await self._place()
        except (Failure, SipSyntaxError):
            if self._cancelled:
                self._tell(Answer(487))
            else:
                self._final(status, response)
            return
        await self._go(flow, invitation)

    def cancel(self, reason: str | None) -> None:
        self._cancelled = True
        if self._acceptance is not None:
            self._hang_up_unaccepted(487)
        elif self.leg is not None:
            self.leg.cancel(reason)
        elif self._looking is not None and self._looking.cancel():  # it may wait for a phone to come back
            self._tell(Answer(487))

    def discard(self) -> None:
        if self.leg is not None:
            self.leg.discard()

    # --- another telephone picks the call up

    def offer_for(self, newcomer: Leg) -> SessionDescription | None:
        return self._call.origin.offer(newcomer)

    def hand_over(self, newcomer: IncomingLeg) -> bool:
        """He has the caller's offer and has answered it: he takes the call. False when it is no longer to be had."""
        ringing = self.leg
        if self._branch.state is not BranchState.RINGING or ringing is None:
            return False
        self.leg, self.picked_up = None, newcomer
        ringing.abandon(COMPLETED_ELSEWHERE)
        record, account = self._call.record, newcomer.person.account
        self._tell(Answer(200))
        record.callee = recorded(newcomer.person).removeprefix("sip:")
        record.callee_account = None if account is None else account.id
        return True

    # --- a callee who must accept

    @property
    def _supervised(self) -> bool:
        """Rung beside or instead of others, by a line whose answer says little; who has dialled it himself hears it."""
        return self._branch.cause is not None and self._line is not None and self._line.trunk.supervision == "key"

    def _decided(self, accepted: bool) -> None:
        if accepted and self.leg is not None:
            self._acceptance, self.leg.owner = None, self
            self._tell(Answer(200))
        else:
            self._hang_up_unaccepted(480)

    def _hang_up_unaccepted(self, status: int) -> None:
        if self._acceptance is not None:
            self._acceptance.stop()
        self._acceptance = None
        if self.leg is not None:
            self.leg.hang_up()
        self._tell(Answer(status))

    def _tell(self, answer: Answer) -> None:
        self._call.signal.answer(self._branch, answer)

    # --- told by the leg

    def leg_progress(self, leg: OutgoingLeg, response: Response) -> None:
        self._places.heard(response)
        self._tell(Answer(response.status, response.reason))

    def leg_answered(self, leg: OutgoingLeg, response: Response) -> None:
        if self._supervised:
            self._acceptance = Acceptance(leg, self._branch.account, self._decided)
            self._acceptance.start()
            if self._acceptance is not None:
                self._tell(Answer(180))
            return
        self._tell(Answer(response.status, response.reason))

    def leg_failed(self, leg: OutgoingLeg, status: int, response: Response | None) -> None:
        if response is None and self._line is not None and not self._places.was_heard:
            self._line.doubt()
        if not self._cancelled and self._places.may_go_on(response):
            self._exchange.spawn(self._elsewhere(status, response), f"branch {self._branch.number} elsewhere")
        elif (asking := self._other_asking(leg, status)) is not None:
            self._asking = asking
            self._exchange.spawn(self._go(leg.flow, leg.invitation), f"branch {self._branch.number} asked again")
        elif self._wants_prack(leg, status, response):
            again = replace(leg.invitation, reliable=True)
            self._exchange.spawn(self._go(leg.flow, again), f"branch {self._branch.number} with 100rel")
        else:
            self._final(status, response)

    def _final(self, status: int, response: Response | None) -> None:
        if status in (401, 407):
            status = 403  # a challenge for us is none for the caller
        reason = "" if response is None else response.reason
        elsewhere = helps(response, heard=self._places.was_heard, urgent=self._branch.urgent)
        self._tell(Answer(status, reason, targets_of(response, self._branch.target), elsewhere))

    def leg_ended(self, leg: Leg, cause: str) -> None:
        self._tell(Answer(480))

    def leg_acknowledged(self, leg: Leg) -> None: ...

    def leg_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        self._call.origin.early_offer(leg, transaction)

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        transaction.reply(501)

    def leg_digit(self, leg: Leg, digit: str) -> None: ...

    def leg_played(self, leg: Leg, play: int) -> None: ...

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...


def leg_of(runner: object) -> OutgoingLeg | None:
    """The leg of a branch to a phone."""
    return runner.leg if isinstance(runner, PhoneBranch) else None


def answered_leg(runner: object) -> Leg | None:
    """The leg that has answered a branch to a phone: its own, or that of who picked its call up."""
    return (runner.picked_up or runner.leg) if isinstance(runner, PhoneBranch) else None


def targets_of(response: Response | None, asked: Target) -> tuple[str, ...]:
    """The contacts of a 3xx, as targets of the account that was rung, or that sent the call elsewhere. A server there
    names no program: it would run in that account's name."""
    if response is None or response.status // 100 != 3:
        return ()
    try:
        texts = [contact.text for contact in response.contacts[:5]]
    except SipSyntaxError:
        return ()
    trusted = isinstance(asked, Device)
    return tuple(f"<{text}>" for text in texts if trusted or "#" not in names.unescaped(text))
