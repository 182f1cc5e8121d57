"""A phone with two flows: when one fails before it rings, the other is tried; after that, never."""

from __future__ import annotations

from dataclasses import replace

import pytest

from directory.model import AccountRoute, Resolution
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House, Phone

BOTH = pytest.mark.parametrize("features", ["YES", "NO"], ids=["b2bua", "proxy"])
INSTANCE = '"<urn:uuid:1>"'


def two_flows(house: House, features: str = "YES") -> tuple[Phone, Phone]:
    """Bob's phone, reached in two ways, of which only the first is rung at once."""
    house.town.settings[BOB.id, "CallFeatures"] = features
    first, second = house.phone(BOB), house.phone(BOB)
    bindings = house.town.bindings[BOB.id]
    bindings[:] = [replace(each, instance=INSTANCE, reg_id=number + 1) for number, each in enumerate(bindings)]
    house.town.ringable = lambda account_id: house.town.contacts(account_id)[:1]  # type: ignore[method-assign]
    return first, second


@BOTH
async def test_a_failed_flow_is_followed_by_another(features: str) -> None:
    async with House() as house:
        first, second = two_flows(house, features)
        alice = house.phone(ALICE)
        alice.call(f"sip:bob@{DOMAIN}")
        first.answer(await first.request("INVITE"), 430)
        invite = await second.request("INVITE")
        second.answer(invite, 180)
        await alice.response(180)
        second.answer(invite, 486)
        await alice.response(486)
        alice.send("ACK")
        assert (await house.record()).status == 486
        assert house.studio.loaded() == 0


@BOTH
async def test_when_all_flows_have_failed_the_caller_is_told(features: str) -> None:
    async with House() as house:
        first, second = two_flows(house, features)
        alice = house.phone(ALICE)
        alice.call(f"sip:bob@{DOMAIN}")
        first.answer(await first.request("INVITE"), 430)
        second.answer(await second.request("INVITE"), 503)
        await alice.response(500)  # RFC 3261 §16.7: a 503 is not passed on
        alice.send("ACK")
        await house.record()
        assert house.studio.loaded() == 0


@BOTH
async def test_what_has_rung_is_not_tried_elsewhere(features: str) -> None:
    async with House() as house:
        first, second = two_flows(house, features)
        alice = house.phone(ALICE)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await first.request("INVITE")
        first.answer(invite, 180)
        await alice.response(180)
        first.answer(invite, 503)
        await house.record()
        assert not second.inbox


async def test_the_address_of_one_telephone_rings_only_that_one() -> None:
    async with House() as house:
        alice, desk, pocket = house.phone(ALICE), house.phone(BOB), house.phone(BOB)
        bindings = house.town.bindings[BOB.id]
        house.town.bindings[BOB.id] = [
            replace(binding, instance=f"<urn:{name}>")
            for binding, name in zip(bindings, ("desk", "pocket"), strict=True)
        ]
        route = Resolution(AccountRoute(BOB, services=False, instance="<urn:pocket>"))
        house.town.resolve = lambda *_words, **_more: route  # type: ignore[method-assign]
        alice.call(f"sip:bob@{DOMAIN};gr=urn:pocket")
        pocket.answer(await pocket.request("INVITE"), 200, pocket.sdp())
        await alice.response(200)
        alice.send("ACK")
        alice.send("BYE")
        await pocket.request("BYE")
        assert not desk.inbox
