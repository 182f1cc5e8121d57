"""Two SIP parties joined: descriptions rewritten, packets relayed, and what one does told to the other.

It ends with either party. RFC 3264; RFC 3261 §14 for re-INVITE (`hold`), RFC 3515 for REFER (`referral`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from base.log import get_logger
from pbx.b2bua.bodies import read_description
from pbx.b2bua.connected import introduce
from pbx.b2bua.guards import kept, pair
from pbx.b2bua.hold import Renegotiation
from pbx.b2bua.hold_music import HoldMusic
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import MEDIA_LOST, Leg
from pbx.b2bua.outgoing import OutgoingLeg
from pbx.b2bua.overheard import let_hear
from pbx.b2bua.referral import refer
from pbx.b2bua.relay_request import pass_on, tell_digit
from pbx.b2bua.reoffer import Reoffer
from pbx.b2bua.silence import SilenceWatch
from pbx.b2bua.takeover import Takeover
from pbx.b2bua.talk import Talk
from pbx.b2bua.watching import tell_lines
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Request
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.transactions import ServerTransaction
from pbx.workarounds.kinds import Workaround

if TYPE_CHECKING:
    from pbx.b2bua.call import Call

_log = get_logger("pbx.calls")


class _Seat:
    """That of `leg` in a bridge. Implements `Place`."""

    def __init__(self, bridge: Bridge, leg: Leg) -> None:
        self._bridge = bridge
        self._leg = leg
        self.stays = bridge.other(leg)

    def free(self) -> bool:
        return self._bridge.joins(self._leg, self.stays)

    def seat(self, newcomer: Leg) -> None:
        self._bridge.seat(self._leg, newcomer)

    def joined(self) -> None:
        self._bridge.start()


class Bridge:
    """The owner of both legs; `near` is the caller's."""

    def __init__(self, call: Call, near: Leg, far: Leg) -> None:
        self.call = call
        self._near = near
        self._far = far
        self._ended = False
        self._music = HoldMusic()
        self._talk = Talk(call.exchange, lambda: (call,))
        self._watch = SilenceWatch.of_legs(
            call.exchange.clock, call.exchange.settings.silence, lambda: (self._near, self._far), self._silent
        )
        near.owner = far.owner = self
        near.renamed = far.renamed = self._renamed
        call.parties = [near, far]
        pair(near, far)
        let_hear(near, far)
        call.hang_up_all = self.hang_up

    def other(self, leg: Leg) -> Leg:
        return self._far if leg is self._near else self._near

    # --- the beginning

    def answer(self) -> None:
        """The far phone has answered the near caller's INVITE."""
        near, far = self._near, self._far
        assert isinstance(near, IncomingLeg)
        near.introduced = introduce(near, far)
        if far.theirs is None:
            self._fail(502, "no description")
            return
        if near.settled:
            self._answer_settled(near, far, far.theirs)
            return
        if near.theirs is None:
            # The far phone's 2xx is an offer (RFC 3261 §13.2.1); the answer comes in the near one's ACK.
            near.answer_in_ack = self._answered_in_ack
            near.accept(near.relay(far.theirs))
            return
        far.acknowledge()
        try:
            description = near.relay_answer(far.theirs)
            self._settle()
        except NotAcceptable:
            self._fail(488, "no common audio")
            return
        near.accept(description)
        self.start()

    def _answer_settled(self, near: IncomingLeg, far: Leg, theirs: SessionDescription) -> None:
        """The caller had an answer while it rang (RFC 3262 §5): the 200 brings none, and what is new to him follows."""
        far.acknowledge()
        try:
            far.settle()
        except NotAcceptable:
            self._fail(488, "no common audio")
            return
        near.accept(near.told if near.told is not None and theirs.same_as(near.heard) else near.relay(theirs))
        self.start()

    def _settle(self) -> None:
        self._near.settle()
        self._far.settle()

    def start(self) -> None:
        """Both are set up: relay, let those hear who may, and watch for silence."""
        if not self._ended and not kept(self._near, self._far):
            self._fail(488, "media not encrypted")
        elif not self._ended:
            self._near.media.join(self._far.media)
            self._watch.start()
            self._talk.joined(self._near, self._far)

    def _fail(self, status: int, cause: str) -> None:
        if isinstance(self._far, OutgoingLeg) and self._far.theirs is None:
            self._far.acknowledge()
        self._finish(None, status, "server", cause)

    def _answered_in_ack(self, request: Request) -> None:
        try:
            self._near.theirs = read_description(request)
            if self._near.theirs is None:
                raise NotAcceptable("ACK without an answer")
            if not isinstance(self._far, OutgoingLeg) or self._far.answered_alone:
                self._far.acknowledge()
                Reoffer(self._far, lambda _done: self.start()).send(self._far.relay(self._near.theirs))
                self._near.settle()
                return
            self._far.acknowledge(self._far.relay_answer(self._near.theirs))
            self._settle()
        except (SipSyntaxError, NotAcceptable):
            self._fail(488, "no answer in ACK")
            return
        self.start()

    def leg_acknowledged(self, leg: Leg) -> None: ...

    def _silent(self) -> None:
        _log.info("no audio from either side", call=self.call.id)
        self._finish(None, 0, "server", "no RTP")

    # --- what the parties do

    def leg_ended(self, leg: Leg, cause: str) -> None:
        stays = self.other(leg)
        if stays.transfer is not None and not self._ended and not stays.ended:
            self._leave_waiting(stays)
            return
        by = "server" if cause == MEDIA_LOST else ("caller" if leg is self._near else "callee")
        self._finish(leg, 0, by, cause)

    def leg_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        other = self.other(leg)
        headers = introduce(other, leg) if leg.learns(transaction.request) else ()
        Renegotiation(leg, other, transaction, headers, lambda: self._music.changed(leg, other)).start()
        if headers:
            tell_lines(self.call)

    def _renamed(self, leg: Leg) -> None:
        """The peer of `leg` is somebody else now."""
        if not self._ended:
            other = self.other(leg)
            other.refresh(introduce(other, leg))
            tell_lines(self.call)

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method == "REFER":
            refer(self.call.exchange, leg, self.other(leg), self, transaction)
        elif status := self._talk.asked(leg, request):
            transaction.reply(status)
        else:
            pass_on(leg, self.other(leg), transaction)

    def leg_digit(self, leg: Leg, digit: str) -> None:
        """telephone-events are relayed as they are; to who does not take them, each key is told."""
        self._talk.typed(leg, digit)
        other = self.other(leg)
        if Workaround.INFO_DIGITS in other.workarounds:
            tell_digit(other, digit)

    def leg_played(self, leg: Leg, play: int) -> None:
        """What the server had to say is over: who is on hold hears the music again."""
        if not self._ended:
            self._music.again(self.other(leg), leg)

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...

    # --- the end

    def release(self, leg: Leg) -> None:
        """A transfer has taken `leg` over; the other party is hung up, and this bridge is no more."""
        if not self._ended:
            self._stop()
            self._music.stop()
            leg.media.part()
            self.other(leg).hang_up()
            self.call.end("caller" if self.other(leg) is self._near else "callee", "transferred")

    def take_back(self, leg: Leg, *, renewed: bool) -> None:
        """A transfer of `leg` has come to nothing: it gets the other party's audio again, or the music it had."""
        theirs = self.other(leg).theirs
        if self._ended or theirs is None:
            return
        if renewed:
            Reoffer(leg, lambda _done: self.start()).send(leg.relay(theirs))
        else:
            self._music.again(self.other(leg), leg)

    def _leave_waiting(self, stays: Leg) -> None:
        """One has hung up whose other party he has sent elsewhere: that one waits for the outcome."""
        self._stop()
        stays.media.part()
        self.call.end("caller" if stays is self._far else "callee", "transferred")
        if stays.transfer is not None:
            stays.transfer.keep(self)

    def joins(self, leg: Leg, other: Leg) -> bool:
        """Whether these two talk to each other here."""
        return not self._ended and {leg, other} == {self._near, self._far}

    def replace(self, leg: Leg, newcomer: Leg, done: Callable[[int], None]) -> None:
        """`newcomer` is to take the place of `leg`; `done` is told 200, or why not."""
        Takeover(_Seat(self, leg), newcomer, done).start()

    def seat(self, leg: Leg, newcomer: Leg) -> None:
        """`newcomer` has the place of `leg`, which is hung up."""
        if leg is self._near:
            self._near = newcomer
        else:
            self._far = newcomer
        newcomer.owner = self
        newcomer.renamed = self._renamed
        self.call.parties = [self._near, self._far]
        self.other(newcomer).media.part()
        leg.hang_up()
        tell_lines(self.call)

    def hang_up(self, status: int = 0) -> None:
        self._finish(None, status, "server", "shutdown")

    def _finish(self, gone: Leg | None, status: int, by: str, cause: str) -> None:
        if self._ended:
            return
        self._stop()
        for leg in (self._near, self._far):
            if leg is not gone:
                leg.hang_up(status)
        self.call.end(by, cause)

    def _stop(self) -> None:
        self._ended = True
        self._watch.stop()
        self._talk.parted()
