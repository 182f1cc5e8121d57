"""One SIP party of a call: its session, its audio stream, and what both sides have said of the audio.

A leg decides nothing: its owner (a bridge, a program, a call being set up) is told all that happens, and tells it what
to send. RFC 3261 §12-§15, RFC 3264.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from pbx.b2bua.exchange import Exchange
from pbx.b2bua.reoffer import Reoffer
from pbx.mediaproxy.engine import MediaStream, StreamSettings, StreamStatistics
from pbx.nat.detection import media_behind_nat
from pbx.records.record import Side
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.offer_answer import STUDIO, AgreedAudio, agree, answer, make_offer
from pbx.sipcore.sdp import Origin, SessionDescription
from pbx.sipcore.session import Session
from pbx.sipcore.transactions import ServerTransaction


class LegOwner(Protocol):
    """Who is told what happens to a leg."""

    def leg_ended(self, leg: Leg, cause: str) -> None:
        """The peer hung up, cancelled, or was lost; told once, never after our own hanging up."""

    def leg_acknowledged(self, leg: Leg) -> None:
        """The peer has our answer."""

    def leg_reinvite(self, leg: Leg, transaction: ServerTransaction) -> None: ...

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None:
        """INFO, REFER, MESSAGE, NOTIFY: it wants an answer."""

    def leg_digit(self, leg: Leg, digit: str) -> None: ...

    def leg_played(self, leg: Leg, play: int) -> None: ...

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...


class Leg:
    """What incoming and outgoing legs share. `key` is (Call-ID, our tag)."""

    def __init__(self, exchange: Exchange, key: tuple[str, str], flow: Flow, owner: LegOwner) -> None:
        self.exchange = exchange
        self.key = key
        self.flow = flow
        self.owner = owner
        self.stream: MediaStream | None = None
        self.session: Session | None = None
        self.theirs: SessionDescription | None = None
        self.ours: SessionDescription | None = None
        self.agreed: AgreedAudio | None = None
        self.ended = False
        self.user_agent = ""
        self.answer_in_ack: Callable[[Request], None] | None = None
        """Who waits for the answer to an offer that went out in a 2xx."""
        self._origin = Origin("-", exchange.entropy.number(1, 2**31), 0, "127.0.0.1")
        self._statistics = StreamStatistics()
        self._closed: asyncio.Task[None] | None = None

    @property
    def call_id(self) -> str:
        return self.key[0]

    def find_session(self, remote_tag: str) -> Session | None:
        """The dialog with that tag of the peer."""
        session = self.session
        return session if session is not None and session.dialog.remote_tag == remote_tag else None

    # --- audio

    async def open(self) -> None:
        """Take a port. Raises Failure."""
        if self.stream is None:
            stream = await self.exchange.media.open(self)
            if self.ended:
                await stream.close()
            else:
                self.stream = stream

    @property
    def media_address(self) -> tuple[str, int]:
        """What we write into our description for this peer."""
        if self.stream is None:
            return self.exchange.stack.advertised_host(self.flow), 9
        host, port = self.stream.local
        return (self.exchange.stack.advertised_host(self.flow) if host in ("", "0.0.0.0", "::") else host), port

    def _next_origin(self, address: str) -> Origin:
        """RFC 3264 §8: one session id a leg, and a version that grows."""
        previous = self._origin
        self._origin = Origin("-", previous.session, previous.version + 1, address)
        return self._origin

    def relay(self, description: SessionDescription) -> SessionDescription:
        """The other party's description as this peer sees it: our address and port in it."""
        address, port = self.media_address
        self.ours = description.rewrite(address, port, self._next_origin(address))
        return self.ours

    def studio_offer(self) -> SessionDescription:
        """An offer for a program's own voice."""
        address, port = self.media_address
        self.ours = make_offer(self._next_origin(address), address, port)
        return self.ours

    def studio_answer(self) -> SessionDescription:
        """A program's answer to the offer that came, or an offer when none came. Raises NotAcceptable.

        Interop: one codec only, the peer's favourite; pjsip phones answer a choice of codecs with a re-INVITE of their
        own, and digits typed meanwhile are lost.
        """
        if self.theirs is None:
            return self.studio_offer()
        address, port = self.media_address
        codecs = _favourite(self.theirs)
        self.ours, self.agreed = answer(self.theirs, self._next_origin(address), address, port, codecs=codecs)
        self._configure(self.agreed)
        return self.ours

    def settle(self) -> AgreedAudio:
        """Both descriptions are known: set the stream up. Raises NotAcceptable."""
        if self.ours is None or self.theirs is None:
            raise ValueError("an offer or an answer is missing")
        self.agreed = agree(self.ours, self.theirs)
        self._configure(self.agreed)
        return self.agreed

    def _configure(self, agreed: AgreedAudio) -> None:
        if self.stream is not None:
            self.stream.configure(
                StreamSettings(
                    remote=agreed.remote,
                    codec=agreed.codec,
                    payload_types=agreed.payload_types,
                    dtmf=agreed.dtmf,
                    ptime=agreed.ptime,
                    send=agreed.send,
                    receive=agreed.receive,
                    guess=self._guess(agreed.remote),
                )
            )

    def _guess(self, said: tuple[str, int]) -> tuple[str, int] | None:
        """Where a peer behind a NAT may really listen (decision 12): the address that its signalling comes from."""
        source = self.flow.remote[0]
        return (source, said[1]) if media_behind_nat(said[0], source) else None

    @property
    def codec(self) -> str:
        return "" if self.agreed is None else self.agreed.payload_types.get(self.agreed.codec, "")

    # --- answering

    def provision(self, status: int, reason: str = "", description: SessionDescription | None = None) -> None:
        """Send a provisional answer; a party that is connected already is not told."""

    def accept(self, description: SessionDescription) -> None:
        """Answer, and tell the owner by `leg_acknowledged`; a connected party gets it as a re-INVITE."""
        Reoffer(self, lambda _done: self.owner.leg_acknowledged(self)).send(description)

    # --- the end

    def finish(self) -> None:
        """No more news from or for this leg; its port is freed."""
        if not self.ended:
            self.ended = True
            self.exchange.retire(self)
            self._closed = self.exchange.spawn(self._close(), f"close leg {self.call_id}")

    async def _close(self) -> None:
        if self.stream is not None:
            self._statistics = await self.stream.close()

    async def side(self) -> Side:
        """The figures for the record, when the stream is closed."""
        if self._closed is not None:
            await asyncio.wait([self._closed])
        return Side.of(self.user_agent, self._statistics)

    def hang_up(self, status: int = 0, reason: str = "") -> None:
        """End it in whatever state; the owner is told nothing."""
        raise NotImplementedError

    # --- told by the session

    def session_invite(self, session: Session, transaction: ServerTransaction) -> None:
        self.owner.leg_reinvite(self, transaction)

    def session_request(self, session: Session, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method == "OPTIONS" or (request.method == "UPDATE" and not request.body):
            session.answer(transaction, 200)
        elif request.method == "UPDATE":
            session.answer(transaction, 488)  # not in our Allow: re-INVITE carries changes of the audio
        else:
            self.owner.leg_request(self, transaction)

    def session_acknowledged(self, session: Session, request: Request) -> None:
        waiting, self.answer_in_ack = self.answer_in_ack, None
        if waiting is not None:
            waiting(request)
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

    def media_lost(self) -> None:
        """Decision 11: the calls of a dead worker end cleanly."""
        if not self.ended:
            self.hang_up(503)
            self.owner.leg_ended(self, "media lost")


def _favourite(offer: SessionDescription) -> Sequence[str]:
    """The first codec of an offer that programs can speak."""
    audio = offer.audio
    known = [] if audio is None else [name for name in audio.payload_types.values() if name in STUDIO]
    return known[:1] or STUDIO
