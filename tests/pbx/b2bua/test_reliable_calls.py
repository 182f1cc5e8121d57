"""Reliable provisional responses and UPDATE through the B2BUA and through the proxy: each leg as its phone knows it.

RFC 3262, RFC 3311.
"""

from __future__ import annotations

import pytest

from directory.model import CallRule, Redirect, Stage
from pbx.b2bua.program_leg import ProgramLeg
from pbx.sipcore.message import Request, Response
from pbx.sipcore.sdp import SessionDescription
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_programs import Listener, Programs

UPDATES = "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK"


async def acknowledge(caller: Phone, response: Response, body: bytes = b"") -> Response:
    """The caller sends the PRACK of a reliable response."""
    rack = f"{response.get('RSeq')} {response.cseq}"
    caller.send("PRACK", body, RAck=rack)
    return await caller.response(200, "PRACK")


def ring(callee: Phone, invite: Request, number: int, status: int = 183, body: bytes = b"") -> None:
    """The callee answers provisionally and reliably."""
    callee.answer(invite, status, body, Require="100rel", RSeq=str(number), Allow=UPDATES)


async def acknowledged(callee: Phone) -> Request:
    """The PRACK of the callee's response, answered."""
    prack = await callee.request("PRACK")
    callee.answer(prack, 200)
    return prack


def port(message: Request | Response) -> int:
    audio = SessionDescription.parse(message.body).audio
    assert audio is not None
    return audio.port


def heard_by(house: House) -> tuple[object, object]:
    """Where the two streams send to."""
    near, far = house.studio.streams[:2]
    assert near.settings is not None
    assert far.settings is not None
    return near.settings.remote, far.settings.remote


async def test_a_caller_who_requires_it_and_a_phone_that_does_not_know_it() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Require="100rel")
        invite = await bob.request("INVITE")
        assert "100rel" in invite.tokens("Supported")
        assert not invite.tokens("Require")
        bob.answer(invite, 180)
        ringing = await alice.response(180)
        assert ringing.tokens("Require") == {"100rel"}
        await acknowledge(alice, ringing)
        bob.answer(invite, 183, bob.sdp(5000))
        await acknowledge(alice, await alice.response(183))
        near, far = house.studio.streams
        assert near.other is far
        bob.answer(invite, 200, bob.sdp(5000))
        answer = await alice.response(200)
        assert not answer.body
        alice.send("ACK")
        await bob.request("ACK")
        assert heard_by(house) == ((alice.local[0], 4000), (bob.local[0], 5000))
        alice.send("BYE")
        await alice.response(200, "BYE")
        assert (await house.record()).outcome == "answered"


async def test_a_caller_who_does_not_know_it_and_a_phone_that_does() -> None:
    """Nobody offers it to the phone; should it think otherwise, it is answered all the same."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        assert "100rel" not in invite.tokens("Supported")
        ring(bob, invite, 5, 183, bob.sdp(5000))
        assert (await acknowledged(bob)).get("RAck") == f"5 {invite.cseq.number} INVITE"
        ringing = await alice.response(183)
        assert not ringing.has("RSeq")
        bob.answer(invite, 200)
        answer = await alice.response(200)
        assert port(answer) == house.studio.streams[0].local[1]
        assert heard_by(house) == ((alice.local[0], 4000), (bob.local[0], 5000))


async def test_both_know_it() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Supported="100rel")
        invite = await bob.request("INVITE")
        ring(bob, invite, 1, 180)
        await acknowledged(bob)
        assert not (await alice.response(180)).has("RSeq")
        ring(bob, invite, 2, 183, bob.sdp(5000))
        await acknowledged(bob)
        await acknowledge(alice, await alice.response(183))
        bob.answer(invite, 200)
        assert not (await alice.response(200)).body
        alice.send("ACK")
        assert not (await bob.request("ACK")).body
        assert heard_by(house) == ((alice.local[0], 4000), (bob.local[0], 5000))


async def test_without_an_offer_the_phone_offers_and_the_prack_answers() -> None:
    """RFC 3262 §5, from end to end."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", b"", Require="100rel")
        invite = await bob.request("INVITE")
        assert not invite.body
        bob.answer(invite, 180)
        ring(bob, invite, 1, 183, bob.sdp(5000))
        offer = await alice.response(183)
        assert offer.tokens("Require") == {"100rel"}
        await acknowledge(alice, offer, alice.sdp(4000))
        prack = await acknowledged(bob)
        assert port(prack) == house.studio.streams[1].local[1]
        bob.answer(invite, 200)
        assert not (await alice.response(200)).body
        alice.send("ACK")
        assert not (await bob.request("ACK")).body
        assert heard_by(house) == ((alice.local[0], 4000), (bob.local[0], 5000))


async def test_an_early_offer_that_nobody_can_be_asked_about_is_answered() -> None:
    """The caller has made no offer and takes no reliable response: his ACK answers, and the phone is told anew."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", b"")
        invite = await bob.request("INVITE")
        ring(bob, invite, 1, 183, bob.sdp(5000))
        assert port(await acknowledged(bob)) == house.studio.streams[1].local[1]
        bob.answer(invite, 200, Allow=UPDATES)
        assert port(await alice.response(200)) == house.studio.streams[0].local[1]
        alice.send("ACK", alice.sdp(4000))
        await bob.request("ACK")
        again = await bob.request("INVITE")
        bob.answer(again, 200, bob.sdp(5002))
        await bob.request("ACK")
        assert heard_by(house) == ((alice.local[0], 4000), (bob.local[0], 5002))


async def test_another_phone_answers_than_the_one_that_was_heard() -> None:
    """The 200 can bring no other answer: it follows in a re-INVITE."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect((f"carol@{DOMAIN}",)))]
        alice.call(f"sip:bob@{DOMAIN}", Supported="100rel")
        invite = await bob.request("INVITE")
        ring(bob, invite, 1, 183, bob.sdp(5000))
        await acknowledged(bob)
        await acknowledge(alice, await alice.response(183))
        bob.answer(invite, 486)
        second = await carol.request("INVITE")
        carol.answer(second, 200, carol.sdp(6000))
        assert not (await alice.response(200)).body
        await carol.request("ACK")
        alice.send("ACK")
        again = await alice.request("INVITE")
        assert again.body
        alice.answer(again, 200, alice.sdp(4002))
        await alice.request("ACK")
        near, _bob, far = house.studio.streams
        assert near.other is far
        assert near.settings is not None
        assert near.settings.remote == (alice.local[0], 4002)
        assert far.settings is not None
        assert far.settings.remote == (carol.local[0], 6000)


async def test_without_an_offer_another_phone_answers_than_the_one_that_was_heard() -> None:
    """Its 200 is an offer as well, and has its answer in our ACK."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect((f"carol@{DOMAIN}",)))]
        alice.call(f"sip:bob@{DOMAIN}", b"", Require="100rel")
        invite = await bob.request("INVITE")
        ring(bob, invite, 1, 183, bob.sdp(5000))
        offer = await alice.response(183)
        bob.answer(invite, 486)
        second = await carol.request("INVITE")
        assert not second.body
        await acknowledge(alice, offer, alice.sdp(4000))
        carol.answer(second, 200, carol.sdp(6000))
        assert not (await alice.response(200)).body
        assert port(await carol.request("ACK")) == house.studio.streams[2].local[1]
        alice.send("ACK")
        again = await alice.request("INVITE")
        alice.answer(again, 200, alice.sdp(4002))
        await alice.request("ACK")
        near, _bob, far = house.studio.streams
        assert near.other is far


async def test_a_program_answers_after_a_phone_was_heard() -> None:
    """Early audio, then voicemail: the caller gets the program's voice by a re-INVITE."""

    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        assert await leg.accept() is None
        leg.disconnect()

    async with House() as house:
        house.board.attach(Programs(greeter=greeter))
        alice, bob = house.phone(ALICE), house.phone(BOB)
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect(("#greeter",)))]
        alice.call(f"sip:bob@{DOMAIN}", Supported="100rel")
        invite = await bob.request("INVITE")
        ring(bob, invite, 1, 183, bob.sdp(5000))
        await acknowledged(bob)
        await acknowledge(alice, await alice.response(183))
        bob.answer(invite, 486)
        assert not (await alice.response(200)).body
        alice.send("ACK")
        again = await alice.request("INVITE")
        assert port(again) == house.studio.streams[0].local[1]
        alice.answer(again, 200, alice.sdp(4002))
        await alice.request("ACK")
        near = house.studio.streams[0]
        assert near.settings is not None
        assert near.settings.remote == (alice.local[0], 4002)
        alice.answer(await alice.request("BYE"), 200)
        record = await house.record()
        assert (record.outcome, record.program) == ("answered", "greeter")


async def test_another_phone_is_heard_early_by_update() -> None:
    """RFC 3311: the caller has his answer, and takes a new offer while it rings."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect((f"carol@{DOMAIN}",)))]
        alice.call(f"sip:bob@{DOMAIN}", Supported="100rel", Allow=UPDATES)
        invite = await bob.request("INVITE")
        bob.answer(invite, 183, bob.sdp(5000))
        await acknowledge(alice, await alice.response(183))
        bob.answer(invite, 486)
        second = await carol.request("INVITE")
        carol.answer(second, 183, carol.sdp(6000))
        update = await alice.request("UPDATE")
        alice.answer(update, 200, alice.sdp(4002))
        carol.answer(second, 200, carol.sdp(6000))
        assert not (await alice.response(200)).body
        alice.send("ACK")
        await carol.request("ACK")
        near, _bob, far = house.studio.streams
        assert near.other is far
        assert near.settings is not None
        assert near.settings.remote == (alice.local[0], 4002)
        assert not [each for each in alice.inbox if isinstance(each, Request)]


async def test_without_a_prack_the_call_ends() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Require="100rel")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        await alice.response(504)
        cancel = await bob.request("CANCEL")
        bob.answer(cancel, 200)
        bob.answer(invite, 487)
        record = await house.record()
        assert (record.status, record.ended_by, record.cause) == (504, "server", "no PRACK")


async def test_a_program_answers_a_caller_who_requires_it() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        assert await leg.provision(183, media=True) is None
        assert await leg.accept() is None
        leg.disconnect()

    async with House() as house:
        house.board.attach(Programs(greeter=greeter))
        bob = house.phone(BOB)
        bob.call(f"sip:greeter@{DOMAIN}", Require="100rel")
        early = await bob.response(183)
        assert port(early) == house.studio.streams[0].local[1]
        await acknowledge(bob, early)
        assert not (await bob.response(200)).body
        bob.send("ACK")
        bob.answer(await bob.request("BYE"), 200)
        assert (await house.record()).outcome == "answered"


@pytest.mark.parametrize("allowed", [True, False])
async def test_hold_by_update(allowed: bool) -> None:
    """It goes on as an UPDATE to who takes that, else as a re-INVITE."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        if allowed:
            bob.send("UPDATE", Allow=UPDATES)
            await bob.response(200, "UPDATE")
        alice.send("UPDATE", alice.sdp(4000, "sendonly"))
        asked = await bob.request("UPDATE" if allowed else "INVITE")
        assert SessionDescription.parse(asked.body).on_hold
        bob.answer(asked, 200, bob.sdp(5000, "recvonly"))
        if not allowed:
            await bob.request("ACK")
        answer = await alice.response(200, "UPDATE")
        audio = SessionDescription.parse(answer.body)
        assert audio.audio is not None
        assert audio.direction(audio.audio) == "recvonly"


async def test_a_refused_update_leaves_the_call_as_it_was() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        before = heard_by(house)
        alice.send("UPDATE", alice.sdp(4444))
        asked = await bob.request("INVITE")
        bob.answer(asked, 488)
        await bob.request("ACK")
        await alice.response(488, "UPDATE")
        assert heard_by(house) == before
        alice.send("UPDATE", alice.sdp(4446))
        again = await bob.request("INVITE")
        bob.answer(again, 200, bob.sdp(5000))
        await bob.request("ACK")
        await alice.response(200, "UPDATE")
        assert heard_by(house) == ((alice.local[0], 4446), (bob.local[0], 5000))


@pytest.mark.parametrize("allowed", [True, False])
async def test_the_caller_changes_his_audio_while_it_rings(allowed: bool) -> None:
    """To a phone that can be asked, or answered with what it has said already."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Supported="100rel")
        invite = await bob.request("INVITE")
        if allowed:
            ring(bob, invite, 1, 183, bob.sdp(5000))
            await acknowledged(bob)
        else:
            bob.answer(invite, 183, bob.sdp(5000))
        await acknowledge(alice, await alice.response(183))
        alice.send("UPDATE", alice.sdp(4002))
        if allowed:
            bob.answer(await bob.request("UPDATE"), 200, bob.sdp(5002))
        answer = await alice.response(200, "UPDATE")
        assert port(answer) == house.studio.streams[0].local[1]
        assert heard_by(house) == ((alice.local[0], 4002), (bob.local[0], 5002 if allowed else 5000))
        bob.answer(invite, 200, b"" if allowed else bob.sdp(5000))
        assert not (await alice.response(200)).body


@pytest.mark.parametrize("allowed", [True, False])
async def test_the_phone_changes_its_audio_while_it_rings(allowed: bool) -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Supported="100rel", **({"Allow": UPDATES} if allowed else {}))
        invite = await bob.request("INVITE")
        ring(bob, invite, 1, 183, bob.sdp(5000))
        await acknowledged(bob)
        await acknowledge(alice, await alice.response(183))
        bob.takes(invite)
        bob.send("UPDATE", bob.sdp(5002))
        if allowed:
            alice.answer(await alice.request("UPDATE"), 200, alice.sdp(4002))
        await bob.response(200, "UPDATE")
        bob.answer(invite, 200)
        assert not (await alice.response(200)).body
        alice.send("ACK")
        await bob.request("ACK")
        assert heard_by(house) == ((alice.local[0], 4002 if allowed else 4000), (bob.local[0], 5002))


async def test_the_proxy_passes_all_of_it_untouched() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Require="100rel", Supported="100rel", Allow=UPDATES)
        invite = await bob.request("INVITE")
        assert invite.tokens("Require") == {"100rel"}
        bob.answer(invite, 183, bob.sdp(5000), Require="100rel", RSeq="77", Allow=UPDATES)
        ringing = await alice.response(183)
        assert (ringing.get("RSeq"), ringing.body) == ("77", bob.sdp(5000))
        alice.routes = ringing.get_all("Record-Route")[::-1]
        alice.send("PRACK", RAck=f"77 {ringing.cseq}")
        prack = await bob.request("PRACK")
        assert prack.get("RAck") == f"77 {ringing.cseq}"
        bob.answer(prack, 200)
        await alice.response(200, "PRACK")
        alice.send("UPDATE", alice.sdp(4002))
        update = await bob.request("UPDATE")
        assert update.body == alice.sdp(4002)
        bob.answer(update, 200, bob.sdp(5002))
        assert (await alice.response(200, "UPDATE")).body == bob.sdp(5002)
        bob.answer(invite, 200)
        assert not (await alice.response(200)).body
        alice.send("ACK")
        await bob.request("ACK")
