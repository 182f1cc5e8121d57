"""Who asks somebody before he sends the other party there, and does not wait for the answer (RFC 5589 §7.6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbx.mediaproxy.engine import Clip
from pbx.sipcore.message import Request
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_lines import lines
from tests.pbx.b2bua.test_transfers import named, told


async def question(house: House, *, with_replaces: bool) -> tuple[Phone, Phone, Phone, Phone, Request]:
    """Bob, who talks to Alice, asks Carol, and sends Alice there while it still rings. With Carol's INVITE."""
    house.exchange.sound = lambda name, account: Clip(Path(name), name)
    alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
    await connected(house, alice, bob)
    asks = bob.line()
    asks.call(f"sip:carol@{DOMAIN}")
    rung = await carol.request("INVITE")
    carol.answer(rung, 180)
    await asks.response(180)
    bob.send(
        "REFER", Refer_To=f"<sip:carol@{DOMAIN}?Replaces={named(asks)}>" if with_replaces else f"<sip:carol@{DOMAIN}>"
    )
    await bob.response(202, "REFER")
    await asks.response(487)
    asks.send("ACK")
    return alice, bob, asks, carol, rung


@pytest.mark.parametrize("with_replaces", [True, False])
async def test_a_question_that_still_rings_becomes_the_partys_call(with_replaces: bool) -> None:
    """RFC 5589 §7.6: the telephone that rings is not called again."""
    async with House() as house:
        alice, bob, asks, carol, rung = await question(house, with_replaces=with_replaces)
        asks.cancel()
        hers = house.studio.streams[0]
        assert hers.playing == "ringing"
        assert lines(house, CAROL) == [("recipient", "early")]
        carol.answer(rung, 200, carol.sdp(6000))
        assert (await told(bob, 200)).startswith("terminated")
        bob.answer(await bob.request("BYE"), 200)
        offer = await alice.request("INVITE")
        assert offer.get("P-Asserted-Identity") == f'"Carol" <sip:carol@{DOMAIN}>'
        alice.answer(offer, 200, alice.sdp())
        assert (await carol.request("INVITE")).get("P-Asserted-Identity") == f'"Alice" <sip:alice@{DOMAIN}>'
        assert [len(lines(house, each)) for each in (ALICE, BOB, CAROL)] == [1, 0, 1]
        one, other = [stream for stream in house.studio.streams if not stream.closed]
        assert one.other is other
        assert not [each for each in carol.inbox if each.is_request and each.method != "ACK"]


@pytest.mark.parametrize("codec", ["0", "33"])
async def test_a_question_without_an_offer_becomes_the_partys_call(codec: str) -> None:
    """Carol's telephone offers when it answers, and is answered for Alice; where nothing fits, all is as before."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        asks = bob.line()
        asks.call(f"sip:carol@{DOMAIN}", b"")
        rung = await carol.request("INVITE")
        carol.answer(rung, 180)
        await asks.response(180)
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        await asks.response(487)
        unfit = carol.sdp(6000, codecs="33").replace(b"a=rtpmap:101 telephone-event", b"a=rtpmap:33 MP2T")
        carol.answer(rung, 200, carol.sdp(6000) if codec == "0" else unfit)
        ack = await carol.request("ACK")
        if codec == "0":
            assert b"m=audio" in ack.body
            offer = await alice.request("INVITE")
            alice.answer(offer, 200, alice.sdp())
            await alice.request("ACK")
            assert (await told(bob, 200)).startswith("terminated")
            bob.answer(await bob.request("BYE"), 200)
            one, other = [stream for stream in house.studio.streams if not stream.closed]
            assert other.settings is not None
            assert (one.other, other.settings.remote) == (other, (carol.local[0], 6000))
        else:
            carol.answer(await carol.request("BYE"), 200)
            await told(bob, 488)
            alice.send("INFO", b"x", "text/plain")
            await bob.request("INFO")
        assert not [each for each in carol.inbox if each.is_request and not each.to_tag], "she is not called again"


async def test_a_question_that_is_refused_leaves_the_party_where_it_was() -> None:
    async with House() as house:
        alice, bob, _, carol, rung = await question(house, with_replaces=True)
        carol.answer(rung, 486)
        assert (await told(bob, 486)).startswith("terminated")
        alice.send("INFO", b"x", "text/plain")
        await bob.request("INFO")
        assert [len(lines(house, each)) for each in (ALICE, BOB, CAROL)] == [1, 1, 0]


async def test_another_telephone_of_the_account_is_not_meant_by_a_blind_transfer() -> None:
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        mobile = house.phone(BOB, registered=False)
        await connected(house, alice, bob)
        mobile.call(f"sip:carol@{DOMAIN}")
        first = await carol.request("INVITE")
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        assert (await carol.request("INVITE")).call_id != first.call_id
