"""Transfers that fail, that go on without the one who asked for them, and what is told to whom (RFC 3515, RFC 5589)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pbx.mediaproxy.engine import Clip
from pbx.sipcore.message import Request
from pbx.sipcore.sdp import SessionDescription
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_holding import change
from tests.pbx.b2bua.test_lines import lines


async def sent_to_carol(house: House, **headers: str) -> tuple[Phone, Phone, Phone]:
    """Alice talks to Bob, who sends her to Carol."""
    alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
    await connected(house, alice, bob)
    bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>", **headers)
    await bob.response(202, "REFER")
    return alice, bob, carol


async def told(phone: Phone, status: int) -> str:
    """Wait for the NOTIFY with that status; returns its Subscription-State."""
    while True:
        notify = await phone.request("NOTIFY")
        phone.answer(notify, 200)
        assert notify.content_type == "message/sipfrag"
        if notify.body.startswith(f"SIP/2.0 {status} ".encode()):
            return notify.get("Subscription-State") or ""


async def test_all_are_told_who_talks_to_whom() -> None:
    async with House() as house:
        alice, bob, carol = await sent_to_carol(house, Referred_By="<sip:forged@elsewhere.test>")
        invite = await carol.request("INVITE")
        assert invite.get_all("Referred-By") == [f'"Bob" <sip:bob@{DOMAIN}>']
        assert (invite.from_.display, invite.from_.uri.user) == ("Alice", "alice")
        carol.answer(invite, 200, carol.sdp(6000))
        assert (await told(bob, 200)).startswith("terminated")
        bob.answer(await bob.request("BYE"), 200)
        renewed = await alice.request("INVITE")
        assert renewed.get("P-Asserted-Identity") == f'"Carol" <sip:carol@{DOMAIN}>'
        alice.answer(renewed, 200, alice.sdp())
        await alice.request("ACK")
        assert [lines(house, each) for each in (ALICE, BOB, CAROL)] == [
            [("initiator", "confirmed")],
            [],
            [("recipient", "confirmed")],
        ]
        assert house.exchange.lines.of(ALICE.id)[0].peer == f"sip:carol@{DOMAIN}"


async def test_whom_a_call_has_narrowed_to_one_codec_is_sent_on_with_all_of_them() -> None:
    """pjsip telephones do so as soon as they are answered; the next one may know none but another."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        await change(alice, bob, alice.sdp(codecs="8"), bob.sdp(codecs="8"))
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        invite = await carol.request("INVITE")
        (audio,) = SessionDescription.parse(invite.body).media
        assert audio.formats == ("8", "0", "101")
        assert audio.payload_types[101] == "TELEPHONE-EVENT/8000"


async def test_a_transfer_that_fails_changes_nothing() -> None:
    async with House() as house:
        alice, bob, carol = await sent_to_carol(house)
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        await bob.response(491, "REFER")
        carol.answer(await carol.request("INVITE"), 486)
        assert (await told(bob, 486)).startswith("terminated")
        alice.send("INFO", b"x", "text/plain")
        bob.answer(await bob.request("INFO"), 200)
        near, far = [stream for stream in house.studio.streams if not stream.closed]
        assert near.other is far


@pytest.mark.parametrize("status", [200, 486])
async def test_the_party_hears_ringing_until_the_target_answers(status: int) -> None:
    async with House() as house:
        house.exchange.sound = lambda name, account: Clip(Path(name), name) if account == ALICE else None
        _, bob, carol = await sent_to_carol(house)
        invite = await carol.request("INVITE")
        carol.answer(invite, 180)
        await told(bob, 180)
        hers, his = house.studio.streams[:2]
        assert (hers.playing, his.playing) == ("ringing", "")
        carol.answer(invite, status, carol.sdp() if status == 200 else b"")
        await told(bob, status)
        assert not hers.playing
        assert hers.other is (None if status == 200 else his)


async def held_and_sent_to_carol(house: House) -> tuple[Phone, Phone, Phone, Request, Request]:
    """Bob holds Alice so that she may hear nothing; Carol's telephone rings. Her INVITE, and the offer to Alice."""
    house.exchange.sound = lambda name, account: Clip(Path(name), name)
    alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
    await connected(house, alice, bob)
    bob.send("INVITE", bob.sdp(direction="inactive"))
    alice.answer(await alice.request("INVITE"), 200, alice.sdp(direction="inactive"))
    await bob.response(200)
    bob.send("ACK")
    await alice.request("ACK")
    bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
    rung = await carol.request("INVITE")
    carol.answer(rung, 180)
    return alice, bob, carol, rung, await alice.request("INVITE")


async def test_a_party_on_hold_is_offered_our_audio_and_put_back_on_hold() -> None:
    async with House() as house:
        alice, _, carol, rung, offer = await held_and_sent_to_carol(house)
        assert b"a=sendrecv" in offer.body
        alice.answer(offer, 200, alice.sdp())
        await alice.request("ACK")
        hers, his = house.studio.streams[:2]
        assert (hers.playing, hers.other) == ("ringing", his)
        carol.answer(rung, 486)
        again = await alice.request("INVITE")
        assert b"a=inactive" in again.body
        alice.answer(again, 200, alice.sdp(direction="inactive"))
        await alice.request("ACK")
        assert not hers.playing


async def test_who_answers_while_the_party_is_offered_our_audio_comes_next() -> None:
    async with House() as house:
        alice, bob, carol, rung, offer = await held_and_sent_to_carol(house)
        carol.answer(rung, 200, carol.sdp(6000))
        await told(bob, 200)
        assert not [each for each in alice.inbox if each.is_request], "one offer after the other"
        alice.answer(offer, 200, alice.sdp())
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await alice.request("ACK")
        await alice.request("ACK")
        hers, _, third = house.studio.streams
        assert (hers.playing, hers.other) == ("", third)


def named(phone: Phone) -> str:
    """The dialog of a caller with us, as a value of Replaces in a URI."""
    return f"{phone.call_id}%3Bto-tag%3D{phone.remote_to.partition(';tag=')[2]}%3Bfrom-tag%3D{phone.tag}"


@pytest.mark.parametrize("asked", ["carol", "echo"])
async def test_a_party_whose_new_company_has_gone_meanwhile_gets_its_audio_back(asked: str) -> None:
    """Attended; the one who was asked, or the call with a program, ends while Alice is offered the new audio."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        asks = bob.line()
        asks.call(f"sip:{asked}@{DOMAIN}")
        if asked == "carol":
            carol.answer(await carol.request("INVITE"), 200, carol.sdp(6000))
        await asks.response(200)
        asks.send("ACK")
        bob.send("REFER", Refer_To=f"<sip:{asked}@{DOMAIN}?Replaces={named(asks)}>")
        offer = await alice.request("INVITE")
        asks.send("BYE")
        await asks.response(200, "BYE")
        alice.answer(offer, 200, alice.sdp())
        again = await alice.request("INVITE")
        assert b"a=sendrecv" in again.body
        alice.answer(again, 200, alice.sdp())
        await told(bob, 481)
        hers, his = house.studio.streams[:2]
        assert hers.other is his


async def test_who_hangs_up_early_gets_the_party_back_when_it_fails() -> None:
    """RFC 5589 §6.1: many telephones say BYE as soon as they have their 202."""
    async with House() as house:
        alice, bob, carol = await sent_to_carol(house)
        rung = await carol.request("INVITE")
        carol.answer(rung, 180)
        bob.send("BYE")
        await bob.response(200, "BYE")
        carol.answer(rung, 486)
        again = await bob.request("INVITE")
        assert again.from_.uri.user == "alice"
        assert not [message for message in alice.inbox if message.is_request], "she waits"
        bob.answer(again, 200, bob.sdp())
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await asyncio.sleep(0.05)
        one, other = [stream for stream in house.studio.streams if not stream.closed]
        assert one.other is other


async def test_who_hangs_up_early_is_not_needed_when_it_succeeds() -> None:
    async with House() as house:
        alice, bob, carol = await sent_to_carol(house)
        rung = await carol.request("INVITE")
        bob.send("BYE")
        await bob.response(200, "BYE")
        carol.answer(rung, 200, carol.sdp())
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await alice.request("ACK")
        carol.takes(rung)
        carol.send("INFO", b"x", "text/plain")
        await alice.request("INFO")


async def test_nobody_rings_for_a_party_that_has_gone() -> None:
    async with House() as house:
        alice, bob, carol = await sent_to_carol(house)
        rung = await carol.request("INVITE")
        carol.answer(rung, 180)
        alice.send("BYE")
        await bob.request("BYE")
        carol.answer(await carol.request("CANCEL"), 200)
        carol.answer(rung, 487)
        assert not house.board.live()


async def test_a_party_that_nobody_takes_back_is_hung_up() -> None:
    async with House() as house:
        alice, bob, carol = await sent_to_carol(house)
        rung = await carol.request("INVITE")
        carol.answer(rung, 180)
        bob.send("BYE")
        await bob.response(200, "BYE")
        carol.answer(rung, 486)
        bob.answer(await bob.request("INVITE"), 480)
        await alice.request("BYE")
        assert not house.board.live()


@pytest.mark.parametrize("as_the_telephone_names_it", [False, True])
async def test_nobody_is_led_into_the_call_of_others(as_the_telephone_names_it: bool) -> None:
    """Who watches a line knows the tags of its calls (RFC 4235); they give him no right to them."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        friend = house.phone(ALICE, registered=False)
        await connected(house, friend, carol)  # a call of alice's and carol's
        await connected(house, alice, bob)
        tags = (friend.remote_to.partition(";tag=")[2], friend.tag)
        ours, theirs = reversed(tags) if as_the_telephone_names_it else tags
        replaces = f"{friend.call_id}%3Bto-tag%3D{ours}%3Bfrom-tag%3D{theirs}"
        bob.send("REFER", Refer_To=f"<sip:alice@{DOMAIN}?Replaces={replaces}>")
        await bob.response(202, "REFER")
        while not (notify := await bob.request("NOTIFY")).body.startswith(b"SIP/2.0 403"):
            bob.answer(notify, 200)
        bob.answer(notify, 200)
        assert not [each for each in (*friend.inbox, *carol.inbox) if each.is_request]
        assert house.metrics.value("calls.replaces.denied") == 1


async def test_no_news_for_who_wants_none() -> None:
    """RFC 4488 §4."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>", Refer_Sub="false")
        assert (await bob.response(202, "REFER")).get("Refer-Sub") == "false"
        carol.answer(await carol.request("INVITE"), 486)
        await carol.request("ACK")
        assert not [message for message in bob.inbox if message.is_request]


async def test_a_second_refer_is_told_apart() -> None:
    """RFC 3515 §2.4.6."""
    async with House() as house:
        _, bob, carol = await sent_to_carol(house)
        carol.answer(await carol.request("INVITE"), 486)
        await told(bob, 486)
        refer = bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        await bob.response(202, "REFER")
        assert (await bob.request("NOTIFY")).get("Event") == f"refer;id={refer.cseq.number}"


async def test_the_news_of_a_refer_are_refreshed_and_ended_by_subscribe() -> None:
    """RFC 3515 §2.4.4, RFC 6665 §4.4.3: whoever ends them does not end the transfer."""
    async with House() as house:
        _, bob, carol = await sent_to_carol(house)
        await told(bob, 100)
        rung = await carol.request("INVITE")
        bob.send("SUBSCRIBE", Event="refer", Expires="7200")
        assert (await bob.response(200, "SUBSCRIBE")).get("Expires") == "180"
        assert await told(bob, 100) == "active;expires=180"
        bob.send("SUBSCRIBE", Event="refer;id=1", Expires="60")
        await bob.response(481, "SUBSCRIBE")
        bob.send("SUBSCRIBE", Event="refer", Expires="0")
        await bob.response(200, "SUBSCRIBE")
        assert await told(bob, 100) == "terminated;reason=timeout"
        carol.answer(rung, 200, carol.sdp())
        await bob.request("BYE")
        assert not [each for each in bob.inbox if each.is_request]


async def test_the_news_of_a_refer_end_by_themselves() -> None:
    async with House() as house:
        _, bob, carol = await sent_to_carol(house)
        await told(bob, 100)
        rung = await carol.request("INVITE")
        bob.send("SUBSCRIBE", Event="refer", Expires="1")
        assert await told(bob, 100) == "active;expires=1"
        assert await told(bob, 100) == "terminated;reason=timeout"
        bob.send("SUBSCRIBE", Event="refer", Expires="60")
        await bob.response(481, "SUBSCRIBE")
        carol.answer(rung, 486)


@pytest.mark.parametrize("target", ["<http://a.test>", f"<sip:carol@{DOMAIN};method=BYE>", "<sip:", ""])
async def test_what_is_no_call_is_refused(target: str) -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        bob.send("REFER", Refer_To=target)
        await bob.response(400, "REFER")


async def test_a_question_asked_by_another_way_is_replaced_there() -> None:
    """Bob has asked Carol by a dialog that we do not know: her telephone does."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}?Replaces=elsewhere%3Bto-tag%3Da%3Bfrom-tag%3Db>")
        await bob.response(202, "REFER")
        invite = await carol.request("INVITE")
        assert invite.get("Replaces") == "elsewhere;to-tag=a;from-tag=b"
        carol.answer(invite, 200, carol.sdp())
        await told(bob, 200)


async def test_a_telephone_that_knows_from_change_gets_it() -> None:
    """RFC 4916 §4.2: for a peer that supports it the new party stands in From."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        alice.call(f"sip:bob@{DOMAIN}", Supported="from-change")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
        bob.takes(invite)
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        carol.answer(await carol.request("INVITE"), 200, carol.sdp())
        renewed = await alice.request("INVITE")
        assert renewed.from_.uri.user == "carol"
