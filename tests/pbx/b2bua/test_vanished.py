"""A party on hold that has vanished without a BYE: it is asked, and what it answers counts."""

from __future__ import annotations

from pbx.b2bua.exchange import CallSettings
from pbx.signal.port import Limits
from pbx.sipcore.session_ports import SessionTimers
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, T1, House, Phone
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_holding import change

SOON = CallSettings(silence=0.1, timers=SessionTimers(T1, 4 * T1), signal=Limits(drain=0.2))


async def _hold(alice: Phone, bob: Phone) -> None:
    await change(alice, bob, alice.sdp(direction="sendonly"), bob.sdp(direction="recvonly"))


async def test_a_call_on_hold_lasts_while_both_know_it() -> None:
    async with House(SOON) as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        await _hold(alice, bob)
        for _ in range(3):
            alice.answer(await alice.request("OPTIONS"), 200)
            bob.answer(await bob.request("OPTIONS"), 405)
        assert house.board.live()
        alice.send("BYE")
        await alice.response(200, "BYE")
        assert (await house.record()).cause == "BYE"


async def test_a_call_on_hold_ends_when_one_knows_it_no_more() -> None:
    async with House(SOON) as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        await _hold(alice, bob)
        alice.answer(await alice.request("OPTIONS"), 481)
        bob.answer(await bob.request("BYE"), 200)
        record = await house.record()
        assert (record.ended_by, record.cause) == ("caller", "no answer")


async def test_a_caller_who_holds_a_program_is_asked_too() -> None:
    async with House(SOON) as house:
        alice = house.phone(ALICE)
        alice.call(f"sip:echo@{DOMAIN}")
        await alice.response(200)
        alice.send("ACK")
        alice.send("INVITE", alice.sdp(direction="sendonly"))
        await alice.response(200)
        alice.send("ACK")
        alice.answer(await alice.request("OPTIONS"), 481)
        assert (await house.record()).cause == "no answer"
