"""Calls to numbers that are looked up first: what is found is rung, what is not goes another way, limits hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from base.clock import LoopClock
from directory.model import Account, Address, ForeignRoute
from pbx.lookup.lookups import LookUps
from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import EnumRule
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House, Phone
from tests.pbx.b2bua.test_toll import ledger

NUMBER = "+4930123"
NAME = "3.2.1.0.3.9.4.e164.example"
FAR = "far.example"
WAYS = pytest.mark.parametrize("features", ["YES", "NO"], ids=["b2bua", "proxy"])


class Zones(MemoryNetwork):
    """Counts what it is asked; `slow` never answers."""

    asked = 0
    slow = False

    async def enum(self, name: str) -> Sequence[EnumRule]:
        self.asked += 1
        if self.slow:
            await asyncio.sleep(3600)
        return await super().enum(name)


@asynccontextmanager
async def town(
    *found: str, features: str = "YES", other: bool = False
) -> AsyncIterator[tuple[House, Zones, Phone, Phone, Phone]]:
    """The house, its network, alice, bob, and a stranger at `far.example`, also the `other` way of the number."""
    rules = [EnumRule(number, 0, "E2U+sip", f"!^.*$!{address}!") for number, address in enumerate(found)]
    clock = LoopClock(asyncio.get_running_loop())
    network = Zones(clock, names={FAR: ("10.0.1.3",), "dead.example": ("10.0.9.9",)}, numbers={NAME: rules})
    async with House(network=network) as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        stranger = house.phone(Account(0, FAR, "desk"), registered=False)
        others = (ForeignRoute(Address("other", FAR)),) if other else ()
        house.town.ways[NUMBER] = ForeignRoute(Address(NUMBER, "e164.example.enum"), others=others)
        house.town.settings[ALICE.id, "CallFeatures"] = features
        house.town.settings[BOB.id, "CallFeatures"] = features
        house.exchange.lookups = LookUps(house.metrics, house.town, network)
        yield house, network, alice, bob, stranger


async def talks(alice: Phone, callee: Phone) -> str:
    """The Request-URI by which the callee was asked for."""
    invite = await callee.request("INVITE")
    callee.takes(invite)
    callee.answer(invite, 200, callee.sdp())
    await alice.response(200)
    alice.send("ACK")
    await callee.request("ACK")
    alice.send("BYE")
    callee.answer(await callee.request("BYE"), 200)
    return invite.uri


@WAYS
async def test_a_number_that_is_found_elsewhere_is_called_there(features: str) -> None:
    async with town(f"sip:desk@{FAR}", features=features) as (house, _, alice, _, stranger):
        alice.call(f"sip:{NUMBER}@{DOMAIN}")
        assert await talks(alice, stranger) == f"sip:desk@{FAR}"
        assert (await house.record()).callee == f"desk@{FAR}"


@WAYS
async def test_a_number_of_somebody_here_rings_here(features: str) -> None:
    async with town(f"sip:bob@{DOMAIN}", features=features) as (house, _, alice, bob, _):
        alice.call(f"sip:{NUMBER}@{DOMAIN}")
        await talks(alice, bob)
        assert (await house.record()).callee_account == BOB.id


@WAYS
async def test_a_number_that_nobody_has_goes_the_other_way(features: str) -> None:
    async with town(features=features, other=True) as (_, network, alice, _, stranger):
        alice.call(f"sip:{NUMBER}@{DOMAIN}")
        assert await talks(alice, stranger) == f"sip:other@{FAR}"
        assert network.asked == 1


async def test_a_number_that_nobody_has_is_not_found() -> None:
    async with town() as (_, _, alice, _, _):
        alice.call(f"sip:{NUMBER}@{DOMAIN}")
        await alice.response(404)
        alice.send("ACK")


async def test_what_is_found_and_fails_is_followed_by_what_else_is_found_then_by_the_other_way() -> None:
    async with town(f"sip:one@{FAR}", f"sip:two@{FAR}", other=True) as (_, _, alice, _, stranger):
        alice.call(f"sip:{NUMBER}@{DOMAIN}")
        for name in ("one", "two"):
            invite = await stranger.request("INVITE")
            assert invite.uri == f"sip:{name}@{FAR}"
            stranger.answer(invite, 500)
        assert await talks(alice, stranger) == f"sip:other@{FAR}"


async def test_a_caller_who_gives_up_ends_the_look_up() -> None:
    async with town(f"sip:desk@{FAR}", other=True) as (house, network, alice, _, stranger):
        network.slow = True
        alice.call(f"sip:{NUMBER}@{DOMAIN}")
        async with asyncio.timeout(5):
            while not network.asked:
                await asyncio.sleep(0.01)
        alice.cancel()
        await alice.response(487)
        alice.send("ACK")
        assert (await house.record()).outcome == "cancelled"
        assert not stranger.inbox


async def test_what_is_found_counts_and_must_be_allowed() -> None:
    """The look-up itself costs nothing; who may not call out looks nothing up."""
    async with town(f"sip:desk@{FAR}") as (house, network, alice, _, stranger):
        with ledger(house) as guard:
            house.town.settings[ALICE.id, "CallOutDenied"] = [f"*@{FAR}"]
            alice.call(f"sip:{NUMBER}@{DOMAIN}")
            await alice.response(403)
            alice.send("ACK")
            assert guard.asked == [("alice", "desk")]
            house.town.settings[ALICE.id, "CallOutLocked"] = "YES"
            alice.call_id, alice.tag = "next", "next"
            alice.call(f"sip:{NUMBER}@{DOMAIN}")
            await alice.response(403)
            alice.send("ACK")
            assert network.asked == 1
            assert not stranger.inbox
