"""Music for who is held by a telephone, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from directory.model import Account
from pbx.mediaproxy.engine import Clip
from pbx.sipcore.message import Request
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_holding import held
from tests.pbx.b2bua.test_transfers import told

SPEEX = b"a=rtpmap:97 speex/16000\r\n"


@asynccontextmanager
async def talking() -> AsyncIterator[tuple[House, Phone, Phone]]:
    async with House() as house:
        house.exchange.sound = lambda name, account: Clip(Path(name), name) if account == BOB else None
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        yield house, alice, bob


async def change(asks: Phone, other: Phone, offer: bytes, answer: str) -> None:
    """A re-INVITE passes, and its answer comes back."""
    asks.send("INVITE", offer)
    other.answer(await other.request("INVITE"), 200, other.sdp(direction=answer))
    await asks.response(200)
    asks.send("ACK")
    await other.request("ACK")


def playing(house: House) -> list[str]:
    return [stream.playing for stream in house.studio.streams]


@pytest.mark.parametrize("form", ["sendonly", "0.0.0.0"])
async def test_who_is_held_hears_music_until_the_call_goes_on(form: str) -> None:
    async with talking() as (house, alice, bob):
        await change(bob, alice, held(bob, form), "recvonly")
        assert playing(house) == ["holdmusic", ""]
        one, other = house.studio.streams
        assert one.other is other
        await change(bob, alice, held(bob, form), "recvonly")
        assert one.played == ["holdmusic"], "a refresh of the hold does not begin it anew"
        await change(bob, alice, bob.sdp(), "sendrecv")
        assert playing(house) == ["", ""]


async def test_a_call_that_goes_on_without_an_offer_ends_it() -> None:
    async with talking() as (house, alice, bob):
        await change(bob, alice, held(bob, "sendonly"), "recvonly")
        bob.send("INVITE", b"")
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await bob.response(200)
        bob.send("ACK", bob.sdp())
        await alice.request("ACK")
        assert playing(house) == ["", ""]


async def test_a_telephone_that_wants_silence_is_silent_and_the_other_one_listens() -> None:
    async with talking() as (house, alice, bob):
        bob.send("INVITE", held(bob, "inactive"))
        offer = await alice.request("INVITE")
        assert b"a=sendonly" in offer.body
        alice.answer(offer, 200, alice.sdp(direction="recvonly"))
        assert b"a=inactive" in (await bob.response(200)).body
        bob.send("ACK")
        await alice.request("ACK")
        assert playing(house) == ["holdmusic", ""]
        hers, his = house.studio.streams
        assert hers.settings is not None
        assert his.settings is not None
        assert [(each.send, each.receive) for each in (hers.settings, his.settings)] == [(True, False), (False, False)]


@pytest.mark.parametrize(
    ("form", "answer"), [("inactive", "inactive"), ("recvonly", "sendonly"), ("sendonly", "inactive")]
)
async def test_who_does_not_listen_or_is_not_held_hears_none(form: str, answer: str) -> None:
    async with talking() as (house, alice, bob):
        await change(bob, alice, held(bob, form), answer)
        assert playing(house) == ["", ""]


async def offered_music(alice: Phone, bob: Phone) -> Request:
    """Bob holds in a codec that we do not speak: Alice is offered one that we do."""
    bob.send("INVITE", bob.sdp(direction="sendonly", codecs="97 101") + SPEEX)
    alice.answer(await alice.request("INVITE"), 200, alice.sdp(direction="recvonly", codecs="97 101") + SPEEX)
    await bob.response(200)
    bob.send("ACK")
    await alice.request("ACK")
    return await alice.request("INVITE")


async def test_a_party_with_a_codec_that_is_not_ours_is_offered_one() -> None:
    async with talking() as (house, alice, bob):
        offer = await offered_music(alice, bob)
        assert b"a=sendonly" in offer.body
        assert b"speex" not in offer.body
        assert playing(house) == ["", ""]
        alice.answer(offer, 200, alice.sdp(direction="recvonly"))
        await alice.request("ACK")
        assert playing(house) == ["holdmusic", ""]
        await change(bob, alice, bob.sdp(), "sendrecv")
        assert playing(house) == ["", ""]


async def test_a_call_that_goes_on_while_music_is_being_offered_waits_for_that() -> None:
    """A telephone that heard 491 would stay on hold: many do not ask again."""
    async with talking() as (house, alice, bob):
        music = await offered_music(alice, bob)
        bob.send("INVITE", bob.sdp())
        await asyncio.sleep(0.12)
        alice.answer(music, 200, alice.sdp(direction="recvonly"))
        await alice.request("ACK")
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        assert (await bob.response(200)).body
        bob.send("ACK")
        await alice.request("ACK")
        assert playing(house) == ["", ""]


UPDATES = "INVITE, ACK, BYE, CANCEL, UPDATE"


async def update(asks: Phone, other: Phone, offer: bytes, answer: str, by: str) -> None:
    """An UPDATE passes, by what the other one takes, and its answer comes back."""
    asks.send("UPDATE", offer, Allow=UPDATES)
    passed = await other.request(by)
    other.answer(passed, 200, other.sdp(direction=answer), Allow=UPDATES if by == "UPDATE" else "INVITE, ACK, BYE")
    assert (await asks.response(200, "UPDATE")).body
    if by == "INVITE":
        await other.request("ACK")


@pytest.mark.parametrize("by", ["UPDATE", "INVITE"])
async def test_an_update_holds_and_resumes(by: str) -> None:
    """RFC 3311 §5: neither of them waits for a user."""
    async with talking() as (house, alice, bob):
        alice.send("UPDATE", Allow=UPDATES if by == "UPDATE" else "INVITE, ACK, BYE")
        await alice.response(200, "UPDATE")
        await update(bob, alice, held(bob, "sendonly"), "recvonly", by)
        assert playing(house) == ["holdmusic", ""]
        await update(bob, alice, bob.sdp(), "sendrecv", by)
        assert playing(house) == ["", ""]
        hers, his = house.studio.streams
        assert hers.other is his
        assert [each.settings and (each.settings.send, each.settings.receive) for each in (hers, his)] == [
            (True, True)
        ] * 2


async def test_an_update_that_is_refused_leaves_the_music() -> None:
    async with talking() as (house, alice, bob):
        await change(bob, alice, held(bob, "sendonly"), "recvonly")
        bob.send("UPDATE", bob.sdp(), Allow=UPDATES)
        alice.answer(await alice.request("INVITE"), 488)
        await bob.response(488, "UPDATE")
        assert playing(house) == ["holdmusic", ""]
        await change(bob, alice, bob.sdp(), "sendrecv")
        assert playing(house) == ["", ""]


async def test_an_update_that_comes_while_music_is_being_offered_waits_for_that() -> None:
    async with talking() as (house, alice, bob):
        music = await offered_music(alice, bob)
        bob.send("UPDATE", bob.sdp(), Allow=UPDATES)
        await asyncio.sleep(0.12)
        alice.answer(music, 200, alice.sdp(direction="recvonly"))
        await alice.request("ACK")
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        assert (await bob.response(200, "UPDATE")).body
        assert playing(house) == ["", ""]


async def test_who_wants_none_has_none() -> None:
    async with talking() as (house, alice, bob):
        house.town.settings[BOB.id, "HoldMusic"] = "NO"
        await change(bob, alice, held(bob, "sendonly"), "recvonly")
        assert playing(house) == ["", ""]


async def test_a_party_that_is_no_account_brings_its_own() -> None:
    async with House() as house:
        house.exchange.sound = lambda name, account: Clip(Path(name), name)
        alice, bob = house.phone(Account(9, "elsewhere.test", "mallory"), registered=False), house.phone(BOB)
        await connected(house, alice, bob)
        await change(alice, bob, held(alice, "sendonly"), "recvonly")
        assert playing(house) == ["", ""]


async def test_it_goes_on_when_a_transfer_has_failed() -> None:
    async with talking() as (house, alice, bob):
        await change(bob, alice, held(bob, "sendonly"), "recvonly")
        carol = house.phone(CAROL)
        house.exchange.sound = lambda name, account: Clip(Path(name), name)
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        invite = await carol.request("INVITE")
        carol.answer(invite, 180)
        await told(bob, 180)
        assert playing(house)[0] == "ringing"
        carol.answer(invite, 486)
        await told(bob, 486)
        assert playing(house)[0] == "holdmusic"


async def test_it_ends_when_somebody_else_comes() -> None:
    async with talking() as (house, alice, bob):
        await change(bob, alice, held(bob, "sendonly"), "recvonly")
        bob.send("REFER", Refer_To=f"<sip:echo@{DOMAIN}>")
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await alice.request("ACK")
        bob.answer(await bob.request("BYE"), 200)
        assert playing(house)[0] == ""
