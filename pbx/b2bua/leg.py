"""One SIP party of a call: its session, its audio stream, and what both sides have said of the audio.

A leg decides nothing: its owner (a bridge, a program, a call being set up) is told all that happens, and tells it what
to send. RFC 3261 §12-§15, RFC 3264.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from pbx.b2bua.asserted import NOBODY, renewed
from pbx.b2bua.bodies import read_description
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg_media import LegMedia
from pbx.b2bua.refer_news import ReferNews, is_about_refer
from pbx.b2bua.reoffer import Reoffer
from pbx.b2bua.trunk_line import TrunkLine
from pbx.mediaproxy.cadence import Cadence
from pbx.mediaproxy.engine import MediaStream, StreamStatistics
from pbx.records.record import Side
from pbx.sipcore.bundle import opened
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.offer_answer import AgreedAudio
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from pbx.sipcore.session import Session
from pbx.sipcore.transactions import ServerTransaction
from pbx.workarounds.kinds import Workaround

if TYPE_CHECKING:
    from pbx.b2bua.transfer import Transfer

MEDIA_LOST = "media lost"
"""The cause when the media worker died."""
DISCONNECT_TONE = "disconnect tone"
"""The cause when the line has brought one."""


class LegOwner(Protocol):
    """Who is told what happens to a leg."""

    def leg_ended(self, leg: Leg, cause: str) -> None:
        """The peer hung up, cancelled, or was lost; told once, never after our own hanging up."""

    def leg_acknowledged(self, leg: Leg) -> None:
        """The peer has our answer."""

    def leg_offer(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A re-INVITE, or an UPDATE or PRACK with an offer: answer it with `Session.answer_offer`."""

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        """INFO, REFER, MESSAGE, NOTIFY: it wants an answer."""

    def leg_digit(self, leg: Leg, digit: str) -> None: ...

    def leg_played(self, leg: Leg, play: int) -> None: ...

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...


class Leg:
    """What incoming and outgoing legs share. `key` is (Call-ID, our tag)."""

    def __init__(
        self,
        exchange: Exchange,
        key: tuple[str, str],
        flow: Flow,
        owner: LegOwner,
        security: MediaSecurity | None = None,
        user_agent: str = "",
    ) -> None:
        self.exchange = exchange
        self.key = key
        self.flow = flow
        self.owner = owner
        self.session: Session | None = None
        self.media = LegMedia(exchange, self, security or exchange.settings.security)
        self.ended = False
        self.user_agent = user_agent
        self.person = NOBODY
        """Who is at the other end, as far as it was proved."""
        self.exempt = False
        """A call for help: its media may be as they come."""
        self.trusted = False
        """The peer is in our trust domain (RFC 3325 §2.3): he is told what was proved of others."""
        self.believed = False
        """What the peer says of identities counts; so does what a provider says, who is told nothing."""
        self.renamed: Callable[[Leg], None] = lambda _leg: None
        """Told that the peer is somebody else now, where no offer tells the other party of it."""
        self.knows_from_change = False
        """The peer takes another From in the dialog (RFC 4916 §4.2)."""
        self.transfer: Transfer | None = None
        """The way to new company that the peer is on."""
        self.news = ReferNews(self)
        """What the peer is told of whom it sends elsewhere."""
        self.makes_way_for: frozenset[int] = frozenset()
        """Accounts that the peer itself has sent to take its place."""
        self.wants_recording: bool | None = None
        """The peer has asked for a recording, or that there be none (None: as its account's rule says)."""
        self.line: TrunkLine | None = None
        """The trunk that the peer is reached by."""
        self.replacing = False
        """Somebody is about to take the peer's place."""
        self.answer_in_ack: Callable[[Request], None] | None = None
        """Who waits for the answer to an offer that went out in a 2xx or in a reliable provisional response: it comes
        in the ACK or in the PRACK. With nobody waiting the leg takes it for itself."""
        self._statistics = StreamStatistics()
        self._closed: asyncio.Task[None] | None = None

    @property
    def refused(self) -> int:
        """The final refusal that a caller got; 0 when he was answered, or is not answered yet."""
        return 0

    @property
    def call_id(self) -> str:
        return self.key[0]

    @property
    def tags(self) -> tuple[str, str]:
        """The tag of the peer, once there is one, and ours."""
        return ("" if self.session is None else self.session.dialog.remote_tag, self.key[1])

    @property
    def workarounds(self) -> frozenset[Workaround]:
        """What is done for the device, as far as it is known which it is."""
        return self.exchange.workarounds.for_(self.user_agent, self.flow.remote[0])

    @property
    def disconnect_tones(self) -> tuple[Cadence, ...]:
        """What the line behind the peer brings when its party has gone."""
        return () if self.line is None else self.line.trunk.disconnect_tones

    def find_session(self, remote_tag: str) -> Session | None:
        """The dialog with that tag of the peer."""
        session = self.session
        return session if session is not None and session.dialog.remote_tag == remote_tag else None

    # --- media

    @property
    def stream(self) -> MediaStream | None:
        """The one of the audio."""
        return self.media.stream

    @property
    def theirs(self) -> SessionDescription | None:
        """The peer's last description."""
        return self.media.theirs

    @theirs.setter
    def theirs(self, description: SessionDescription | None) -> None:
        self.media.theirs = description

    def read_offer(self, request: Request) -> SessionDescription | None:
        """The description in a request of the peer; None without one. Raises SipSyntaxError."""
        found = read_description(request)
        return found if found is None or not self.media.web else opened(found)

    @property
    def agreed(self) -> AgreedAudio | None:
        return self.media.agreed

    async def open(self) -> None:
        """Take a port. Raises Failure."""
        await self.media.open()

    async def prepare(self, description: SessionDescription | None) -> None:
        """Take ports for what else than audio that description has."""
        if description is not None:
            await self.media.prepare(description)

    def relay(self, description: SessionDescription) -> SessionDescription:
        """The other party's description as an offer to this peer."""
        return self.media.pass_offer(description)

    def relay_answer(self, description: SessionDescription) -> SessionDescription:
        """The other party's answer as the answer to this peer's offer (`theirs`). Raises NotAcceptable."""
        return self.media.pass_answer(description)

    def studio_offer(self) -> SessionDescription:
        """An offer for a program's own voice."""
        return self.media.studio_offer()

    def studio_answer(self) -> SessionDescription:
        """A program's answer to the offer that came, or an offer when none came. Raises NotAcceptable."""
        return self.media.studio_answer()

    def settle(self) -> AgreedAudio | None:
        """Both descriptions are known: set the streams up. Raises NotAcceptable."""
        return self.media.settle()

    @property
    def codec(self) -> str:
        return "" if self.agreed is None else self.agreed.payload_types.get(self.agreed.codec, "")

    # --- answering

    def provision(self, status: int, reason: str = "", description: SessionDescription | None = None) -> None:
        """Send a provisional answer; a party that is connected already is not told."""

    def accept(self, description: SessionDescription) -> None:
        """Answer, and tell the owner by `leg_acknowledged`; a connected party gets it as a re-INVITE."""
        Reoffer(self, lambda _done: self.owner.leg_acknowledged(self)).send(description)

    def acknowledge(self, description: SessionDescription | None = None) -> None:
        """Acknowledge the peer's answer, where it waits for that."""

    def refresh(self, headers: Sequence[tuple[str, str]]) -> None:
        """Tell the peer these headers in the middle of the call (who he talks to now): by UPDATE where he takes it,
        else by a re-INVITE that changes nothing."""
        if self.session is not None and not self.ended:
            self.session.changes.refresh(headers)

    def ask(self) -> None:
        """Ask the peer whether the call still stands for it; the owner is told when it does not."""
        if self.session is not None and not self.ended:
            self.session.standing.ask()

    # --- the end

    def finish(self) -> None:
        """No more news from or for this leg; its port is freed."""
        if not self.ended:
            self.ended = self.media.closed = True
            self.exchange.retire(self)
            if self.transfer is not None:
                self.transfer.party_gone()
            self._closed = self.exchange.spawn(self._close(), f"close leg {self.call_id}")

    async def _close(self) -> None:
        self._statistics = await self.media.close()

    async def side(self) -> Side:
        """The figures for the record, when the stream is closed."""
        if self._closed is not None:
            await asyncio.wait([self._closed])
        return Side.of(self.user_agent, self._statistics)

    def hang_up(self, status: int = 0, reason: str = "") -> None:
        """End it in whatever state; the owner is told nothing."""
        raise NotImplementedError

    # --- told by the session

    def session_offer(self, session: Session, transaction: ServerTransaction) -> None:
        self.owner.leg_offer(self, transaction)

    def learns(self, request: Request) -> bool:
        """Whether the peer is somebody else now, as a request of his says; `person` is that then."""
        session = self.session
        if not self.believed or self.person.account is not None or session is None:
            return False
        before, self.person = self.person, renewed(self.person, request, from_changed=session.renamed)
        return self.person != before

    def session_refreshed(self, session: Session, request: Request) -> None:
        if self.learns(request):
            self.renamed(self)

    def session_request(self, session: Session, transaction: ServerTransaction) -> None:
        if transaction.request.method == "OPTIONS":
            session.answer(transaction, 200)
        elif is_about_refer(transaction.request):
            self.news.subscribe(transaction)
        else:
            self.owner.leg_request(self, transaction)

    def session_answered(self, session: Session, request: Request) -> None:
        waiting, self.answer_in_ack = self.answer_in_ack, None
        if waiting is not None:
            waiting(request)
        elif self.theirs is None:
            self._answered(request)

    def _answered(self, request: Request) -> None:
        """The answer to an offer that nobody else waits for: a program's."""
        try:
            self.theirs = read_description(request)
            if self.theirs is not None:
                self.settle()
        except (SipSyntaxError, NotAcceptable):
            self.exchange.metrics.count("calls.bad-answers")

    def session_acknowledged(self, session: Session, request: Request) -> None:
        self.session_answered(session, request)
        self.owner.leg_acknowledged(self)

    def session_ended(self, session: Session, cause: str) -> None:
        self._lost(cause)

    def _lost(self, cause: str) -> None:
        if not self.ended:
            self.finish()
            self.owner.leg_ended(self, cause)

    # --- told by the media engine

    def media_digit(self, digit: str, milliseconds: int) -> None:
        if not self.ended:
            self.owner.leg_digit(self, digit)

    def media_played(self, play: int) -> None:
        self.owner.leg_played(self, play)

    def media_recorded(self, record: int, cause: str, seconds: float) -> None:
        self.owner.leg_recorded(self, record, cause, seconds)

    def media_silent(self, seconds: float) -> None: ...

    def media_hung_up(self) -> None:
        """An analog line does not say that its party has gone: it plays a tone."""
        if not self.ended:
            self.hang_up()
            self.owner.leg_ended(self, DISCONNECT_TONE)

    def media_lost(self) -> None:
        """Decision 11: the calls of a dead worker end cleanly."""
        if not self.ended:
            self.hang_up(503)
            self.owner.leg_ended(self, MEDIA_LOST)
