"""Descriptions passed from one party to the other: what must hold whatever both say. RFC 3264, RFC 4568, RFC 5763."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.entropy import SeededEntropy
from pbx.sipcore.bundle import riders
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.passing import Outlet, numbers_of, passed_answer, passed_offer, relayable
from pbx.sipcore.sdp import Origin, SessionDescription
from pbx.sipcore.sdp_security import Crypto, browserly, cryptos
from pbx.sipcore.section_guard import Circumstances, Guarded, MediaSecurity, SectionGuard

US = Origin("-", 7, 1, "198.51.100.1")
PRINT = "sha-256 " + ":".join(["AB"] * 32)
PLACE = ("198.51.100.1", 61000)
TRANSLATED = ("PCMU/8000", "PCMA/8000")
_CODECS = ("PCMU/8000", "PCMA/8000", "G722/8000", "OPUS/48000/2", "SPEEX/16000", "ILBC/8000", "TELEPHONE-EVENT/8000")

codecs = st.lists(st.sampled_from(_CODECS), min_size=1, max_size=5, unique=True)


@st.composite
def sections(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["audio", "audio", "video", "image", "message"]))
    port = draw(st.sampled_from([0, 4000, 4000, 4000]))
    if kind == "image":
        return f"m=image {port} udptl t38\r\na=T38FaxVersion:0\r\n"
    if kind == "message":
        return f"m=message {port} TCP/MSRP *\r\na=path:msrp://192.0.2.7:4000/x;tcp\r\n"
    if kind == "video":
        return f"m=video {port} RTP/AVP 97 98\r\na=rtpmap:97 H264/90000\r\na=rtpmap:98 VP8/90000\r\na=fmtp:97 x=1\r\n"
    return _audio(draw, draw(codecs), port)


def _audio(draw: st.DrawFn, names: list[str], port: int) -> str:
    numbers = draw(st.lists(st.integers(96, 127), min_size=len(names), max_size=len(names), unique=True))
    static = {"PCMU/8000": 0, "PCMA/8000": 8, "G722/8000": 9}
    chosen = [
        static[name] if name in static and draw(st.booleans()) else number
        for name, number in zip(names, numbers, strict=True)
    ]
    lines = [f"a=rtpmap:{number} {name.lower()}\r\n" for number, name in zip(chosen, names, strict=True)]
    way = draw(st.sampled_from(["", "a=sendonly\r\n", "a=inactive\r\n", "a=sendrecv\r\n"]))
    return f"m=audio {port} RTP/AVP {' '.join(map(str, chosen))}\r\n{''.join(lines)}{way}"


@st.composite
def descriptions(draw: st.DrawFn) -> SessionDescription:
    body = "".join(draw(st.lists(sections(), min_size=1, max_size=4)))
    where = draw(st.sampled_from(["192.0.2.7", "192.0.2.7", "0.0.0.0"]))
    return SessionDescription.parse(f"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 {where}\r\nt=0 0\r\n{body}")


def outlets(description: SessionDescription, without: int) -> dict[int, Outlet]:
    """One place each, but for one section and for all audio but the first."""
    audio = description.audio
    return {
        at: Outlet("198.51.100.1", 61000 + 2 * at, section.protocol)
        for at, section in enumerate(description.media)
        if at != without and (section.kind != "audio" or section is audio)
    }


@st.composite
def answers(draw: st.DrawFn, offer: SessionDescription) -> SessionDescription:
    """What a phone may answer: some of the codecs, perhaps under other numbers, some sections refused."""
    body = ""
    for section in offer.media:
        if not section.port or draw(st.integers(0, 5)) == 0:
            body += f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}\r\n"
        elif section.kind == "audio":
            offered = list(section.payload_types.values())
            body += _audio(draw, draw(st.lists(st.sampled_from(offered), min_size=1, unique=True)), 5000)
        else:
            body += "\r\n".join((f"m={section.kind} 5000 {section.protocol} {section.formats[0]}", *section.lines[1:]))
            body += "\r\n"
    return SessionDescription.parse(f"v=0\r\no=- 2 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{body}")


@given(st.data(), descriptions(), st.integers(-1, 3))
@settings(max_examples=300, deadline=None)
def test_offer_and_answer_through_us_keep_the_rules(data: st.DataObject, theirs: SessionDescription, gap: int) -> None:
    places = outlets(theirs, gap)
    offer = passed_offer(theirs, US, places, more=TRANSLATED)
    offer = SessionDescription.parse(str(offer))
    # every section keeps its place; what we have no place for is refused
    assert [each.kind for each in offer.media] == [each.kind for each in theirs.media]
    for at, section in enumerate(offer.media):
        assert (section.port > 0) == (at in places and theirs.media[at].port > 0)
        assert offer.address(section) != "192.0.2.7"
        if section.port and section.kind == "audio":
            asked = theirs.media[at]
            assert list(section.formats[: len(asked.formats)]) == list(asked.formats)  # their numbers, in their order
            assert {n: name for n, name in section.payload_types.items() if n in asked.payload_types} == (
                asked.payload_types
            )
            assert offer.direction(section) == theirs.direction(asked)
    got = data.draw(answers(offer))
    answer = SessionDescription.parse(str(passed_answer(theirs, got, US, places, speaks=TRANSLATED)))
    assert len(answer.media) == len(theirs.media)
    for asked, said, far in zip(theirs.media, answer.media, got.media, strict=True):
        assert (said.kind, said.protocol) == (asked.kind, asked.protocol)
        if not asked.port or not far.port:
            assert said.port == 0
        if said.port:
            assert set(said.formats) <= set(asked.formats)  # nothing that was not offered
            assert answer.address(said) == "198.51.100.1"
            for number, name in said.payload_types.items():
                assert asked.payload_types[number] == name  # under the offerer's numbers


@given(descriptions(), descriptions())
@settings(max_examples=200, deadline=None)
def test_a_later_offer_drops_no_section_and_renames_no_number(
    first: SessionDescription, second: SessionDescription
) -> None:
    before = passed_offer(first, US, outlets(first, -1))
    used = numbers_of(before)
    later = passed_offer(second, US.next(), outlets(second, -1), used=used, before=before)
    assert len(later.media) >= len(before.media)
    audio = later.audio
    if audio is not None:
        for number, name in audio.payload_types.items():
            assert number < 96 or used.get(number, name) == name
        wanted = second.audio
        assert wanted is not None
        assert list(audio.payload_types.values()) == list(wanted.payload_types.values())


# --- protection


def guard(
    security: MediaSecurity = MediaSecurity.OPTIONAL, *, private: bool = False, web: bool = False
) -> SectionGuard:
    return SectionGuard(Circumstances(SeededEntropy(3), security, private, web, lambda: PRINT))


def audio(protocol: str, *lines: str) -> SessionDescription:
    return SessionDescription.parse(
        "\r\n".join(
            (
                "v=0",
                "o=- 1 1 IN IP4 192.0.2.7",
                "s=-",
                "c=IN IP4 192.0.2.7",
                "t=0 0",
                f"m=audio 4000 {protocol} 0",
                *lines,
            )
        )
    )


KEY = "a=crypto:{} {} inline:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk"


def test_keys_are_exchanged_once_and_kept() -> None:
    mine = guard()
    theirs = audio("RTP/SAVP", KEY.format(4, "AES_CM_128_HMAC_SHA1_32"), KEY.format(9, "AES_CM_128_HMAC_SHA1_80"))
    said = mine.answer(theirs, theirs.media[0], PLACE)
    assert said.protocol == "RTP/SAVP"
    assert said.lines[0].startswith("a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:")
    found = mine.settle(theirs, theirs.media[0])
    assert found.srtp is not None
    assert found.srtp[2] == b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"
    assert mine.answer(theirs, theirs.media[0], PLACE) == said
    assert said.lines[0].partition("inline:")[2] in mine.offer(PLACE).lines[0]


def test_a_session_that_is_encrypted_never_becomes_plain() -> None:
    mine, plain = guard(), audio("RTP/AVP")
    secret = audio("RTP/SAVP", KEY.format(1, "AES_CM_128_HMAC_SHA1_80"))
    mine.answer(secret, secret.media[0], PLACE)
    mine.settle(secret, secret.media[0])
    with pytest.raises(NotAcceptable):
        mine.answer(plain, plain.media[0], PLACE)
    assert mine.offer(PLACE).protocol == "RTP/SAVP"
    with pytest.raises(NotAcceptable):
        mine.settle(plain, plain.media[0])


@pytest.mark.parametrize(
    ("security", "private", "protocol", "keys"),
    [
        (MediaSecurity.OFF, True, "RTP/AVP", 0),
        (MediaSecurity.OPTIONAL, False, "RTP/AVP", 0),
        (MediaSecurity.OPTIONAL, True, "RTP/AVP", 4),
        (MediaSecurity.REQUIRED, False, "RTP/SAVP", 4),
    ],
)
def test_what_is_offered_follows_the_setting(security: MediaSecurity, private: bool, protocol: str, keys: int) -> None:
    said = guard(security, private=private).offer(PLACE)
    assert (said.protocol, sum(line.startswith("a=crypto:") for line in said.lines)) == (protocol, keys)
    assert said.lines[keys:] == ((f"a=fingerprint:{PRINT}", "a=setup:actpass") if keys else ())


@pytest.mark.parametrize("security", [MediaSecurity.OPTIONAL, MediaSecurity.REQUIRED])
def test_an_offer_of_keys_may_be_answered_with_a_fingerprint(security: MediaSecurity) -> None:
    """RFC 8643 §3.1: more than one kind of keying is offered; the answer's profile stays."""
    mine = guard(security, private=True)
    protocol = mine.offer(PLACE).protocol
    theirs = audio(protocol, f"a=fingerprint:{PRINT}", "a=setup:active")
    found = mine.settle(theirs, theirs.media[0])
    assert (found.srtp, found.dtls) == (None, ((("sha-256", PRINT.split()[1]),), False))
    again = mine.offer(PLACE)
    assert again.protocol == protocol
    assert again.lines == (f"a=fingerprint:{PRINT}", "a=setup:passive", "a=rtcp-mux")
    mine.answer(theirs, theirs.media[0], PLACE)  # a re-INVITE of theirs, whatever its profile
    assert mine.settle(theirs, theirs.media[0]).dtls == found.dtls


def test_keys_in_the_answer_go_before_a_fingerprint() -> None:
    mine = guard(MediaSecurity.REQUIRED)
    mine.offer(PLACE)
    key = KEY.format(1, "AES_CM_128_HMAC_SHA1_80")
    theirs = audio("RTP/SAVP", key, f"a=fingerprint:{PRINT}", "a=setup:active")
    found = mine.settle(theirs, theirs.media[0])
    assert found.srtp is not None
    assert found.dtls is None
    assert not any("fingerprint" in line for line in mine.offer(PLACE).lines)


def test_a_telephone_that_has_refused_the_rest_is_offered_a_handshake_alone() -> None:
    mine = SectionGuard(Circumstances(SeededEntropy(3), MediaSecurity.OPTIONAL, False, False, lambda: PRINT, dtls=True))
    said = mine.offer(PLACE)
    assert said == Guarded("UDP/TLS/RTP/SAVP", (f"a=fingerprint:{PRINT}", "a=setup:actpass", "a=rtcp-mux"))
    bare = audio("UDP/TLS/RTP/SAVP")
    with pytest.raises(NotAcceptable):
        mine.settle(bare, bare.media[0])
    theirs = audio("UDP/TLS/RTP/SAVP", f"a=fingerprint:{PRINT}", "a=setup:passive")
    found = mine.settle(theirs, theirs.media[0])
    assert found.dtls is not None
    assert found.dtls[1]
    assert found.ice is None


@pytest.mark.parametrize("security", [MediaSecurity.OFF, MediaSecurity.OPTIONAL])
def test_an_offer_of_keys_may_be_declined_only_when_it_did_not_insist(security: MediaSecurity) -> None:
    mine = guard(security, private=True)
    mine.offer(PLACE)
    plain = audio("RTP/AVP")
    assert not mine.settle(plain, plain.media[0]).encrypted
    strict = guard(MediaSecurity.REQUIRED)
    strict.offer(PLACE)
    for answer in (plain, audio("RTP/SAVP"), audio("RTP/SAVP", KEY.format(77, "AES_CM_128_HMAC_SHA1_80"))):
        with pytest.raises(NotAcceptable):
            strict.settle(answer, answer.media[0])


@pytest.mark.parametrize(
    ("theirs", "ours", "begin"),
    [("actpass", "passive", False), ("active", "passive", False), ("passive", "active", True)],
)
def test_who_begins_the_handshake(theirs: str, ours: str, begin: bool) -> None:
    mine = guard()
    web = audio(
        "UDP/TLS/RTP/SAVPF",
        f"a=fingerprint:{PRINT}",
        f"a=setup:{theirs}",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:" + "x" * 22,
        "a=rtcp-mux",
    )
    said = mine.answer(web, web.media[0], PLACE)
    assert f"a=setup:{ours}" in said.lines
    assert "a=rtcp-mux" in said.lines
    found = mine.settle(web, web.media[0])
    assert found.dtls == ((("sha-256", PRINT.split()[1]),), begin)
    assert found.mux
    assert found.ice is not None
    assert found.ice[2] == "abcd"


@given(st.text(alphabet="acryptofingerprintsetupSHA-256:|=; \r\n0123456789ABCDEF", max_size=300))
@settings(max_examples=200, deadline=None)
def test_strange_attributes_are_no_more_than_not_acceptable(text: str) -> None:
    with contextlib.suppress(SipSyntaxError, NotAcceptable):
        theirs = audio("RTP/SAVP", f"a=crypto:{text}", f"a=fingerprint:{text}", f"a=ice-ufrag:{text}")
        for each in (guard(), guard(MediaSecurity.REQUIRED), guard(web=True)):
            cryptos(theirs.media[0])
            browserly(theirs, theirs.media[0])
            each.answer(theirs, theirs.media[0], PLACE)
            each.settle(theirs, theirs.media[0])


def test_a_key_of_the_wrong_length_is_none() -> None:
    section = audio(
        "RTP/SAVP", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJD", KEY.format(2, "F8_128_HMAC_SHA1_80")
    ).media[0]
    assert cryptos(section) == []
    lived = audio("RTP/SAVP", KEY.format(1, "AES_CM_128_HMAC_SHA1_80") + "|2^31")
    assert cryptos(lived.media[0]) == [Crypto(1, "AES_CM_128_HMAC_SHA1_80", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcd")]


WEB = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n{}"
    "m=audio 4000 RTP/AVP 0\r\na=mid:0\r\nm=video 4000 RTP/AVP {}\r\na=rtpmap:97 VP8/90000\r\na=mid:1\r\n"
)


@pytest.mark.parametrize(
    ("group", "port", "answered"),
    [
        ("a=group:BUNDLE 0 1\r\n", 61002, ["BUNDLE 0"]),
        ("a=group:BUNDLE 0 1\r\n", PLACE[1], ["BUNDLE 0 1"]),
        ("a=group:LS 0 1\r\n", PLACE[1], []),
        ("", PLACE[1], []),
    ],
)
def test_what_shares_the_port_of_the_audio_is_bundled_where_that_was_offered(
    group: str, port: int, answered: list[str]
) -> None:
    """RFC 9143 §7.3; a browser of policy "max-bundle" wants a group of whatever it has."""
    web = SessionDescription.parse(WEB.format(group, "97"))
    places = {0: Outlet(*PLACE, "RTP/AVP"), 1: Outlet(PLACE[0], port, "RTP/AVP")}
    assert passed_answer(web, web, US, places).attributes("group") == answered
    assert passed_offer(web, US, places).attributes("group") == []


@pytest.mark.parametrize(("numbers", "group"), [("97", "BUNDLE 0 1"), ("97 0", "BUNDLE 0")])
def test_a_browser_is_offered_one_port_for_all_unless_two_share_a_number(numbers: str, group: str) -> None:
    """RFC 9143 §9.1.1: then nothing but the number would tell whose a packet is."""
    web = SessionDescription.parse(WEB.format("", numbers))
    places = {0: Outlet(*PLACE, "RTP/AVP"), 1: Outlet(PLACE[0], 61002, "RTP/AVP")}
    assert passed_offer(web, US, places, web=True).attributes("group") == [group]


@pytest.mark.parametrize(
    ("group", "found"),
    [("a=group:BUNDLE 0 1\r\n", {1}), ("a=group:BUNDLE 1 0\r\n", set()), ("a=group:BUNDLE 0\r\n", set()), ("", set())],
)
def test_who_rides_with_the_audio(group: str, found: set[int]) -> None:
    """Only with an audio that carries the group (RFC 9143 §7.2.1: the first one named)."""
    assert riders(SessionDescription.parse(WEB.format(group, "97"))) == found


def test_codecs_of_ours_take_no_number_of_another_section() -> None:
    """RFC 9143 §9.1.1: they may come to share a port."""
    theirs = SessionDescription.parse(WEB.format("", "96 97"))
    places = {0: Outlet(*PLACE, "RTP/AVP"), 1: Outlet(PLACE[0], 61002, "RTP/AVP")}
    audio, video = passed_offer(theirs, US, places, web=True, more=("PCMU/8000", "OPUS/48000/2")).media
    assert "OPUS/48000/2" in audio.payload_types.values()
    assert set(audio.formats).isdisjoint(video.formats)


@pytest.mark.parametrize(
    ("section", "relayed"),
    [
        ("m=video 9 RTP/AVP 97\r\na=mid:1\r\n", False),
        ("m=video 9 RTP/AVP 97\r\na=mid:1\r\na=candidate:1 1 udp 1 192.0.2.7 4000 typ host\r\n", True),
        ("m=video 9 RTP/AVP 97\r\n", True),
        ("m=message 9 TCP/MSRP *\r\na=mid:1\r\na=setup:active\r\n", True),
    ],
)
def test_what_has_no_port_but_that_of_the_group_is_not_relayed(section: str, relayed: bool) -> None:
    description = SessionDescription.parse(f"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\n{section}")
    assert relayable(description.media[0]) is relayed


@pytest.mark.parametrize(
    ("rest", "mki"),
    [
        ("", b""),
        ("|2^20", b""),
        ("|1048576", b""),
        ("|2^20|1:4", b"\0\0\0\1"),
        ("|1:1", b"\1"),
        ("|2^48|258:2", b"\1\2"),
        ("|2^20 WSH=64", b""),
        ("|1:4 -ours=1", b"\0\0\0\1"),
        ("|1:0", None),
        ("|256:1", None),
        ("|1:17", None),
        ("|1:4|2^20", None),
        ("|forever", None),
        ("|2^20|1:4;inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk|2^20|2:4", None),
        (" UNENCRYPTED_SRTP", None),
        (" KDR=1", None),
    ],
)
def test_lifetime_and_name_of_a_key(rest: str, mki: bytes | None) -> None:
    """RFC 4568 §6.1, §6.3: taken rightly, or not at all; never taken for a key without a name."""
    section = audio("RTP/SAVP", KEY.format(1, "AES_CM_128_HMAC_SHA1_80") + rest).media[0]
    assert [key.mki for key in cryptos(section)] == ([] if mki is None else [mki])
