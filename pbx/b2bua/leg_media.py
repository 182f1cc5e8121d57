"""The media of one leg: a stream for its audio, further ones for what else is relayed, and what both sides have said.

It knows one party only; who is joined with whom is the business of the leg's owner. RFC 3264, RFC 4568, RFC 5763.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from base.failures import Failure
from pbx.b2bua.asking import Asking
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.guards import Guards
from pbx.b2bua.settled import stream_settings
from pbx.b2bua.translations import TRANSLATED, favourite, translations, understood
from pbx.mediaproxy.cadence import Cadence
from pbx.mediaproxy.engine import (
    Carriage,
    MediaListener,
    MediaStream,
    StreamStatistics,
)
from pbx.nat.surroundings import media_host
from pbx.sipcore.bundle import bundle_only, bundled, riders
from pbx.sipcore.failures import NotAcceptable
from pbx.sipcore.flow import Flow
from pbx.sipcore.offer_answer import AgreedAudio, agree, answer, make_offer, section_at
from pbx.sipcore.passing import (
    Outlet,
    guarded,
    in_place,
    is_datagrams,
    numbers_of,
    passed_answer,
    passed_offer,
    relayable,
)
from pbx.sipcore.sdp import Media, Origin, SessionDescription, is_numeric
from pbx.sipcore.section_guard import Circumstances, Guarded, MediaSecurity, Protection
from pbx.sipcore.tcp_media import Section, connects, is_tcp, setup_to_answer, setup_to_offer
from pbx.workarounds.audio import narrowed
from pbx.workarounds.kinds import Workaround

# Limit: streams besides the audio that one leg may have; a video phone with slides and chat needs three.
MOST_STREAMS = 4


class Party(MediaListener, Protocol):
    """The leg."""

    @property
    def flow(self) -> Flow: ...

    @property
    def workarounds(self) -> frozenset[Workaround]: ...

    @property
    def disconnect_tones(self) -> tuple[Cadence, ...]: ...


class LegMedia:
    """See the head of the module. `ours` is our last description, `agreed` what follows from both for audio."""

    def __init__(self, exchange: Exchange, party: Party, security: MediaSecurity) -> None:
        self._exchange = exchange
        self._party = party
        self.guards = Guards(security, self._circumstances)
        self.stream: MediaStream | None = None
        self._more: dict[int, tuple[MediaStream, bool]] = {}  # by place; whether it is TCP
        self._riding: frozenset[int] = frozenset()  # the places of those that share the port of the audio
        self._numbers: dict[int, str] = {}
        self._origin = Origin("-", exchange.entropy.number(1, 2**31), 0, "127.0.0.1")
        self._theirs: SessionDescription | None = None
        self._widest: Media | None = None  # of the peer's audio sections
        self.ours: SessionDescription | None = None
        self.agreed: AgreedAudio | None = None
        self.asking = Asking()
        self.overheard = False
        """Others than the two may hear this party: it is offered only what we understand."""
        self._standing: tuple[SessionDescription | None, SessionDescription | None] = (None, None)
        self.closed = False

    @property
    def theirs(self) -> SessionDescription | None:
        """The peer's last description."""
        return self._theirs

    @theirs.setter
    def theirs(self, description: SessionDescription | None) -> None:
        self._theirs = description
        audio = None if description is None else description.audio
        if audio is not None and (self._widest is None or len(audio.formats) >= len(self._widest.formats)):
            self._widest = audio

    @property
    def takes(self) -> SessionDescription | None:
        """The peer's last description with all codecs that he has ever named: what is asked of somebody else for him.

        Interop: pjsip telephones narrow a call to one codec by an UPDATE as soon as it is answered."""
        theirs, widest = self._theirs, self._widest
        return theirs if theirs is None or widest is None else theirs.widened(widest)

    # --- ports

    async def open(self) -> None:
        """Take a port for audio. Raises Failure."""
        if self.stream is None:
            stream = await self._take(tcp=False)
            if self.closed:
                await stream.close()
            else:
                self.stream = stream

    async def prepare(self, description: SessionDescription) -> None:
        """Take ports for whatever else that description has; what gets none will be refused."""
        for at, section in self._unprepared(description):
            if len(self._more) >= MOST_STREAMS:
                return
            try:
                stream = await self._take(tcp=is_tcp(section))
            except Failure:
                self._exchange.metrics.count("calls.media-refused")
                continue
            if self.closed:
                await stream.close()
                return
            self._more[at] = (stream, is_tcp(section))

    def prepared(self, description: SessionDescription) -> bool:
        """Whether `prepare` would find nothing to do."""
        return not self._unprepared(description) or len(self._more) >= MOST_STREAMS

    def _unprepared(self, description: SessionDescription) -> list[tuple[int, Media]]:
        audio = description.audio
        return [
            (at, section)
            for at, section in enumerate(description.media)
            if section is not audio
            and section.kind != "audio"
            and (relayable(section) or at in riders(description))
            and (at not in self._more or self._more[at][1] != is_tcp(section))
        ]

    async def _take(self, *, tcp: bool) -> MediaStream:
        return await self._exchange.media.open(self._party, ipv6=":" in self._party.flow.remote[0], tcp=tcp)

    async def close(self) -> StreamStatistics:
        """Free all ports; the figures are those of the audio."""
        self.closed = True
        more, self._more = self._more, {}
        for stream, _ in more.values():
            await stream.close()
        return StreamStatistics() if self.stream is None else await self.stream.close()

    def place(self, stream: MediaStream | None) -> tuple[str, int]:
        """What we write into our description for this peer."""
        flow = self._party.flow
        if stream is None:
            return self._exchange.stack.advertised_host(flow), 9
        return media_host(self._exchange.stack, flow, stream.local[0]), stream.local[1]

    # --- joining

    def join(self, other: LegMedia) -> None:
        """Relay between this party and that one."""
        if self.stream is not None and other.stream is not None:
            self.stream.connect(other.stream)
        self.join_more(other)

    def join_more(self, other: LegMedia) -> None:
        """The same for what is not audio."""
        for at, (stream, tcp) in self._more.items():
            far = other._more.get(at)
            if far is not None and far[1] == tcp:
                stream.connect(far[0])

    def part(self) -> None:
        for stream in (self.stream, *(stream for stream, _ in self._more.values())):
            if stream is not None:
                stream.disconnect()

    # --- descriptions of ours

    def _next_origin(self) -> Origin:
        """RFC 3264 §8: one session id a leg, and a version that grows."""
        previous = self._origin
        self._origin = Origin("-", previous.session, previous.version + 1, self.place(self.stream)[0])
        return self._origin

    def pass_offer(self, description: SessionDescription) -> SessionDescription:
        """The other party's media as an offer to this one."""
        description = narrowed(description, self._party.workarounds)
        if self.overheard:
            description = understood(description)

        def said(at: int, section: Media, place: tuple[str, int]) -> Guarded:
            if section.is_rtp:
                return self.guards.at(at).offer(place)
            return self._unguarded(section, setup_to_offer((description, section)))

        outlets = self._outlets(description, said, self._riding)
        self.ours = passed_offer(
            description,
            self._next_origin(),
            outlets,
            web=self.web,
            more=translations(description) if self.asking.translating else (),
            used=self._numbers,
            before=self.ours,
        )
        self._remember()
        return self.ours

    def pass_answer(self, description: SessionDescription) -> SessionDescription:
        """The other party's answer as the answer to this one's offer. Raises NotAcceptable."""
        offer = self.theirs
        if offer is None:
            raise ValueError("nothing was offered")

        def said(at: int, section: Media, place: tuple[str, int]) -> Guarded:
            if section.is_rtp:
                return self.guards.at(at).answer(offer, section, place)
            theirs = section_at(description, at) or section
            return self._unguarded(section, setup_to_answer((offer, section), (description, theirs)))

        riding = riders(offer) if self.web else frozenset()
        outlets = self._outlets(offer, said, riding)
        for at, section in enumerate(offer.media):
            if bundle_only(section) and at not in riding and section is not offer.audio:
                outlets.pop(at, None)  # RFC 9143 §7.3.3
        self.ours = passed_answer(offer, description, self._next_origin(), outlets, speaks=TRANSLATED)
        self._remember()
        return self.ours

    def studio_offer(self) -> SessionDescription:
        """An offer for a program's own voice."""
        place = self.place(self.stream)
        alone = narrowed(make_offer(self._next_origin(), *place), self._party.workarounds)
        made, at = in_place(alone, self.ours, self._numbers)
        said = self.guards.at(at).offer(place)
        if self.web:
            said = Guarded(said.protocol, (f"a=mid:{at}", *said.lines))
        self.ours = bundled(self._guarded(made, at, said))
        self._remember()
        return self.ours

    def studio_answer(self) -> SessionDescription:
        """A program's answer to the offer that came, or an offer when none came. Raises NotAcceptable.

        Interop: one codec only, the peer's favourite; pjsip phones answer a choice of codecs with a re-INVITE of their
        own, and digits typed meanwhile are lost.
        """
        offer = self.theirs
        if offer is None:
            return self.studio_offer()
        place = self.place(self.stream)
        made, _ = answer(offer, self._next_origin(), *place, codecs=favourite(offer))
        at = next(at for at, section in enumerate(made.media) if section.port)
        asked = offer.media[at]
        said = self.guards.at(at).answer(offer, asked, place)
        mid = tuple(f"a=mid:{value}" for value in asked.attributes("mid")[:1])
        self.ours = bundled(self._guarded(made, at, Guarded(said.protocol, (*mid, *said.lines))), offer)
        self._remember()
        self.settle()
        return self.ours

    @staticmethod
    def _guarded(made: SessionDescription, at: int, said: Guarded) -> SessionDescription:
        return guarded(made, at, said.protocol, said.lines)

    def _remember(self) -> None:
        if self.ours is not None:
            self._numbers.update(numbers_of(self.ours))

    @property
    def web(self) -> bool:
        """A browser: it reached us by WebSocket (RFC 7118), and takes nothing but DTLS-SRTP."""
        return self._party.flow.web

    @property
    def encrypted(self) -> bool:
        """The audio that was agreed on is encrypted; true where no audio is."""
        ours = self.ours
        if self.agreed is None or ours is None or ours.audio is None:
            return True
        return self.guards.at(ours.media.index(ours.audio)).encrypted

    def _circumstances(self, security: MediaSecurity) -> Circumstances:
        return Circumstances(
            self._exchange.entropy,
            security,
            self._party.flow.transport in ("tls", "wss"),
            self.web,
            lambda: "" if self.stream is None else self.stream.fingerprint,
            self.asking.dtls,
            self.asking.keys,
        )

    def _outlets(
        self,
        description: SessionDescription,
        what: Callable[[int, Media, tuple[str, int]], Guarded],
        riding: frozenset[int],
    ) -> dict[int, Outlet]:
        """Where each section is that we relay. Raises NotAcceptable when the audio may not be as it is wanted."""
        outlets: dict[int, Outlet] = {}
        audio = description.audio
        for at, section in enumerate(description.media):
            stream = self.stream if section is audio else self._fitting(at, description)
            if stream is None and section is not audio:
                continue
            if at in riding and audio is not None:  # RFC 9143 §7.1.3: what the port needs is said with the audio
                outlets[at] = replace(outlets[description.media.index(audio)], lines=("a=rtcp-mux",))
                continue
            place = self.place(stream)
            try:
                said = what(at, section, place)
            except NotAcceptable:
                if section is audio:
                    raise
                continue
            outlets[at] = Outlet(*place, said.protocol, said.lines)
        return outlets

    def _fitting(self, at: int, description: SessionDescription) -> MediaStream | None:
        found, section = self._more.get(at), description.media[at]
        if found is None or section.kind == "audio" or found[1] != is_tcp(section):
            return None
        return found[0] if relayable(section) or at in riders(description) else None

    def _unguarded(self, section: Media, setup: str) -> Guarded:
        """T.38 and streams over TCP have no encryption that we end; over TCP it matters who connects."""
        if self.guards.security is MediaSecurity.REQUIRED:
            raise NotAcceptable("Unencrypted media are not taken")
        return Guarded(section.protocol, (f"a=setup:{setup}",) if is_tcp(section) else ())

    # --- what follows from both descriptions

    def settle(self) -> AgreedAudio | None:
        """Both descriptions are known: set the streams up. None when they agree on other media than audio.
        Raises NotAcceptable."""
        ours, theirs = self.ours, self.theirs
        if ours is None or theirs is None:
            raise ValueError("an offer or an answer is missing")
        audio, others = ours.audio, False
        self._riding = riders(ours) & riders(theirs) if self.web else frozenset()
        for at, mine in enumerate(ours.media):
            section = section_at(theirs, at)
            if mine is not audio and mine.port and section is not None and section.port and at in self._more:
                others = self._settle_other(at, (ours, mine), (theirs, section)) or others
        agreed = None
        if audio is not None or not others:
            agreed = agree(ours, theirs)
        self.agreed = agreed
        if agreed is not None and audio is not None:
            at = ours.media.index(audio)
            self._configure(agreed, self.guards.at(at).settle(theirs, theirs.media[at]))
        self._standing = ours, theirs
        return agreed

    def revert(self) -> None:
        """A change was refused: what was agreed on before stands (RFC 3261 §14.1)."""
        if self._standing != (None, None):
            self.ours, self.theirs = self._standing

    def _configure(self, agreed: AgreedAudio, protection: Protection) -> None:
        if self.stream is not None:
            self.stream.configure(
                stream_settings(
                    agreed.remote,
                    protection,
                    "audio",
                    codec=agreed.codec,
                    payload_types=agreed.payload_types,
                    dtmf=agreed.dtmf,
                    ptime=agreed.ptime,
                    send=agreed.send,
                    receive=agreed.receive,
                    guess=self._guess(agreed.remote),
                    disconnect_tones=self._party.disconnect_tones,
                )
            )

    def _settle_other(self, at: int, ours: Section, other: Section) -> bool:
        """A section besides the audio; False when it cannot be used."""
        mine, (theirs, section) = ours[1], other
        address = theirs.address(section)
        if address is None or not is_numeric(address):
            return False
        remote, protection = (address, section.port), Protection()
        if at in self._riding and self.stream is not None:
            settings = stream_settings(
                remote, protection, "rtp", payload_types=mine.payload_types, carrier=self.stream.id
            )
            self._more[at][0].configure(settings)
            return True
        if mine.is_rtp:
            try:
                protection = self.guards.at(at).settle(theirs, section)
            except NotAcceptable:
                self._exchange.metrics.count("calls.media-refused")
                return False
        carriage: Carriage = "rtp" if mine.is_rtp else "raw"
        guess = self._guess(remote)
        active = is_tcp(mine) and connects(ours, other)
        self._more[at][0].configure(stream_settings(remote, protection, carriage, guess=guess, active=active))
        return mine.is_rtp or is_datagrams(mine) or is_tcp(mine)

    def _guess(self, said: tuple[str, int]) -> tuple[str, int] | None:
        """Where a peer behind a NAT may really listen (decision 12): the address that its signalling comes from."""
        return self._exchange.stack.surroundings.media_guess(said, self._party.flow.remote[0])
