"""What leaves the server leaves on somebody's rights: dialled, diverted, forked, transferred."""

from __future__ import annotations

import asyncio

from directory.model import Account, Address, CallRule, ForeignRoute, Redirect, Stage
from pbx.b2bua.phone_branch import targets_of
from pbx.signal.branch import Device, Foreign
from pbx.sipcore.message import Response
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House
from tests.pbx.b2bua.test_calls import connected

STRANGER = Account(99, "elsewhere.example", "stranger")
OUT = "1900@elsewhere.example"


async def refused(house: House) -> float:
    return house.metrics.value("calls.outside-refused")


async def test_a_stranger_is_kept_in_and_an_account_is_not() -> None:
    async with House() as house:
        stranger, alice = house.phone(STRANGER, registered=False), house.phone(ALICE)
        stranger.call(f"sip:{OUT}")
        await stranger.response(403)
        stranger.send("ACK")
        assert await refused(house) == 1
        alice.call(f"sip:{OUT}")
        assert (await alice.response(480)).status == 480  # it left, and the name leads nowhere here
        alice.send("ACK")
        assert await refused(house) == 1


async def test_a_diverted_call_leaves_on_the_rights_of_who_diverts_it() -> None:
    async with House() as house:
        stranger = house.phone(STRANGER, registered=False)
        house.town.rules[BOB.id] = [CallRule(Stage.AT_ONCE, Redirect((OUT,)))]
        stranger.call(f"sip:bob@{DOMAIN}")
        await stranger.response(480)
        stranger.send("ACK")
        assert await refused(house) == 0
        house.town.settings[BOB.id, "OutsideCalls"] = "NO"
        again = house.phone(STRANGER, registered=False)
        again.call(f"sip:bob@{DOMAIN}")
        await again.response(403)
        again.send("ACK")
        assert await refused(house) == 1


async def test_a_party_refers_on_its_own_rights_only() -> None:
    """RFC 3515: the target is called on the rights of who refers, and Bob may not call out."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        house.town.settings[BOB.id, "OutsideCalls"] = "NO"
        await connected(house, alice, bob)
        bob.send("REFER", Refer_To=f"<sip:{OUT}>")
        await bob.response(202, "REFER")
        while not (notify := await bob.request("NOTIFY")).body.startswith(b"SIP/2.0 403"):
            bob.answer(notify, 200)
        bob.answer(notify, 200)
        assert await refused(house) == 1


async def test_who_replaced_the_caller_has_not_his_rights() -> None:
    """RFC 5589 §7: after an attended transfer the caller's place in the call is taken by a party without rights."""
    async with House() as house:
        stranger, bob, carol = house.phone(STRANGER, registered=False), house.phone(BOB), house.phone(CAROL)
        second = house.phone(BOB, registered=False)
        await connected(house, stranger, bob)
        await connected(house, second, carol)
        to_tag = second.remote_to.partition(";tag=")[2]
        replaces = f"{second.call_id}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{second.tag}"
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}?Replaces={replaces}>")
        await bob.response(202, "REFER")
        renewed = await stranger.request("INVITE")
        stranger.answer(renewed, 200, stranger.sdp())
        await bob.request("BYE")
        await second.request("BYE")
        resumed = await carol.request("INVITE")
        carol.answer(resumed, 200, carol.sdp())
        await carol.request("ACK")
        await asyncio.sleep(0.05)
        stranger.send("REFER", Refer_To=f"<sip:{OUT}>")
        await stranger.response(202, "REFER")
        while not (notify := await stranger.request("NOTIFY")).body.startswith(b"SIP/2.0 403"):
            stranger.answer(notify, 200)
        stranger.answer(notify, 200)
        assert await refused(house) == 1


def test_a_server_elsewhere_starts_no_program_in_the_name_of_who_sent_the_call_there() -> None:
    """A telephone of the account may: `resolve_target` reads both as the account's own rules."""
    response = Response(302, "Moved Temporarily")
    good = [f"<sip:carol@{DOMAIN}>", "<sip:x@far.example>"]
    bad = [f"<sip:service%7B72%2C15551234%7D%23bob@{DOMAIN}>", f"<sip:%23voicemail@{DOMAIN}>"]
    for contact in (*bad, *good):
        response.add("Contact", contact)
    assert targets_of(response, Foreign(ForeignRoute(Address("x", "far.example")))) == tuple(good)
    assert targets_of(response, Device(BOB, "sip:bob@10.0.1.1")) == (*bad, *good)
