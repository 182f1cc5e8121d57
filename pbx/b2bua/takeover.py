"""A newcomer takes the place of one party of a call: by attended transfer, or by an INVITE with Replaces.

Nothing is lost when it fails: the one who is to be replaced is hung up only when the newcomer and whoever stays, be it
a program, have agreed on their audio. Who may is decided before. RFC 3891 §3, RFC 5589 §7.

    connected newcomer    re-INVITE ──> newcomer, then re-INVITE ──> who stays
    his INVITE            re-INVITE ──> who stays, then 200 ──> newcomer; without an offer the other way round
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pbx.b2bua.bodies import read_description
from pbx.b2bua.connected import introduce
from pbx.b2bua.guards import pair
from pbx.b2bua.incoming import IncomingLeg
from pbx.b2bua.leg import Leg
from pbx.b2bua.overheard import let_hear
from pbx.b2bua.reoffer import Reoffer
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Request
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.transactions import ServerTransaction

if TYPE_CHECKING:
    from pbx.b2bua.phone_branch import PhoneBranch
    from pbx.b2bua.program_leg import ProgramLeg


class Waiting:
    """Owns the newcomer's leg while it is not seated."""

    def leg_ended(self, leg: Leg, cause: str) -> None:
        """He gave up: whoever asks next finds his leg ended."""

    def leg_acknowledged(self, leg: Leg) -> None: ...

    def leg_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        if leg.session is not None:
            leg.session.answer_offer(transaction, leg.session.response(transaction, 491))

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        transaction.reply(480)

    def leg_digit(self, leg: Leg, digit: str) -> None: ...

    def leg_played(self, leg: Leg, play: int) -> None: ...

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...


def takes_answer(leg: Leg, ack: Request) -> bool:
    """Whether an ACK answers our offer so that the two can talk."""
    try:
        leg.theirs = read_description(ack)
        if leg.theirs is not None:
            leg.settle()
    except (NotAcceptable, SipSyntaxError):
        return False
    return leg.theirs is not None


def give_back(newcomer: Leg) -> None:
    """He has taken other audio, and the place was gone: what he had in his own call is his again."""
    from pbx.b2bua.media_bridge import Bridge

    if isinstance(newcomer.owner, Bridge) and not newcomer.ended:
        newcomer.owner.take_back(newcomer, renewed=True)


class Place(Protocol):
    """Beside a party that stays."""

    @property
    def stays(self) -> Leg: ...

    def free(self) -> bool:
        """Whether that party is still there, and in the same company."""

    def seat(self, newcomer: Leg) -> None:
        """He has the place."""

    def joined(self) -> None:
        """Both have each other's audio."""


class _Deciding(Waiting):
    """`done` is told once: 200, or why it came to nothing."""

    def __init__(self, done: Callable[[int], None]) -> None:
        self._done = done

    def leg_ended(self, leg: Leg, cause: str) -> None:
        """He is gone without having acknowledged our offer: nothing else comes that would decide it."""
        if leg.answer_in_ack is not None:
            leg.answer_in_ack = None
            self._done(487)


class Takeover(_Deciding):
    """Of a place."""

    def __init__(self, place: Place, newcomer: Leg, done: Callable[[int], None]) -> None:
        super().__init__(done)
        self._place = place
        self._newcomer = newcomer
        self._stays = place.stays

    def start(self) -> None:
        newcomer, theirs = self._newcomer, self._stays.media.takes
        let_hear(newcomer, self._stays)
        if theirs is None:
            self._done(480)
        elif not pair(newcomer, self._stays):
            self._done(488)
        elif not (isinstance(newcomer, IncomingLeg) and newcomer.pending):
            offer = newcomer.relay(theirs.with_direction("sendrecv"))
            Reoffer(newcomer, self._newcomer_renewed, introduce(newcomer, self._stays)).send(offer)
        elif newcomer.theirs is not None:
            newcomer.owner = self
            offer = self._stays.relay(newcomer.theirs)
            Reoffer(self._stays, self._other_renewed, introduce(self._stays, newcomer)).send(offer)
        else:
            newcomer.owner = self
            newcomer.answer_in_ack = self._answered_in_ack
            newcomer.accept(newcomer.relay(theirs.with_direction("sendrecv")))

    def _possible(self, renewed: bool) -> bool:
        """Still everybody there, and agreed."""
        if not renewed:
            self._done(488)
        elif self._newcomer.ended or not self._place.free():
            give_back(self._newcomer)
            self._done(481)
        else:
            return True
        return False

    def _newcomer_renewed(self, renewed: bool) -> None:
        theirs = self._newcomer.theirs
        if self._possible(renewed and theirs is not None) and theirs is not None:
            self._done(200)
            self._place.seat(self._newcomer)
            self._renew(theirs)

    def _other_renewed(self, renewed: bool) -> None:
        newcomer, theirs = self._newcomer, self._stays.theirs
        if not self._possible(renewed) or theirs is None:
            return
        try:
            description = newcomer.relay_answer(theirs)
            newcomer.settle()
        except NotAcceptable:
            self._done(488)
            return
        self._done(200)
        self._place.seat(newcomer)
        if isinstance(newcomer, IncomingLeg):
            newcomer.introduced = introduce(newcomer, self._stays)
        newcomer.accept(description)
        self._place.joined()

    def _answered_in_ack(self, ack: Request) -> None:
        newcomer = self._newcomer
        if self._possible(takes_answer(newcomer, ack)) and newcomer.theirs is not None:
            self._done(200)
            self._place.seat(newcomer)
            self._renew(newcomer.theirs)

    def _renew(self, theirs: SessionDescription) -> None:
        """The newcomer is seated: the party that stays gets his audio."""
        stays, place = self._stays, self._place
        headers = introduce(stays, self._newcomer)
        Reoffer(stays, lambda _done: place.joined(), headers).send(stays.relay(theirs.with_direction("sendrecv")))


class ProgramTakeover(_Deciding):
    """Of the place of `leg` before a program."""

    def __init__(self, program: ProgramLeg, leg: Leg, newcomer: Leg, done: Callable[[int], None]) -> None:
        super().__init__(done)
        self._program = program
        self._leg = leg
        self._newcomer = newcomer

    def start(self) -> None:
        newcomer = self._newcomer
        if not (isinstance(newcomer, IncomingLeg) and newcomer.pending):
            Reoffer(newcomer, self._agreed).send(newcomer.studio_offer())
            return
        newcomer.owner = self
        try:
            description = newcomer.studio_answer()
        except NotAcceptable:
            self._done(488)
            return
        if newcomer.theirs is None:
            newcomer.answer_in_ack = self._answered_in_ack
        else:
            self._agreed(True)
        newcomer.accept(description)

    def _answered_in_ack(self, ack: Request) -> None:
        self._agreed(takes_answer(self._newcomer, ack))

    def _agreed(self, agreed: bool) -> None:
        if not agreed:
            self._done(488)
        elif self._newcomer.ended or not self._program.talks_to(self._leg):
            give_back(self._newcomer)
            self._done(481)
        else:
            self._done(200)
            self._program.seat(self._leg, self._newcomer)


class Pickup(Waiting):
    """A call that rings at a telephone is taken by the newcomer (RFC 3891 §3: an early dialog).

    He is answered for himself first: his offer and the caller's cannot answer each other. Then he gets the caller's.
    `done` is told once: 200, or why it came to nothing.
    """

    def __init__(self, branch: PhoneBranch, newcomer: IncomingLeg, done: Callable[[int], None]) -> None:
        self._branch = branch
        self._newcomer = newcomer
        self._done = done
        self._asked = False

    def start(self) -> None:
        self._newcomer.owner = self
        try:
            description = self._newcomer.studio_answer()
        except NotAcceptable:
            self._done(488)
        else:
            self._newcomer.accept(description)

    def leg_ended(self, leg: Leg, cause: str) -> None:
        """He is gone. When he has been asked already, the end of that tells."""
        if not self._asked:
            self._asked = True
            self._done(487)

    def leg_acknowledged(self, leg: Leg) -> None:
        if self._asked:
            return
        self._asked = True
        newcomer = self._newcomer
        offer = self._branch.offer_for(newcomer)
        if offer is None:
            self._take(True)
        else:
            Reoffer(newcomer, self._take).send(offer)

    def _take(self, agreed: bool) -> None:
        taken = agreed and not self._newcomer.ended and self._branch.hand_over(self._newcomer)
        self._done(200 if taken else 480)
