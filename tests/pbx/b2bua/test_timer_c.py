"""Timer C in a whole call, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from pbx.b2bua.exchange import CallSettings
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House
from tests.simulation.virtual import simulate


@pytest.mark.parametrize("way", ["b2bua", "proxy"])
def test_what_rings_for_ever_ends(way: str) -> None:
    """RFC 3261 §16.6 step 11, §16.8: more than three minutes after its last news the telephone is cancelled."""

    async def play() -> None:
        async with House(CallSettings()) as house:
            house.town.settings[BOB.id, "CallFeatures"] = "YES" if way == "b2bua" else "NO"
            alice, bob = house.phone(ALICE), house.phone(BOB)
            alice.call(f"sip:bob@{DOMAIN}")
            invite = await bob.request("INVITE")
            for _ in range(3):  # a telephone that goes on telling goes on ringing (§16.7 step 2)
                bob.answer(invite, 180)
                await asyncio.sleep(170)
            await asyncio.sleep(10)
            assert not [each for each in bob.inbox if each.method == "CANCEL"]
            await asyncio.sleep(7)
            bob.answer(await bob.request("CANCEL"), 200)
            bob.answer(invite, 487)
            await alice.response(408)
            assert (await house.record()).status == 408

    simulate(play())
