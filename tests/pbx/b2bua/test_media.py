"""What B2BUA calls do with pictures, facsimile, encryption, and phones without a common codec."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from pbx.sipcore.flow import Flow
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, PEOPLE, House, Phone, Stream
from tests.pbx.b2bua.test_toll import emergency, gateway

KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk\r\n"


def body(phone: Phone, *sections: str) -> bytes:
    head = f"v=0\r\no=- 1 1 IN IP4 {phone.local[0]}\r\ns=-\r\nc=IN IP4 {phone.local[0]}\r\nt=0 0\r\n"
    return (head + "".join(f"{section}\r\n" for section in sections)).encode()


def sections(message: bytes) -> list[tuple[str, bool, str]]:
    return [(each.kind, each.port > 0, each.protocol) for each in SessionDescription.parse(message).media]


async def connected(alice: Phone, bob: Phone, offer: bytes, answer: bytes) -> tuple[bytes, bytes]:
    """Alice calls Bob; returns what Bob was offered and what Alice was answered."""
    alice.call(f"sip:bob@{DOMAIN}", offer)
    invite = await bob.request("INVITE")
    bob.answer(invite, 200, answer)
    ok = await alice.response(200)
    alice.send("ACK")
    await bob.request("ACK")
    bob.takes(invite)
    return invite.body, ok.body


def joined(house: House, kind: str) -> list[Stream]:
    """Streams of that carriage that are joined with another."""
    streams = cast("list[Stream]", house.studio.streams)
    return [each for each in streams if each.other is not None and each.settings and each.settings.carriage == kind]


async def test_a_picture_goes_with_the_voice_and_what_is_not_answered_is_refused() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        picture = "m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=rtcp-fb:97 nack pli"
        chat = "m=message 4004 TCP/MSRP *\r\na=setup:active\r\na=path:msrp://10.0.1.1:4004/x;tcp"
        offered, answered = await connected(
            alice,
            bob,
            body(alice, "m=audio 4000 RTP/AVP 0", picture, chat, "m=application 9 UDP/DTLS/SCTP x"),
            body(
                bob, "m=audio 5000 RTP/AVP 0", "m=video 5002 RTP/AVP 97\r\na=rtpmap:97 H264/90000",
                "m=message 0 TCP/MSRP *", "m=application 0 UDP/DTLS/SCTP x",
            ),
        )  # fmt: skip
        assert sections(offered) == [
            ("audio", True, "RTP/AVP"), ("video", True, "RTP/AVP"), ("message", True, "TCP/MSRP"),
            ("application", False, "UDP/DTLS/SCTP"),
        ]  # fmt: skip
        assert b"a=setup:actpass" in offered  # RFC 4145 §4: she connects to us, and so may he
        assert b"nack pli" in offered
        assert [port for _, port, _ in sections(answered)] == [True, True, False, False]
        assert {each.settings.remote for each in joined(house, "rtp") if each.settings} == {
            (alice.local[0], 4002), (bob.local[0], 5002)
        }  # fmt: skip
        alice.send("BYE")
        await alice.response(200, "BYE")
        bob.answer(await bob.request("BYE"), 200)
        await house.record()
    assert house.studio.loaded() == 0


async def test_a_facsimile_takes_the_place_of_the_voice_and_gives_it_back() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(alice, bob, alice.sdp(), bob.sdp(5000))
        bob.send("INVITE", body(bob, "m=image 5010 udptl t38\r\na=T38FaxVersion:0"))
        again = await alice.request("INVITE")
        assert sections(again.body) == [("image", True, "udptl")]
        alice.answer(again, 200, body(alice, "m=image 4010 udptl t38"))
        ok = await bob.response(200)
        assert sections(ok.body) == [("image", True, "udptl")]
        bob.send("ACK")
        await alice.request("ACK")
        assert {each.settings.remote for each in joined(house, "raw") if each.settings} == {
            (alice.local[0], 4010), (bob.local[0], 5010)
        }  # fmt: skip
        bob.send("INVITE", bob.sdp(5000))
        again = await alice.request("INVITE")
        assert sections(again.body) == [("audio", True, "RTP/AVP")]
        alice.answer(again, 200, alice.sdp())
        assert sections((await bob.response(200)).body) == [("audio", True, "RTP/AVP")]
        bob.send("ACK")


async def test_phones_without_a_common_codec_are_asked_again() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", alice.sdp(codecs="9 101"))
        first = await bob.request("INVITE")
        assert b"m=audio 61002 RTP/AVP 9 101\r\n" in first.body
        bob.answer(first, 488)
        await bob.request("ACK")
        second = await bob.request("INVITE")
        offered = SessionDescription.parse(second.body).audio
        assert offered is not None
        assert {"G722/8000", "PCMA/8000", "PCMU/8000"} <= set(offered.payload_types.values())
        bob.answer(second, 200, bob.sdp(5000, codecs="8 101"))
        answered = SessionDescription.parse((await alice.response(200)).body).audio
        assert answered is not None
        assert answered.payload_types == {9: "G722/8000", 101: "TELEPHONE-EVENT/8000"}
        near, far = joined(house, "audio")
        assert near.settings is not None
        assert far.settings is not None
        assert (near.settings.codec, far.settings.codec) == (9, 8)


FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["CD"] * 32)


@pytest.mark.parametrize("security", ["optional", "required"])
async def test_a_telephone_that_takes_nothing_else_is_asked_with_dtls_srtp(security: str) -> None:
    """After our codecs, and after keys alone: without ICE, and with those codecs still there."""
    async with House() as house:
        house.town.settings[BOB.id, "MediaSecurity"] = security
        alice, bob = house.phone(ALICE), house.phone(BOB)
        near = alice.sdp(codecs="9 101")
        keyed = near.replace(b"\r\na=rtpmap", b"\r\n" + KEY.encode() + b"a=rtpmap", 1)
        alice.call(f"sip:bob@{DOMAIN}", keyed if security == "required" else near)
        for profile in ["RTP/SAVP"] * 2 if security == "required" else ["RTP/AVP", "RTP/AVP", "RTP/SAVP"]:
            invite = await bob.request("INVITE")
            assert sections(invite.body) == [("audio", True, profile)]
            bob.answer(invite, 488)
            await bob.request("ACK")
        third = await bob.request("INVITE")
        assert sections(third.body) == [("audio", True, "UDP/TLS/RTP/SAVP")]
        assert b"a=setup:actpass" in third.body
        assert b"a=ice" not in third.body
        assert b"a=crypto" not in third.body
        offered = SessionDescription.parse(third.body).audio
        assert offered is not None
        assert {"G722/8000", "PCMU/8000"} <= set(offered.payload_types.values())
        bob.answer(
            third, 200, body(bob, f"m=audio 5000 UDP/TLS/RTP/SAVP 9\r\n{FINGERPRINT}\r\na=setup:active\r\na=rtcp-mux")
        )
        answered = await alice.response(200)
        assert sections(answered.body) == [("audio", True, "RTP/AVP")]
        assert b"a=fingerprint" not in answered.body
        alice.send("ACK")
        await bob.request("ACK")
        bob.takes(third)
        near, far = joined(house, "audio")
        assert near.settings is not None
        assert far.settings is not None
        assert near.settings.dtls is None
        assert far.settings.dtls is not None
        assert far.settings.mux
        assert (near.settings.srtp is not None) == (security == "required")
        held = (keyed if security == "required" else alice.sdp(codecs="9 101")).replace(b"sendrecv", b"sendonly")
        alice.send("INVITE", held)
        assert sections((await bob.request("INVITE")).body) == [("audio", True, "UDP/TLS/RTP/SAVP")]


@pytest.mark.parametrize(("name", "asked"), [("alice", 4), ("bob", 2)])
async def test_who_is_set_to_off_is_not_asked_for_encryption(name: str, asked: int) -> None:
    """What the caller's own telephone may have is no matter. The last refusal is the caller's."""
    async with House() as house:
        house.town.settings[PEOPLE[name].id, "MediaSecurity"] = "off"
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        for _ in range(asked):
            bob.answer(await bob.request("INVITE"), 488)
        await alice.response(488)


async def test_codecs_that_we_do_not_translate_leave_the_handshake_to_ask_for() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", alice.sdp(codecs="18 101"))
        bob.answer(await bob.request("INVITE"), 488)
        await bob.request("ACK")
        bob.answer(await bob.request("INVITE"), 488)
        await bob.request("ACK")
        third = await bob.request("INVITE")
        assert sections(third.body) == [("audio", True, "UDP/TLS/RTP/SAVP")]
        assert b" UDP/TLS/RTP/SAVP 18 101\r\n" in third.body
        bob.answer(third, 606)
        await alice.response(606)


async def test_a_fourth_refusal_is_the_caller_s() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", alice.sdp())
        for _ in range(4):
            bob.answer(await bob.request("INVITE"), 488)
        await alice.response(488)


async def test_an_encrypted_call_is_not_made_plain_by_a_later_offer() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        offered, answered = await connected(
            alice, bob, body(alice, f"m=audio 4000 RTP/SAVP 0\r\n{KEY.strip()}"), bob.sdp(5000)
        )
        assert sections(offered) == [("audio", True, "RTP/AVP")]
        assert b"a=crypto" not in offered
        assert sections(answered) == [("audio", True, "RTP/SAVP")]
        near, far = joined(house, "audio")
        assert near.settings is not None
        assert far.settings is not None
        assert near.settings.srtp is not None
        assert near.settings.srtp.receive == b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"
        assert far.settings.srtp is None
        alice.send("INVITE", alice.sdp())
        again = await bob.request("INVITE")
        bob.answer(again, 200, bob.sdp(5000))
        await alice.response(488)
        alice.send("ACK")


@pytest.mark.parametrize("keys", [True, False], ids=["keys", "plain"])
@pytest.mark.parametrize(
    ("near", "far", "outcome"),
    [
        ("off", "off", "each"),
        ("off", "optional", "each"),
        ("off", "required", "refused"),
        ("optional", "off", "each"),
        ("optional", "optional", "each"),
        ("optional", "required", "both"),
        ("required", "off", "refused"),
        ("required", "optional", "both"),
        ("required", "required", "both"),
    ],
)
async def test_the_stricter_setting_is_that_of_both(near: str, far: str, outcome: str, keys: bool) -> None:
    """`keys`: Alice's telephone offers keys beside plain audio. A callee who cannot be had is not rung."""
    async with House() as house:
        house.town.settings[ALICE.id, "MediaSecurity"] = near
        house.town.settings[BOB.id, "MediaSecurity"] = far
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(
            f"sip:bob@{DOMAIN}", body(alice, f"m=audio 4000 RTP/AVP 0\r\n{KEY.strip() if keys else 'a=sendrecv'}")
        )
        if outcome == "refused" or (outcome == "both" and not keys):
            await alice.response(488)
            assert not bob.inbox
            return
        invite = await bob.request("INVITE")
        secret = outcome == "both"
        assert sections(invite.body) == [("audio", True, "RTP/SAVP" if secret else "RTP/AVP")]
        answer = f"m=audio 5000 RTP/SAVP 0\r\n{KEY.strip()}" if secret else "m=audio 5000 RTP/AVP 0"
        bob.answer(invite, 200, body(bob, answer))
        answered = await alice.response(200)
        assert (b"a=crypto" in answered.body) == (keys and near != "off")
        alice.send("ACK")
        await bob.request("ACK")
        first, second = joined(house, "audio")
        assert first.settings is not None
        assert second.settings is not None
        assert (second.settings.srtp is not None) == secret
        assert (first.settings.srtp is not None) == (keys and near != "off")


async def test_a_telephone_that_does_not_do_what_was_asked_is_left() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "MediaSecurity"] = "required"
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", body(alice, f"m=audio 4000 RTP/AVP 0\r\n{KEY.strip()}"))
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp(5000))  # plain all the same
        await alice.response(488)
        await bob.request("ACK")
        bob.answer(await bob.request("BYE"), 200)


async def test_a_call_for_help_is_as_it_comes() -> None:
    async with House() as house:
        house.exchange.settings = replace(house.exchange.settings, security=MediaSecurity.REQUIRED)
        house.town.settings[ALICE.id, "MediaSecurity"] = "off"
        house.town.resolve = emergency  # type: ignore[method-assign]
        alice, far = house.phone(ALICE), gateway(house)
        alice.call(f"sip:112@{DOMAIN}")
        invite = await far.request("INVITE")
        far.answer(invite, 486)
        await alice.response(486)


@pytest.mark.parametrize(("number", "together"), [(97, True), (0, False)])
async def test_a_picture_that_a_browser_offers_on_the_port_of_its_audio_only(
    number: int, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9143 §6: at port 0. Where two share a payload number it cannot be on one port, and is refused (§7.3.3)."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        monkeypatch.setattr(Flow, "web", property(lambda flow: flow.remote == alice.local))
        secret = "a=fingerprint:sha-256 " + ":".join(["CD"] * 32) + "\r\na=setup:actpass\r\n"
        ice = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=rtcp-mux\r\n"
        offer = (
            "v=0\r\no=- 1 1 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
            f"m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n{secret}{ice}"
            f"m=video 0 UDP/TLS/RTP/SAVPF {number}\r\na=mid:1\r\na=bundle-only\r\na=rtpmap:{number} VP8/90000\r\n"
        )
        alice.call(f"sip:bob@{DOMAIN}", offer.encode())
        invite = await bob.request("INVITE")
        _, video = SessionDescription.parse(invite.body).media
        assert bool(video.port) is together
        picture = f"m=video {5002 if together else 0} RTP/AVP {number}\r\na=rtpmap:{number} VP8/90000\r\n"
        bob.answer(invite, 200, bob.sdp() + picture.encode())
        answer = SessionDescription.parse((await alice.response(200)).body)
        audio, video = answer.media
        assert answer.attributes("group") == ["BUNDLE 0 1" if together else "BUNDLE 0"]
        assert video.port == (audio.port if together else 0)
