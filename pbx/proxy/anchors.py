"""Media of proxied calls that must pass through us: the ports, and the descriptions in whatever message passes.

A call has no anchor unless its parties cannot reach each other (`pbx.nat.anchoring`); then each branch has its own. The
dialog stays one from end to end, and packets pass unread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from base.clock import Clock
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from pbx.mediaproxy.engine import Carriage, MediaEngine, MediaStream, StreamSettings
from pbx.nat.anchoring import Party, anchorable, anchored, first_address, moved, reason
from pbx.nat.surroundings import Surroundings, media_host
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Message, Request, Response
from pbx.sipcore.offer_answer import section_at
from pbx.sipcore.sdp import CONTENT_TYPE, Media, SessionDescription, is_numeric
from pbx.sipcore.tcp_media import connects, is_tcp, setup_to_answer, setup_to_offer
from pbx.sipcore.uri import Uri

# Limit: media sections of a proxied call that are relayed; further ones are refused.
MOST_SECTIONS = 4
# Limit: early dialogs of one branch whose requests find their anchor.
_TAGS = 16
# Limit: seconds that a session lives without a refresh, whatever its parties say (RFC 4028 §4).
_SHORTEST = 90

_log = get_logger("pbx.proxy")


class Stack(Protocol):
    """What is needed of the SIP stack."""

    @property
    def surroundings(self) -> Surroundings: ...

    def advertised_host(self, flow: Flow) -> str: ...


class _Side:
    """The ports that face one party."""

    def __init__(self, anchor: Anchor, flow: Flow) -> None:
        self._anchor = anchor
        self.flow = flow
        self.streams: list[MediaStream] = []
        self.said: SessionDescription | None = None
        self._told: SessionDescription | None = None
        self.talks = False
        """Whether it last said that it speaks and listens."""

    def place(self, stack: Stack, at: int) -> tuple[str, int]:
        """Where this party sends the media of that section to."""
        host, port = self.streams[at].local
        return media_host(stack, self.flow, host), port

    def hear(self, stack: Stack, description: SessionDescription) -> None:
        """What this party says of where it listens."""
        self.said = description
        self.talks = description.audio is not None and description.direction(description.audio) == "sendrecv"
        for at, section in self._anchor.relayed(description):
            self._configure(stack, description, at, section)

    def tell(self, stack: Stack, description: SessionDescription, *, answer: bool) -> None:
        """What it is told of the other party; by an answer it is known who connects over TCP."""
        self._told = description
        if answer and self.said is not None:
            for at, section in self._anchor.relayed(self.said):
                if is_tcp(section):
                    self._configure(stack, self.said, at, section)

    def _configure(self, stack: Stack, description: SessionDescription, at: int, section: Media) -> None:
        address = description.address(section)
        if not anchorable(section) or address is None or not is_numeric(address):
            return
        said = (address, section.port)
        guess = stack.surroundings.media_guess(said, self.flow.remote[0])
        carriage: Carriage = "rtp" if section.is_rtp else "raw"
        active = is_tcp(section) and self._is_reached(description, at, section)
        self.streams[at].configure(StreamSettings(said, 0, {}, carriage=carriage, guess=guess, active=active))

    def _is_reached(self, description: SessionDescription, at: int, section: Media) -> bool:
        """Whether it waits for us to connect."""
        told = None if self._told is None else section_at(self._told, at)
        return self._told is not None and told is not None and connects((self._told, told), (description, section))

    # --- told by the streams: nothing of it concerns a relay that reads nothing

    def media_digit(self, digit: str, milliseconds: int) -> None: ...

    def media_played(self, play: int) -> None: ...

    def media_recorded(self, record: int, cause: str, seconds: float) -> None: ...

    def media_silent(self, seconds: float) -> None: ...

    def media_hung_up(self) -> None: ...

    def media_lost(self) -> None:
        self._anchor.lost = True


class Anchor:
    """The relay of one branch; `near` is the caller's side."""

    def __init__(self, owner: Anchors, caller_tag: str, near: Flow, far: Flow) -> None:
        self._owner = owner
        self.caller_tag = caller_tag
        self.callee_tags: set[str] = set()
        self.near = _Side(self, near)
        self.far = _Side(self, far)
        self._kinds: list[bool] = []  # of its ports: whether they are TCP
        self._offers: dict[bool, int] = {}  # by whether the caller's side made it: the CSeq of the last offer
        self._runs_out = float("inf")
        self.lost = False
        self.closed = False

    async def widen(self, kinds: Sequence[bool]) -> None:
        """Have ports for so many sections, over TCP or not. Raises Failure."""
        for tcp in kinds[len(self._kinds) : MOST_SECTIONS]:
            if self.closed:
                break
            near = await self._owner.open(self.near, self.near.flow, tcp=tcp)
            try:
                far = await self._owner.open(self.far, self.far.flow, tcp=tcp)
            except Failure:
                await near.close()
                raise
            near.connect(far)
            self.near.streams.append(near)
            self.far.streams.append(far)
            self._kinds.append(tcp)
        if self.closed:
            await self.close()

    def wide_enough(self, message: Message) -> bool:
        description = _description(message)
        return description is None or min(len(description.media), MOST_SECTIONS) <= len(self.far.streams)

    async def widen_for(self, message: Message) -> None:
        """Have ports for all that its description names. Raises Failure."""
        description = _description(message)
        if description is not None:
            await self.widen([is_tcp(section) for section in description.media])

    def relayed(self, description: SessionDescription) -> list[tuple[int, Media]]:
        """The sections that have ports of their kind."""
        found = enumerate(description.media[: len(self._kinds)])
        return [(at, section) for at, section in found if is_tcp(section) == self._kinds[at]]

    def request(self, request: Request) -> None:
        """Put our places into a request that passes."""
        from_near = request.from_tag == self.caller_tag
        offer = request.method in ("INVITE", "UPDATE")
        if offer and _description(request) is not None:
            self._offers[from_near] = request.cseq.number
        self._pass(request, from_near=from_near, answer=not offer)

    def response(self, response: Response, *, to_caller: bool) -> None:
        """The same for a response, on its way to the caller of the call or to the callee."""
        if to_caller and response.to_tag and len(self.callee_tags) < _TAGS:
            self.callee_tags.add(response.to_tag)
        if response.is_success and response.method in ("INVITE", "UPDATE"):
            seconds = response.number("Session-Expires")
            lasts = float("inf") if seconds is None else max(seconds, _SHORTEST)
            self._runs_out = self._owner.clock.now() + lasts
        answer = self._offers.get(to_caller) == response.cseq.number
        self._pass(response, from_near=not to_caller, answer=answer)

    def _pass(self, message: Message, *, from_near: bool, answer: bool) -> None:
        description = _description(message)
        if description is None or self.lost or self.closed:
            return
        speaks, hears = (self.near, self.far) if from_near else (self.far, self.near)
        stack, relayed = self._owner.stack, self.relayed(description)
        speaks.hear(stack, description)
        places = {at: hears.place(stack, at) for at, _ in relayed}
        offer = hears.said if answer else None
        ours = anchored(
            description, places, {at: _setup(description, at, offer) for at, each in relayed if is_tcp(each)}
        )
        hears.tell(stack, ours, answer=answer)
        message.set_body(ours.encode(), CONTENT_TYPE)

    def heard(self) -> tuple[int, ...] | None:
        """The packets that have come from both. While one holds the other, or there is nothing to hear: None, but no
        packets at all once the session was not refreshed in its time (RFC 4028 §8). A relay whose worker has died hears
        nobody, and cannot tell whether they have gone."""
        if self.lost or not (self.near.talks and self.far.talks and self.near.streams):
            return () if self._owner.clock.now() > self._runs_out else None
        return tuple(each.statistics().packets_received for each in (*self.near.streams, *self.far.streams))

    async def close(self) -> None:
        """Free the ports."""
        self.closed = True
        streams = [*self.near.streams, *self.far.streams]
        self.near.streams, self.far.streams = [], []
        for stream in streams:
            await stream.close()


class Anchors:
    """All of them, by the Call-ID of their call."""

    def __init__(
        self, clock: Clock, media: MediaEngine, stack: Stack, metrics: Metrics, *, always: bool = False
    ) -> None:
        self.clock = clock
        self.stack = stack
        self._media = media
        self._always = always
        self._table: dict[str, list[Anchor]] = {}
        metrics.gauge("pbx.proxy.anchored", lambda: len(self._table))

    async def open(self, side: _Side, flow: Flow, *, tcp: bool) -> MediaStream:
        return await self._media.open(side, ipv6=":" in flow.remote[0], tcp=tcp)

    def wanted(self, request: Request, near: Flow, uri: str, far: Flow) -> str:
        """Why media between the caller on one flow and the callee `uri` on another must pass through us."""
        if self._always:
            return "always"
        description = _description(request)
        contact = _contact(request)
        said = first_address(description) if description is not None else _place(contact)[0]
        caller = Party(said, near.remote[0], _moved(contact, near))
        callee = Party(_place(uri)[0], far.remote[0], _moved(uri, far))
        return reason(self.stack.surroundings, caller, callee)

    async def begin(self, request: Request, near: Flow, far: Flow) -> Anchor:
        """An anchor for one branch; the request is about to leave on `far`. Raises Failure when there are no ports."""
        anchor = Anchor(self, request.from_tag or "", near, far)
        try:
            await anchor.widen([False] if _description(request) is None else [])  # an offer may come back
            await anchor.widen_for(request)
        except Failure:
            await anchor.close()
            raise
        self._table.setdefault(request.call_id, []).append(anchor)
        anchor.request(request)
        return anchor

    def find(self, message: Message) -> Anchor | None:
        """That of the dialog to which a request or response belongs."""
        tags = {message.from_tag, message.to_tag}
        for anchor in self._table.get(message.call_id, ()):
            if anchor.caller_tag in tags and not anchor.callee_tags.isdisjoint(tags):
                return anchor
        return None

    def in_dialog(self, request: Request) -> tuple[Anchor, Callable[[Response], None]] | None:
        """The anchor for a request inside a dialog, and what its responses pass through."""
        anchor = self.find(request)
        if anchor is None:
            return None
        to_caller = request.from_tag == anchor.caller_tag
        return anchor, lambda response: anchor.response(response, to_caller=to_caller)

    async def drop(self, call_id: str, anchor: Anchor) -> None:
        """A branch has come to nothing."""
        anchors = self._table.get(call_id, [])
        if anchor in anchors:
            anchors.remove(anchor)
        if not anchors:
            self._table.pop(call_id, None)
        await anchor.close()

    def heard(self, call_id: str, tag: str) -> tuple[int, ...] | None:
        """What has come from the parties of an answered call, whose callee has that tag; None where nothing has to, or
        none of it through us. Other telephones that rang may still have places here."""
        winner = next((anchor for anchor in self._table.get(call_id, ()) if tag in anchor.callee_tags), None)
        return None if winner is None else winner.heard()

    async def release(self, call_id: str) -> None:
        """The call is over."""
        for anchor in self._table.pop(call_id, []):
            await anchor.close()


def _description(message: Message) -> SessionDescription | None:
    """None as well for what cannot be read: it passes as it is."""
    if not message.body or (message.content_type and message.content_type != CONTENT_TYPE):
        return None
    try:
        return SessionDescription.parse(message.body)
    except SipSyntaxError:
        return None


def _setup(description: SessionDescription, at: int, offer: SessionDescription | None) -> str:
    """Who connects, in what the other party is told of that section."""
    theirs = (description, description.media[at])
    asked = None if offer is None else section_at(offer, at)
    return setup_to_offer(theirs) if offer is None or asked is None else setup_to_answer((offer, asked), theirs)


def _contact(request: Request) -> str:
    try:
        return str(request.contacts[0].uri) if request.contacts else ""
    except SipSyntaxError:
        return ""


def _place(uri: str) -> tuple[str, int]:
    try:
        read = Uri.parse(uri)
    except SipSyntaxError:
        return "", 0
    return read.host, read.port or 5060


def _moved(uri: str, flow: Flow) -> bool:
    """On connections the port is the peer's own choice and tells nothing."""
    return flow.transport == "udp" and moved(_place(uri), flow.remote)
