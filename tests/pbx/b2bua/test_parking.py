"""Calls that are parked, fetched, and that come back (conventions §4.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory.model import Account
from pbx.mediaproxy.engine import Clip
from pbx.presence.lines import place_id
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, PEOPLE, House, Phone, Stream
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_replaces import until
from tests.pbx.b2bua.test_transfers import named, told


async def parked(house: House, where: str, status: int = 200) -> tuple[Phone, Phone]:
    """Alice has called Bob, who sends her to the lot. With 200 she hears music there."""
    alice, bob = house.phone(ALICE), house.phone(BOB)
    await connected(house, alice, bob)
    await sent_to_lot(house, alice, bob, where, status)
    return alice, bob


async def sent_to_lot(house: House, alice: Phone, bob: Phone, where: str, status: int = 200) -> None:
    house.exchange.sound = lambda name, account: Clip(Path(name), name)
    bob.send("REFER", Refer_To=f"<sip:{where}@{DOMAIN}>")
    await bob.response(202, "REFER")
    if status == 200:
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await alice.request("ACK")
    await told(bob, status)
    if status == 200:
        bob.answer(await bob.request("BYE"), 200)
        await until(lambda: house.studio.streams[0].playing == "holdmusic")
        assert lamp(house, "701") or lamp(house, "702")


def lamp(house: House, place: str) -> list[str]:
    """The states that who watches the place is shown."""
    return [line.state for line in house.exchange.lines.of(place_id(f"{place}@{DOMAIN}"))]


async def fetched(house: House, who: Phone, where: str, party: Phone) -> None:
    """Whoever calls the place talks to the party."""
    who.call(f"sip:{where}@{DOMAIN}", who.sdp(7000))
    renewed = await party.request("INVITE")
    assert renewed.get("P-Asserted-Identity") == f'"{who.account.real_name}" <sip:{who.account.address}>'
    party.answer(renewed, 200, party.sdp())
    await party.request("ACK")
    answer = await who.response(200)
    assert answer.get("P-Asserted-Identity") == f'"{party.account.real_name}" <sip:{party.account.address}>'
    who.send("ACK")
    hers, *_, last = house.studio.streams
    assert (hers.other, hers.playing) == (last, "")


async def test_a_call_is_parked_at_a_place_and_fetched() -> None:
    async with House() as house:
        alice, _ = await parked(house, "702")
        assert (lamp(house, "701"), lamp(house, "702")) == ([], ["confirmed"])
        carol = house.phone(CAROL)
        carol.call(f"sip:701@{DOMAIN}")
        await carol.response(404)
        carol.send("ACK")
        carol = carol.line()
        await fetched(house, carol, "702", alice)
        assert lamp(house, "702") == []
        carol.send("BYE")
        await carol.response(200, "BYE")
        await alice.request("BYE")
        await until(lambda: len(house.book.records) == 4)
        record = house.book.records[-1]
        assert (record.dialled, record.callee, record.outcome) == (f"sip:702@{DOMAIN}", ALICE.address, "answered")
        carol = carol.line()
        carol.call(f"sip:702@{DOMAIN}")
        await carol.response(404)


async def test_the_lot_gives_the_first_free_place_until_it_is_full() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "ParkTell"] = "NO"
        await parked(house, "700")
        await parked(house, "700")
        alice, bob = await parked(house, "700", 486)
        await parked(house, "701", 486)
        alice.send("INFO", b"x", "text/plain")
        bob.answer(await bob.request("INFO"), 200)


@pytest.mark.parametrize("disturb", ["NO", "YES"])
async def test_who_has_sent_a_call_to_the_lot_is_shown_the_place(disturb: str) -> None:
    """Also who does not want to be disturbed by others."""
    async with House() as house:
        await parked(house, "701")
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        house.town.settings[BOB.id, "DoNotDisturb"] = disturb
        await sent_to_lot(house, alice, bob, "700")
        invite = await bob.request("INVITE")
        assert str(invite.from_).startswith(f'"Parked at 702" <sip:702@{DOMAIN}>')
        bob.answer(invite, 180)
        alice.send("BYE")
        bob.answer(await bob.request("CANCEL"), 200)
        bob.answer(invite, 487)


async def test_who_answers_hears_the_place() -> None:
    async with House() as house:
        _, bob = await parked(house, "700")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp(5000))
        await bob.request("ACK")
        await said(house.studio.streams[-1], "701701")
        bob.answer(await bob.request("BYE"), 200)
        assert lamp(house, "701") == ["confirmed"]


async def test_who_does_not_want_to_be_told_is_not() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "ParkTell"] = "NO"
        _, bob = await parked(house, "700")
        await parked(house, "702")
        assert not [each for each in bob.inbox if each.is_request and "Parked" in str(each.get("From"))]


async def said(voice: Stream, digits: str) -> None:
    """All these were played, one after the other, and nothing else."""
    for digit in digits:
        await until(lambda said=digit: voice.playing == said)  # type: ignore[misc]
        voice.playing = ""
        voice.listener.media_played(len(voice.played))
    assert voice.played == list(digits)


async def test_who_has_hung_up_is_there_no_more() -> None:
    async with House() as house:
        alice, _ = await parked(house, "701")
        alice.send("BYE")
        await alice.response(200, "BYE")
        await until(lambda: not lamp(house, "701"))
        await parked(house, "701")


@pytest.mark.parametrize("proved", [False, True])
async def test_others_neither_fetch_nor_ask_for_places(proved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    mallory = Account(9, "elsewhere.test", "mallory", "Mallory")
    if proved:
        monkeypatch.setitem(PEOPLE, "mallory", mallory)
    async with House() as house:
        await parked(house, "701")
        stranger = house.phone(mallory, registered=False)
        for number in ("701", "700"):
            stranger.call(f"sip:{number}@{DOMAIN}")
            await stranger.response(404)
            stranger.send("ACK")
            stranger = stranger.line()


async def test_the_lot_says_where_and_a_transfer_there_parks() -> None:
    async with House() as house:
        house.exchange.sound = lambda name, account: Clip(Path(name), name)
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        asking = bob.line()
        asking.call(f"sip:700@{DOMAIN}")
        await asking.response(200)
        asking.send("ACK")
        voice = house.studio.streams[-1]
        await said(voice, "701701")
        assert lamp(house, "701") == []
        bob.send("REFER", Refer_To=f"<sip:700@{DOMAIN}?Replaces={named(asking)}>")
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await alice.request("ACK")
        await told(bob, 200)
        await asking.request("BYE")
        await until(lambda: house.studio.streams[0].playing == "holdmusic")
        await fetched(house, carol, "701", alice)


async def returning(house: House) -> tuple[Phone, Phone]:
    """Nobody has fetched Alice: her call rings at Bob."""
    house.town.settings[BOB.id, "ParkReturn"] = 1
    alice, bob = await parked(house, "701")
    invite = await bob.request("INVITE")
    assert (invite.from_.display, invite.from_.uri.user) == ("Alice", "alice")
    bob.answer(invite, 180)
    await until(lambda: house.studio.streams[0].playing == "ringing")
    return alice, bob


async def test_a_call_that_nobody_fetches_comes_back() -> None:
    async with House() as house:
        alice, bob = await returning(house)
        assert bob.invite is not None
        bob.answer(bob.invite, 200, bob.sdp())
        await bob.request("ACK")
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await alice.request("ACK")
        carol = house.phone(CAROL)
        carol.call(f"sip:701@{DOMAIN}")
        await carol.response(404)


async def test_refused_it_waits_on_and_is_tried_again() -> None:
    async with House() as house:
        _, bob = await returning(house)
        assert bob.invite is not None
        bob.answer(bob.invite, 486)
        await until(lambda: house.studio.streams[0].playing == "holdmusic")
        assert lamp(house, "701") == ["confirmed"]
        await bob.request("INVITE")


async def test_it_is_fetched_while_it_comes_back() -> None:
    async with House() as house:
        alice, bob = await returning(house)
        await fetched(house, house.phone(CAROL), "701", alice)
        bob.answer(await bob.request("CANCEL"), 200)


async def test_who_gives_up_fetching_leaves_it_there() -> None:
    async with House() as house:
        alice, _ = await parked(house, "701")
        carol = house.phone(CAROL)
        carol.call(f"sip:701@{DOMAIN}", carol.sdp(7000))
        renewed = await alice.request("INVITE")
        carol.cancel()
        await carol.response(487)
        alice.answer(renewed, 200, alice.sdp())
        await alice.request("ACK")
        await until(lambda: house.studio.streams[0].playing == "holdmusic")
        await fetched(house, house.phone(CAROL), "701", alice)


async def test_audio_that_does_not_fit_leaves_it_there() -> None:
    async with House() as house:
        alice, _ = await parked(house, "701")
        carol = house.phone(CAROL)
        carol.call(f"sip:701@{DOMAIN}", carol.sdp(7000))
        alice.answer(await alice.request("INVITE"), 488)
        await carol.response(488)
        carol.send("ACK")
        await fetched(house, house.phone(CAROL), "701", alice)


async def test_without_an_offer_the_fetcher_is_offered() -> None:
    async with House() as house:
        alice, _ = await parked(house, "701")
        carol = house.phone(CAROL)
        carol.call(f"sip:701@{DOMAIN}", b"")
        assert (await carol.response(200)).body
        carol.send("ACK", carol.sdp(7000))
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await alice.request("ACK")
        one, other = [stream for stream in house.studio.streams if not stream.closed]
        await until(lambda: one.other is other)


async def test_who_hangs_up_while_he_is_fetched_leaves_nobody_waiting() -> None:
    async with House() as house:
        alice, _ = await parked(house, "701")
        carol = house.phone(CAROL)
        carol.call(f"sip:701@{DOMAIN}", carol.sdp(7000))
        await alice.request("INVITE")
        alice.send("BYE")
        await alice.response(200, "BYE")
        await carol.response(488)
        assert lamp(house, "701") == []
        await until(lambda: not house.exchange.calls)


async def test_a_fetcher_who_never_acknowledges_leaves_it_there() -> None:
    async with House() as house:
        alice, _ = await parked(house, "701")
        carol = house.phone(CAROL)
        carol.call(f"sip:701@{DOMAIN}", b"")
        await carol.response(200)
        carol.send("BYE")
        await carol.response(200, "BYE")
        await until(lambda: house.studio.streams[0].playing == "holdmusic")
        await fetched(house, house.phone(CAROL), "701", alice)
