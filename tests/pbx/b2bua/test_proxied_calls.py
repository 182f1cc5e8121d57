"""Calls whose dialog runs from end to end."""

from __future__ import annotations

from directory.model import CallRule, Redirect, Stage
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House


async def test_with_call_features_off_the_dialog_runs_from_end_to_end() -> None:
    """Decision 3: the proxy way; one record all the same."""
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        assert invite.call_id == alice.call_id
        assert invite.body == alice.sdp()
        assert invite.get("Record-Route")
        bob.answer(invite, 180)
        assert (await alice.response(180)).to_tag == bob.tag
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
        assert len(house.board.live()) == 1
        assert not house.studio.streams
        alice.send("BYE")
        bob.answer(await bob.request("BYE"), 200)
        await alice.response(200, "BYE")
        record = await house.record()
        assert (record.outcome, record.cause, record.callee) == ("answered", "BYE", BOB.address)


async def test_a_proxied_call_is_cancelled_or_goes_to_a_program() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect(("#echo",)))]
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        alice.cancel()
        await alice.response(487)
        bob.answer(await bob.request("CANCEL"), 200)
        bob.answer(invite, 487)
        assert (await house.record()).outcome == "cancelled"
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect(("#echo",)))]
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 486)
        await alice.response(200)
        alice.send("ACK")
        alice.send("BYE")
        await alice.response(200, "BYE")
        assert (await house.record()).program == "echo"


async def test_a_proxied_phone_that_answers_when_the_caller_has_been_refused_is_hung_up_on() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, first, second = house.phone(ALICE), house.phone(BOB), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        declined, late = await first.request("INVITE"), await second.request("INVITE")
        second.answer(late, 183, second.sdp(5000), Require="100rel", RSeq="7")
        early = await alice.response(183)
        alice.routes = early.get_all("Record-Route")[::-1]
        alice.send("PRACK", RAck=f"7 {early.cseq}")
        prack = await second.request("PRACK")
        second.answer(prack, 200)
        await alice.response(200, "PRACK")
        first.answer(declined, 603)
        await alice.response(603)
        second.answer(late, 200, second.sdp(5000))
        await second.request("ACK")
        bye = await second.request("BYE")
        assert bye.cseq.number > prack.cseq.number, "RFC 3261 §12.2.2: out of order"
        second.answer(bye, 200)
        assert (await house.record()).status == 603
