"""One offer/answer engine: what must hold through a whole call, whoever offers what, for the media of both legs.

Two telephones in the hands of Hypothesis: each keeps payload numbers of its own, offers in turn, adds sections, holds
in any form, answers under its own numbers, refuses. RFC 3264, RFC 4733.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.b2bua.asking import Asking
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg_media import LegMedia, Party
from pbx.nat.surroundings import Surroundings
from pbx.sipcore.failures import NotAcceptable
from pbx.sipcore.flow import Flow
from pbx.sipcore.offer_answer import answered_direction, is_speech
from pbx.sipcore.sdp import Direction, Media, Origin, SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from tests.pbx.b2bua.house import SERVER, Studio

SPOKEN = ("PCMU/8000", "PCMA/8000", "G722/8000", "OPUS/48000/2", "SPEEX/16000", "G726-32/8000")
DIGITS = ("TELEPHONE-EVENT/8000", "TELEPHONE-EVENT/48000")
STATIC = {"PCMU/8000": 0, "PCMA/8000": 8, "G722/8000": 9}
OTHERS = ("video", "image", "message")
HOLDS = ("sendrecv", "sendonly", "recvonly", "inactive", "0.0.0.0", "::")
_PROTOCOLS = {"video": "RTP/AVP 97", "image": "udptl t38", "message": "TCP/MSRP *"}
_LINES = {
    "video": "a=rtpmap:97 VP8/90000\r\n",
    "image": "a=T38FaxVersion:0\r\n",
    "message": "a=setup:actpass\r\na=path:msrp://192.0.2.7:4000/x;tcp\r\na=msrp-cema\r\n",
}


class Telephone:
    """What one party says; it calls each codec by one number of its own through the call."""

    def __init__(self, host: str, numbers: dict[str, int], media: LegMedia) -> None:
        self.host = host
        self.numbers = numbers
        self.media = media
        self.kinds = ["audio"]
        self.told: dict[int, str] = {}
        """What numbers that it does not use itself have meant in our offers to it (RFC 3264 §8.3.2)."""
        self.origins: list[Origin] = []

    def describe(self, sections: list[str], where: str) -> SessionDescription:
        family = "IP6" if ":" in where else "IP4"
        head = f"v=0\r\no=- 1 1 IN IP4 {self.host}\r\ns=-\r\nc=IN {family} {where}\r\nt=0 0\r\n"
        return SessionDescription.parse(head + "".join(sections))

    def audio(self, names: list[str], port: int, way: str) -> str:
        lines = "".join(f"a=rtpmap:{self.numbers[name]} {name}\r\n" for name in names)
        chosen = " ".join(str(self.numbers[name]) for name in names)
        more = f"a=rtcp:{port + 7}\r\na=candidate:1 1 UDP 1 x 1 typ host\r\n"
        return f"m=audio {port} RTP/AVP {chosen}\r\n{lines}{more}{way}"

    def hears(self, description: SessionDescription, far: Telephone, *, offer: bool) -> SessionDescription:
        """Whatever we say: places of ours, a version that grows, numbers that keep their meaning."""
        again = SessionDescription.parse(str(description))
        assert far.host not in str(again)
        assert again.origin is not None
        assert all(
            (before.session, before.version) < (again.origin.session, again.origin.version)
            and before.session == again.origin.session
            for before in self.origins[-1:]
        )
        self.origins.append(again.origin)
        for section in again.media:
            assert not section.attributes("candidate")
            assert not section.attributes("rtcp")
            for number, name in section.payload_types.items() if section.kind == "audio" and offer else ():
                assert number in self.numbers.values() or self.told.setdefault(number, name) == name
        return again


@st.composite
def numbering(draw: st.DrawFn) -> dict[str, int]:
    names = [*SPOKEN, *DIGITS]
    numbers = draw(st.permutations(range(96, 128)))[: len(names)]
    own = dict(zip(names, numbers, strict=True))
    return {name: STATIC.get(name, number) for name, number in own.items()}


@st.composite
def offers(draw: st.DrawFn, phone: Telephone) -> tuple[SessionDescription, str]:
    """A new offer, and how it holds."""
    hold = draw(st.sampled_from(HOLDS))
    way = "" if hold in ("0.0.0.0", "::") else f"a={hold}\r\n"
    if len(phone.kinds) < 5:
        phone.kinds += draw(st.lists(st.sampled_from(OTHERS), max_size=2))
    sections = []
    for at, kind in enumerate(phone.kinds):
        if at == 0:
            names = draw(st.lists(st.sampled_from(SPOKEN), min_size=1, max_size=4, unique=True))
            names += draw(st.lists(st.sampled_from(DIGITS), max_size=2, unique=True))
            sections.append(phone.audio(names, 4000, way))
        else:
            port = draw(st.sampled_from([0, 4000 + 2 * at]))
            sections.append(f"m={kind} {port} {_PROTOCOLS[kind]}\r\n{_LINES[kind]}")
    return phone.describe(sections, phone.host if way else hold), hold


@st.composite
def answers(draw: st.DrawFn, phone: Telephone, offer: SessionDescription) -> SessionDescription:
    """Some of what was offered, under the telephone's own numbers or those of the offer."""
    sections = []
    for section in offer.media:
        if not section.port or draw(st.integers(0, 4)) == 0:
            sections.append(f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}\r\n")
        elif section.kind == "audio":
            sections.append(_answered_audio(draw, phone, offer, section))
        else:
            sections.append(f"m={section.kind} 5000 {_PROTOCOLS[section.kind]}\r\n{_LINES[section.kind]}")
    return phone.describe(sections, phone.host)


def _answered_audio(draw: st.DrawFn, phone: Telephone, offer: SessionDescription, section: Media) -> str:
    offered = [name for name in section.payload_types.values() if name in phone.numbers]
    names = draw(st.lists(st.sampled_from(offered or ["PCMU/8000"]), min_size=1, unique=True))
    wanted = draw(st.sampled_from(["sendrecv", "recvonly", "inactive"]))
    way = answered_direction(offer.direction(section), cast("Direction", wanted))
    said = phone.audio(names, 5000, f"a={way}\r\n")
    if draw(st.booleans()):  # RFC 3264 §6.1: the numbers of the offer, as it should
        for name in names:
            number = next(each for each, other in section.payload_types.items() if other == name) if offered else 0
            said = said.replace(f"a=rtpmap:{phone.numbers[name]} {name}", f"a=rtpmap:{number} {name}")
        said = said.replace(
            said.split("\r\n", 1)[0],
            "m=audio 5000 RTP/AVP "
            + " ".join(line.split(":")[1].split()[0] for line in said.split("\r\n") if line.startswith("a=rtpmap")),
        )
    return said


def legs() -> tuple[LegMedia, LegMedia]:
    stack = SimpleNamespace(advertised_host=lambda _flow: SERVER[0], surroundings=Surroundings())
    exchange = SimpleNamespace(media=Studio(), entropy=SeededEntropy(4), stack=stack, metrics=Metrics())
    parties = (
        SimpleNamespace(flow=Flow("udp", SERVER, (host, 5060)), workarounds=frozenset(), disconnect_tones=())
        for host in ("198.51.100.7", "203.0.113.9")
    )
    near, far = (
        LegMedia(cast("Exchange", exchange), cast("Party", party), MediaSecurity.OPTIONAL) for party in parties
    )
    return near, far


async def change(data: st.DataObject, asks: Telephone, other: Telephone) -> None:
    """One offer of `asks`, and what becomes of it."""
    offer, hold = data.draw(offers(asks))
    live = [each.port > 0 for each in offer.media]
    before = other.media.ours
    for media in (asks.media, other.media):
        await media.prepare(offer)
    asks.media.theirs = offer
    passed = other.hears(other.media.pass_offer(offer), asks, offer=True)
    assert [each.kind for each in passed.media] == asks.kinds
    assert len(passed.media) >= (0 if before is None else len(before.media))
    assert not any(ours.port and not theirs for ours, theirs in zip(passed.media, live, strict=True))
    _same_names(offer.media[0], passed.media[0], more=other.media.asking.translating)
    assert passed.on_hold == offer.on_hold
    assert passed.direction(passed.media[0]) == offer.direction(offer.media[0])
    other.kinds = list(asks.kinds)

    got = data.draw(answers(other, passed))
    other.media.theirs = got
    try:
        other.media.settle()
        said = asks.hears(asks.media.pass_answer(got), other, offer=False)
        asks.media.settle()
    except NotAcceptable:
        for media in (asks.media, other.media):
            media.revert()
        return
    _answers(offer, said, got)
    for phone in (asks, other):
        _keeps_to_what_was_said(phone)
    if asks.media.agreed is not None:
        silent = hold in ("sendonly", "inactive", "0.0.0.0", "::")
        assert not (silent and asks.media.agreed.send), hold
        assert not (hold in ("recvonly", "inactive") and asks.media.agreed.receive), hold


def _same_names(asked: Media, passed: Media, *, more: bool) -> None:
    """Everything that was offered, in its order; behind it, if at all, what we translate."""
    wanted, given = list(asked.payload_types.values()), list(passed.payload_types.values())
    assert given[: len(wanted)] == wanted
    assert more or len(given) == len(wanted)


def _answers(offer: SessionDescription, said: SessionDescription, got: SessionDescription) -> None:
    assert [each.kind for each in said.media] == [each.kind for each in offer.media]
    for asked, ours, theirs in zip(offer.media, said.media, got.media, strict=True):
        assert ours.protocol == asked.protocol
        assert not ours.port or (asked.port and theirs.port)
        assert set(ours.formats) <= set(asked.formats)
        assert all(asked.payload_types[number] == name for number, name in ours.payload_types.items())
        if ours.kind == "message" and ours.port:
            assert ours.attributes("path") == theirs.attributes("path")
            assert ours.attributes("msrp-cema") == [""]


def _keeps_to_what_was_said(phone: Telephone) -> None:
    """The stream sends numbers that the telephone has named itself, and knows digits by its name for them."""
    agreed, theirs = phone.media.agreed, phone.media.theirs
    assert theirs is not None
    if agreed is None:
        return
    said = theirs.media[0].payload_types
    assert agreed.codec in said
    assert is_speech(said[agreed.codec])
    assert agreed.dtmf is None or said[agreed.dtmf] == DIGITS[0]
    assert all(agreed.payload_types[number] == name for number, name in said.items() if number in agreed.payload_types)


@given(st.data(), numbering(), numbering(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_call_of_many_offers_keeps_the_rules(
    data: st.DataObject, one: dict[str, int], two: dict[str, int], translating: bool
) -> None:
    async def play() -> None:
        near, far = legs()
        phones = Telephone("198.51.100.7", one, near), Telephone("203.0.113.9", two, far)
        for phone in phones:
            await phone.media.open()
        far.asking = Asking(translating)
        for turn in data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=5)):
            await change(data, phones[turn], phones[1 - turn])

    asyncio.run(play())
