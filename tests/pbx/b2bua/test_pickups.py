"""Ringing calls that are picked up by number: `**nnn` and `*8`."""

from __future__ import annotations

from directory.model import Account
from pbx.sipcore.message import Request
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone
from tests.pbx.b2bua.test_lines import lines


def domain_may(house: House) -> None:
    house.exchange.may_pick_up = lambda caller, account: caller.account is not None


async def rings(house: House, caller: Phone, callee: Phone) -> Request:
    """The call rings; the INVITE of the one who is called."""
    caller.call(f"sip:{callee.account.name}@{DOMAIN}")
    invite = await callee.request("INVITE")
    callee.answer(invite, 180)
    await caller.response(180)
    return invite


async def takes(house: House, caller: Phone, ringing: Phone, invite: Request, picker: Phone, number: str) -> None:
    """Whoever dials that number gets the call, and the telephone that rang is told why it rings no more."""
    picker.call(f"sip:{number}@{DOMAIN}", picker.sdp(7000))
    await picker.response(200)
    picker.send("ACK")
    picker.answer(await picker.request("INVITE"), 200, picker.sdp(7000))
    answer = await caller.response(200)
    assert answer.get("P-Asserted-Identity") == f'"{picker.account.real_name}" <sip:{picker.account.address}>'
    caller.send("ACK")
    cancel = await ringing.request("CANCEL")
    assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    ringing.answer(cancel, 200)
    ringing.answer(invite, 487)
    assert house.studio.streams[0].other is house.studio.streams[-1]


async def test_the_call_of_an_extension_is_picked_up() -> None:
    async with House() as house:
        domain_may(house)
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        invite = await rings(house, alice, bob)
        await takes(house, alice, bob, invite, carol, "**bob")
        assert [len(lines(house, each)) for each in (ALICE, BOB, CAROL)] == [1, 0, 1]
        alice.send("BYE")
        carol.answer(await carol.request("BYE"), 200)
        record = await house.record()
        assert (record.outcome, record.callee, record.callee_account) == ("answered", CAROL.address, CAROL.id)
        assert house.studio.loaded() == 0


async def test_of_several_calls_the_oldest_is_taken() -> None:
    dave = Account(4, DOMAIN, "dave", "Dave")
    async with House() as house:
        domain_may(house)
        first, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        second = house.phone(dave, registered=False)
        invite = await rings(house, first, bob)
        later = await rings(house, second, carol)
        await takes(house, first, bob, invite, house.phone(CAROL, registered=False), "*8")
        carol.answer(later, 200, carol.sdp())
        await second.response(200)


async def test_who_may_not_hears_that_nothing_rings() -> None:
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        invite = await rings(house, alice, bob)
        for number in ("**bob", "**carol", "*8"):
            carol.call(f"sip:{number}@{DOMAIN}")
            await carol.response(480)
            carol.send("ACK")
            carol = carol.line()
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)


async def test_a_call_is_picked_up_once() -> None:
    async with House() as house:
        domain_may(house)
        alice, bob = house.phone(ALICE), house.phone(BOB)
        invite = await rings(house, alice, bob)
        carol, other = house.phone(CAROL), house.phone(CAROL, registered=False)
        carol.call(f"sip:**bob@{DOMAIN}", carol.sdp(7000))
        await carol.response(200)
        other.call(f"sip:**bob@{DOMAIN}")
        await other.response(480)
        carol.send("BYE")
        await carol.response(200, "BYE")
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)


async def test_an_extension_that_is_not_known_is_refused() -> None:
    async with House() as house:
        domain_may(house)
        carol = house.phone(CAROL)
        carol.call(f"sip:**bob@{DOMAIN}", Require="teleportation")
        assert (await carol.response(420)).get("Unsupported") == "teleportation"
