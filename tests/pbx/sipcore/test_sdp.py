"""Session descriptions, offers and answers: RFC 8866, RFC 3264, RFC 4733."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.offer_answer import AgreedAudio, agree, answer, answered_direction, make_offer
from pbx.sipcore.passing import Outlet, passed_offer
from pbx.sipcore.sdp import Direction, Origin, SessionDescription

US = Origin("tandem", 77, 1, "127.0.0.1")

PHONE = (
    "v=0\r\no=- 13374 13374 IN IP4 192.0.2.7\r\ns=pjmedia\r\nb=AS:84\r\nt=0 0\r\na=X-nat:0\r\n"
    "m=audio 4000 RTP/AVP 98 9 8 0 101\r\nc=IN IP4 192.0.2.7\r\nb=TIAS:64000\r\na=rtcp:4001 IN IP4 192.0.2.7\r\n"
    "a=sendrecv\r\na=rtpmap:98 speex/16000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\na=ptime:30\r\na=ssrc:1 cname:x\r\na=candidate:1 1 UDP 1 192.0.2.7 4000 typ host\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n"
    "m=video 4002 RTP/AVP 97\r\nc=IN IP4 192.0.2.7\r\na=rtpmap:97 H264/90000\r\n"
)


def described(*lines: str, session: str = "c=IN IP4 192.0.2.7\r\n") -> SessionDescription:
    return SessionDescription.parse(
        f"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\n{session}t=0 0\r\n" + "\r\n".join(lines)
    )


def relayed_to(description: SessionDescription, address: str, port: int, origin: Origin = US) -> SessionDescription:
    """What the other party is offered when only the audio is relayed."""
    audio = description.audio
    outlets = {} if audio is None else {description.media.index(audio): Outlet(address, port, "RTP/AVP")}
    return passed_offer(description, origin, outlets)


def phone() -> SessionDescription:
    return SessionDescription.parse(PHONE)


def test_it_comes_out_as_it_went_in() -> None:
    assert str(phone()) == PHONE
    assert phone().encode() == PHONE.encode()
    assert str(SessionDescription.parse(PHONE.replace("\r\n", "\n"))) == PHONE


def test_what_it_says() -> None:
    description = phone()
    audio = description.audio
    assert audio is not None
    assert (audio.port, audio.ptime, description.address(audio)) == (4000, 30, "192.0.2.7")
    assert audio.payload_types == {
        98: "SPEEX/16000", 9: "G722/8000", 8: "PCMA/8000", 0: "PCMU/8000", 101: "TELEPHONE-EVENT/8000"
    }  # fmt: skip
    assert audio.fmtp(101) == "0-16"
    assert description.origin == Origin("-", 13374, 13374, "192.0.2.7")
    assert not description.on_hold


def test_a_relay_changes_addresses_and_drops_what_it_ends() -> None:
    relayed = relayed_to(phone(), "198.51.100.1", 61000, US.next())
    assert str(relayed) == (
        "v=0\r\no=tandem 77 2 IN IP4 127.0.0.1\r\ns=pjmedia\r\nb=AS:84\r\nt=0 0\r\na=X-nat:0\r\n"
        "m=audio 61000 RTP/AVP 98 9 8 0 101\r\nc=IN IP4 198.51.100.1\r\nb=TIAS:64000\r\n"
        "a=sendrecv\r\na=rtpmap:98 speex/16000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        "a=fmtp:101 0-16\r\na=ptime:30\r\n"
        "m=video 0 RTP/AVP 97\r\n"
    )


def test_a_relay_keeps_a_hold_of_the_old_kind() -> None:
    held = described("m=audio 4000 RTP/AVP 0", session="c=IN IP4 0.0.0.0\r\n")
    assert held.on_hold
    assert relayed_to(held, "198.51.100.1", 61000).on_hold


def test_a_relay_adds_a_connection_where_there_is_none() -> None:
    relayed = relayed_to(described("m=audio 4000 RTP/AVP 0", session=""), "2001:db8::1", 61000)
    assert "c=IN IP6 2001:db8::1" in relayed.lines


def test_codecs_can_be_restricted() -> None:
    description = phone().restrict(lambda name: name in ("PCMA/8000", "TELEPHONE-EVENT/8000"))
    audio = description.audio
    assert audio is not None
    assert audio.formats == ("8", "101")
    assert audio.attributes("rtpmap") == ["8 PCMA/8000", "101 telephone-event/8000"]
    nothing = phone().restrict(lambda name: False)
    assert nothing.audio is None


def test_our_answer_keeps_the_numbers_of_the_offerer() -> None:
    """RFC 3264 §6: same numbers, same count of media, what we cannot do refused with port 0."""
    ours, agreed = answer(phone(), US, "127.0.0.1", 61000)
    assert str(ours) == (
        "v=0\r\no=tandem 77 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=audio 61000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
        "m=video 0 RTP/AVP 97\r\n"
    )
    assert agreed == AgreedAudio(
        remote=("192.0.2.7", 4000),
        codec=8,
        payload_types={8: "PCMA/8000", 0: "PCMU/8000", 101: "TELEPHONE-EVENT/8000"},
        dtmf=101,
        ptime=30,
    )


def test_our_offer_and_its_answer() -> None:
    ours = make_offer(US, "127.0.0.1", 61000)
    audio = ours.audio
    assert audio is not None
    assert audio.formats == ("0", "8", "101")
    theirs = described("m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000", "a=sendonly")
    agreed = agree(ours, theirs)
    assert (agreed.codec, agreed.dtmf, agreed.send, agreed.receive) == (8, 96, False, True)
    assert agreed.payload_types == {8: "PCMA/8000", 96: "TELEPHONE-EVENT/8000", 101: "TELEPHONE-EVENT/8000"}


@pytest.mark.parametrize(
    "lines",
    [
        ["m=audio 0 RTP/AVP 0"],
        ["m=video 4000 RTP/AVP 97"],
        ["m=audio 4000 RTP/SAVP 0"],
        ["m=audio 4000 RTP/AVP 18"],
        ["m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP4 phone.example"],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP4 224.2.36.42/127"],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP4 224.2.36.42"],
        [],
    ],
)
def test_what_we_cannot_take_is_not_acceptable(lines: list[str]) -> None:
    """488, and nothing is ever looked up or sent to a group because of a description."""
    with pytest.raises(NotAcceptable):
        answer(described(*lines), US, "127.0.0.1", 61000)


def test_the_second_audio_section_counts_when_the_first_cannot() -> None:
    ours, agreed = answer(described("m=audio 1 RTP/SAVP 0", "m=audio 4000 RTP/AVPF 0"), US, "127.0.0.1", 61000)
    assert [media.port for media in ours.media] == [0, 61000]
    assert ours.media[1].protocol == "RTP/AVPF"
    assert agreed.remote == ("192.0.2.7", 4000)


@pytest.mark.parametrize(
    ("offered", "wanted", "ours"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendonly", "sendrecv", "recvonly"),
        ("recvonly", "sendrecv", "sendonly"),
        ("inactive", "sendrecv", "inactive"),
        ("sendrecv", "sendonly", "sendonly"),
        ("sendonly", "sendonly", "inactive"),
    ],
)
def test_directions_answer_each_other(offered: Direction, wanted: Direction, ours: Direction) -> None:
    """RFC 3264 §6.1."""
    assert answered_direction(offered, wanted) == ours
    description, agreed = answer(
        described("m=audio 4000 RTP/AVP 0", f"a={offered}"), US, "127.0.0.1", 61000, direction=wanted
    )
    assert description.direction(description.media[0]) == ours
    assert agreed.send == (ours in ("sendrecv", "sendonly"))
    assert agreed.receive == (ours in ("sendrecv", "recvonly"))


def test_a_zero_address_is_a_hold() -> None:
    """RFC 3264 §8.4: the old way."""
    _, agreed = answer(described("m=audio 4000 RTP/AVP 0", session="c=IN IP4 0.0.0.0\r\n"), US, "127.0.0.1", 61000)
    assert (agreed.send, agreed.receive) == (False, True)


def test_a_direction_of_the_session_serves_all_media() -> None:
    description = described("m=audio 4000 RTP/AVP 0", session="c=IN IP4 192.0.2.7\r\na=sendonly\r\n")
    assert description.on_hold
    for direction in get_args(Direction):
        changed = description.with_direction(direction)
        assert changed.audio is not None
        assert changed.direction(changed.audio) == direction


@pytest.mark.parametrize("ptime", ["0", "x", "-5", "99999", "²"])
def test_a_senseless_ptime_means_20_ms(ptime: str) -> None:
    _, agreed = answer(described("m=audio 4000 RTP/AVP 0", f"a=ptime:{ptime}"), US, "127.0.0.1", 61000)
    assert agreed.ptime == 20


def test_both_sides_of_a_relay() -> None:
    """Each leg agrees on what we sent to it and what it sent: payload numbers may differ from side to side."""
    caller = described("m=audio 4000 RTP/AVP 0 99", "a=rtpmap:99 telephone-event/8000")
    called = described("m=audio 5000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
    to_caller, to_called = relayed_to(called, "127.0.0.1", 61000), relayed_to(caller, "127.0.0.1", 61002)
    assert agree(to_caller, caller).dtmf == 99
    assert agree(to_called, called).dtmf == 101


@pytest.mark.parametrize(
    "text",
    ["", "v=1\r\n", "hello", "v=0\r\nm=audio x RTP/AVP 0", "v=0\r\nm=audio 70000 RTP/AVP 0",
     "v=0\r\nx", "v=0\r\n" + "m=audio 1 RTP/AVP 0\r\n" * 40],
)  # fmt: skip
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        SessionDescription.parse(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(PHONE)), st.integers(0, 5), st.text(max_size=6)), max_size=4))
def test_mutilated_descriptions(cuts: list[tuple[int, int, str]]) -> None:
    text = PHONE
    for at, length, new in cuts:
        text = text[:at] + new + text[at + length :]
    try:
        description = SessionDescription.parse(text)
        ours, _ = answer(description, US, "127.0.0.1", 61000)
        relayed = relayed_to(description, "127.0.0.1", 61000, US)
        agree(ours, description)
        assert SessionDescription.parse(str(relayed)) == relayed
        assert SessionDescription.parse(str(ours)) == ours
    except (SipSyntaxError, NotAcceptable):
        pass
