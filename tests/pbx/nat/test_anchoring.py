"""When media of a proxied call must pass through us, and what its description then says."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.nat.anchoring import Party, anchorable, anchored, first_address, moved, reason
from pbx.nat.surroundings import Surroundings
from pbx.sipcore.sdp import SessionDescription

WHERE = Surroundings(lan=(ip_network("10.9.0.0/24"),))
OPEN = Party("11.22.33.4", "11.22.33.4")
HIDDEN = Party("192.168.1.2", "11.22.33.21")
INSIDE = Party("10.9.0.7", "10.9.0.7")
SIXTH = Party("2a00::4", "2a00::4")
OFFER = (
    "v=0\r\no=a 1 1 IN IP4 192.168.1.2\r\ns=-\r\nc=IN IP4 192.168.1.2\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\ni=voice\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:4001\r\n"
    "a=candidate:1 1 UDP 1 1 1\r\n"
    "m=video 5000 RTP/SAVP 96\r\nc=IN IP4 192.168.1.3\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
    "m=message 9 TCP/MSRP *\r\na=path:msrp://192.168.1.2:9/x;tcp\r\n"
    "m=audio 7000 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:x\r\n"
)


@pytest.mark.parametrize(
    ("caller", "callee", "why"),
    [
        (OPEN, OPEN, ""),
        (INSIDE, INSIDE, ""),
        (OPEN, HIDDEN, "behind a router"),
        (HIDDEN, OPEN, "behind a router"),
        (HIDDEN, HIDDEN, "behind a router"),
        (INSIDE, OPEN, "inside and outside"),
        (OPEN, INSIDE, "inside and outside"),
        (OPEN, SIXTH, "IPv4 and IPv6"),
        (SIXTH, SIXTH, ""),
        (Party("gateway.example.net", "11.22.33.9"), OPEN, ""),
        (Party("11.22.33.4", "11.22.33.4", moved=True), OPEN, "behind a symmetric router"),
        (OPEN, Party("11.22.33.4", "11.22.33.4", moved=True), "behind a symmetric router"),
        (Party("10.9.0.7", "10.9.0.7", moved=True), INSIDE, ""),
    ],
)
def test_why_media_must_pass_through_us(caller, callee, why):
    assert reason(WHERE, caller, callee) == why


@pytest.mark.parametrize(
    ("said", "source", "found"),
    [
        (("11.22.33.4", 40_001), ("11.22.33.4", 40_002), True),
        (("11.22.33.4", 40_001), ("11.22.33.4", 40_001), False),
        (("192.168.1.2", 5060), ("11.22.33.4", 40_001), False),
        (("gateway.example.net", 5060), ("11.22.33.4", 40_001), False),
        (("[2a00::4]", 5060), ("2a00::4", 5062), True),
    ],
)
def test_what_stun_says_of_a_symmetric_router_is_not_where_it_comes_from(said, source, found):
    assert moved(said, source) is found


PLAIN = "v=0\r\no=a 1 2 IN IP4 192.168.1.2\r\ns=-\r\nc=IN IP4 192.168.1.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def test_only_places_change():
    theirs = SessionDescription.parse(OFFER)
    ours = anchored(
        theirs, {0: ("11.22.33.10", 61000), 1: ("2a00::10", 61002), 2: ("11.22.33.10", 61004)}, {2: "passive"}
    )

    assert first_address(theirs) == "192.168.1.2"
    audio, video, message, browser = ours.media
    assert audio.lines == (
        "m=audio 61000 RTP/AVP 0 101",
        "i=voice",
        "c=IN IP4 11.22.33.10",
        "a=rtpmap:101 telephone-event/8000",
    )
    assert video.lines == (
        "m=video 61002 RTP/SAVP 96",
        "c=IN IP6 2a00::10",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",
    )
    assert message.lines == (
        "m=message 61004 TCP/MSRP *",
        "c=IN IP4 11.22.33.10",
        "a=path:msrp://192.168.1.2:9/x;tcp",
        "a=setup:passive",
    )
    assert browser == theirs.media[3]


def test_what_has_no_place_is_refused_and_what_is_held_stays_held():
    theirs = SessionDescription.parse(OFFER.replace("c=IN IP4 192.168.1.2", "c=IN IP4 0.0.0.0"))
    audio, video, *_ = anchored(theirs, {0: ("11.22.33.10", 61000)}).media

    assert (video.port, video.lines[0]) == (0, "m=video 0 RTP/SAVP 96")
    assert "c=IN IP4 0.0.0.0" in audio.lines


def test_the_other_family_sees_no_address_of_this_one_even_when_on_hold():
    held = SessionDescription.parse(PLAIN.replace("c=IN IP4 192.168.1.2", "c=IN IP4 0.0.0.0"))
    places = {0: ("2a00::10", 61000)}

    assert str(anchored(SessionDescription.parse(PLAIN), places)) == (
        "v=0\r\no=a 1 2 IN IP6 2a00::10\r\ns=-\r\nc=IN IP6 2a00::10\r\nt=0 0\r\n"
        "m=audio 61000 RTP/AVP 0\r\nc=IN IP6 2a00::10\r\n"
    )
    moved = anchored(held, places)
    assert moved.address(moved.media[0]) == "::"
    assert moved.on_hold


_SECTION = st.tuples(
    st.sampled_from(["audio", "video", "image", "message"]),
    st.integers(0, 65535),
    st.sampled_from(["RTP/AVP", "RTP/SAVPF", "udptl", "TCP/MSRP", "UDP/TLS/RTP/SAVPF"]),
    st.sampled_from(["", "c=IN IP4 192.168.7.7\r\n", "c=IN IP6 fe80::1\r\n", "a=candidate:1 1 UDP 1 10.0.0.1 9\r\n"]),
)  # fmt: skip


@given(st.lists(_SECTION, max_size=6))
def test_no_private_place_is_left_in_what_is_anchored(sections):
    text = "v=0\r\no=a 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 192.168.7.7\r\nt=0 0\r\n" + "".join(
        f"m={kind} {port} {protocol} 0\r\n{more}" for kind, port, protocol, more in sections
    )
    theirs = SessionDescription.parse(text)
    ours = SessionDescription.parse(str(anchored(theirs, dict.fromkeys(range(6), ("11.22.33.10", 61000)))))

    assert [each.kind for each in ours.media] == [each.kind for each in theirs.media]
    for before, after in zip(theirs.media, ours.media, strict=True):
        if anchorable(before):
            assert (ours.address(after), after.port) == ("11.22.33.10", 61000)
            assert not after.attributes("candidate")
        else:
            assert after == before
