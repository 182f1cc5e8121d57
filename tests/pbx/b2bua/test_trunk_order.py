"""A number that leads to several trunks: which refusals lead to the next one, and whose call goes through always."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from base.entropy import SeededEntropy
from base.storage.inline import InlineDatabases
from directory.model import Account, AccountRoute, Address, CallRule, ForeignRoute, Fork, Redirect, Stage
from directory.secrets import Keyring
from pbx.b2bua import phone_branch
from pbx.trunk.model import Trunk
from pbx.trunk.trunks import Trunks
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House, Phone

NUMBER = "0301234567"
HELP = "112"
WAYS = pytest.mark.parametrize("features", ["YES", "NO"], ids=["b2bua", "proxy"])


def ways(number: str, *, emergency: bool = False) -> ForeignRoute:
    """By the trunk `cheap`, else by `dear`."""
    second = ForeignRoute(Address(number, "dear"), emergency=emergency)
    return ForeignRoute(Address(number, "cheap"), emergency=emergency, others=(second,))


@dataclass
class Street:
    """Alice, bob, and two carriers."""

    house: House
    alice: Phone
    bob: Phone
    cheap: Phone
    dear: Phone
    trunks: Trunks

    async def refuse(self, carrier: Phone, status: int, **headers: str) -> None:
        carrier.answer(await carrier.request("INVITE"), status, **headers)

    def again(self) -> None:
        """Alice's next call."""
        self.alice.routes, self.alice.tag = [], f"{self.alice.tag}+"
        self.alice.call_id += "+"
        self.alice.call(f"sip:{NUMBER}@{DOMAIN}")

    async def talks(self, carrier: Phone) -> None:
        """It takes the call, which alice then ends."""
        invite = await carrier.request("INVITE")
        assert invite.body, "the carrier is offered what alice offers"
        carrier.takes(invite)
        carrier.answer(invite, 200, carrier.sdp())
        await self.alice.response(200)
        self.alice.send("ACK")
        await carrier.request("ACK")
        self.alice.send("BYE")
        carrier.answer(await carrier.request("BYE"), 200)
        await self.alice.response(200, "BYE")


@asynccontextmanager
async def street(*, registers: bool = False) -> AsyncIterator[Street]:
    """`registers`: whether `cheap` has to, which it never manages."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        carriers = [house.phone(Account(0, f"{name}.test", name), registered=False) for name in ("cheap", "dear")]
        databases = InlineDatabases()
        keyring = Keyring(b"k" * 32, SeededEntropy(2))
        clock, metrics = house.exchange.clock, house.metrics
        trunks = Trunks(clock, SeededEntropy(3), metrics, house.stack, await databases.main(), keyring)
        await trunks.start()
        for name, carrier in zip(("cheap", "dear"), carriers, strict=True):
            proxy = f"{carrier.local[0]}:{carrier.local[1]}"
            needs = registers and name == "cheap"
            await trunks.put(Trunk(name, f"{name}.test", user="4930", proxy=proxy, registers=needs), "secret")
        house.exchange.trunks = trunks
        house.town.ways = {NUMBER: ways(NUMBER), HELP: ways(HELP, emergency=True)}
        yield Street(house, alice, bob, carriers[0], carriers[1], trunks)
        databases.discard()


@WAYS
@pytest.mark.parametrize(("status", "headers"), [(503, {}), (502, {}), (404, {"Reason": "Q.850;cause=34"})])
async def test_a_carrier_at_fault_is_followed_by_the_next(status: int, headers: dict[str, str], features: str) -> None:
    async with street() as here:
        here.house.town.settings[ALICE.id, "CallFeatures"] = features
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        await here.refuse(here.cheap, status, **headers)
        await here.talks(here.dear)
        record = await here.house.record()
        assert (record.outcome, record.callee) == ("answered", f"{NUMBER}@dear")


@pytest.mark.parametrize("status", [403, 404, 408, 480, 486, 603])
async def test_a_callee_who_cannot_be_had_is_not_rung_again(status: int) -> None:
    async with street() as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        await here.refuse(here.cheap, status)
        await here.alice.response(status)
        here.alice.send("ACK")
        assert not here.dear.inbox


@pytest.mark.parametrize("rings", [180, 183])
async def test_once_it_has_been_heard_it_is_the_callers_to_try_again(rings: int) -> None:
    async with street() as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        invite = await here.cheap.request("INVITE")
        here.cheap.answer(invite, rings, here.cheap.sdp() if rings == 183 else b"")
        await here.alice.response(rings)
        here.cheap.answer(invite, 503)
        await here.alice.response(500)  # RFC 3261 §16.7 step 6
        here.alice.send("ACK")
        assert not here.dear.inbox


async def test_a_bare_183_is_nothing_that_a_caller_hears() -> None:
    async with street() as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        invite = await here.cheap.request("INVITE")
        here.cheap.answer(invite, 183)
        here.cheap.answer(invite, 503)
        await here.talks(here.dear)


async def test_a_carrier_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is told to stop, should it wake up."""
    monkeypatch.setattr(phone_branch, "PATIENCE", 0.3)
    async with street() as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        late = await here.cheap.request("INVITE")
        await here.talks(here.dear)
        here.cheap.answer(late, 180)
        here.cheap.answer(await here.cheap.request("CANCEL"), 200)

        line = here.trunks.line("cheap")
        assert (line.condition, line.said) == ("down", "a call got no answer")
        here.again()
        await here.talks(here.dear)  # not asked the silent one first
        here.cheap.answer(await here.cheap.request("OPTIONS"), 405)
        async with asyncio.timeout(5):
            while line.condition != "up":
                await asyncio.sleep(0.01)
        here.again()
        await here.talks(here.cheap)


async def test_a_carrier_that_is_trying_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_branch, "PATIENCE", 0.1)
    async with street() as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        invite = await here.cheap.request("INVITE")
        here.cheap.answer(invite, 100)
        await asyncio.sleep(0.3)
        here.cheap.answer(invite, 486)
        await here.alice.response(486)
        here.alice.send("ACK")
        assert not here.dear.inbox


async def test_the_last_one_is_given_all_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_branch, "PATIENCE", 0.05)
    async with street() as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        await here.refuse(here.cheap, 503)
        invite = await here.dear.request("INVITE")
        await asyncio.sleep(0.2)
        here.dear.answer(invite, 486)
        await here.alice.response(486)
        here.alice.send("ACK")


async def test_a_caller_who_gives_up_ends_the_walk() -> None:
    async with street() as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        invite = await here.cheap.request("INVITE")
        here.cheap.answer(invite, 100)
        here.alice.cancel()
        here.cheap.answer(await here.cheap.request("CANCEL"), 200)
        here.cheap.answer(invite, 503)  # it has not understood
        await here.alice.response(487)
        here.alice.send("ACK")
        assert (await here.house.record()).outcome == "cancelled"
        assert not here.dear.inbox


async def test_a_line_that_is_not_registered_is_passed_over() -> None:
    async with street(registers=True) as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        await here.talks(here.dear)
        assert not here.cheap.inbox


async def test_when_nobody_takes_it_the_last_one_has_the_word() -> None:
    async with street() as here:
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        await here.refuse(here.cheap, 503)
        await here.refuse(here.dear, 404)
        await here.alice.response(404)
        here.alice.send("ACK")
        assert (await here.house.record()).status == 404


async def test_after_the_last_carrier_somebody_here_may_answer() -> None:
    async with street() as here:
        here.house.town.ways[NUMBER] = ways(NUMBER).then((AccountRoute(BOB),))
        here.alice.call(f"sip:{NUMBER}@{DOMAIN}")
        await here.refuse(here.cheap, 503)
        await here.refuse(here.dear, 503)
        await here.talks(here.bob)


@pytest.mark.parametrize("status", [403, 404, 486, 503, 603])
async def test_a_call_for_help_goes_on_whatever_is_said(status: int) -> None:
    """By lines that are down as well, past limits and locks."""
    async with street(registers=True) as here:
        here.house.town.settings[ALICE.id, "CallOutLocked"] = "YES"
        here.house.town.settings[ALICE.id, "CallsLimit"] = 0
        here.alice.call(f"sip:{HELP}@{DOMAIN}")
        invite = await here.dear.request("INVITE")  # the one that is up goes first
        here.dear.answer(invite, 180)
        here.dear.answer(invite, status)
        await here.talks(here.cheap)


@pytest.mark.parametrize("busy", [False, True], ids=["at once", "when busy"])
async def test_a_rule_sends_a_proxied_call_by_a_trunk(busy: bool) -> None:
    """The login is ours, so we answer ourselves; what else rings is reached by proxy."""
    async with street() as here:
        here.house.town.settings[BOB.id, "CallFeatures"] = "NO"
        here.house.town.settings[ALICE.id, "CallFeatures"] = "NO"
        stage = Stage.BUSY if busy else Stage.AT_ONCE
        here.house.town.rules[BOB.id] = [CallRule(stage, Redirect((f"{NUMBER}@{DOMAIN}",)))]
        here.alice.call(f"sip:bob@{DOMAIN}")
        if busy:
            await here.refuse(here.bob, 486)
        await here.refuse(here.cheap, 503)
        await here.talks(here.dear)
        record = await here.house.record()
        assert (record.outcome, record.callee) == ("answered", f"{NUMBER}@dear")


@pytest.mark.parametrize("by_trunk", [True, False], ids=["the trunk", "the telephone"])
async def test_a_trunk_and_a_proxied_telephone_ring_together_and_one_of_them_answers(by_trunk: bool) -> None:
    async with street() as here:
        here.house.town.settings[BOB.id, "CallFeatures"] = "NO"
        here.house.town.rules[BOB.id] = [CallRule(Stage.AT_ONCE, Fork((f"{NUMBER}@{DOMAIN}",)))]
        here.alice.call(f"sip:bob@{DOMAIN}")
        winner, loser = (here.cheap, here.bob) if by_trunk else (here.bob, here.cheap)
        waiting = await loser.request("INVITE")
        loser.answer(waiting, 180)
        await here.talks(winner)
        loser.answer(await loser.request("CANCEL"), 200)
        loser.answer(waiting, 487)
        assert (await here.house.record()).callee == (f"{NUMBER}@cheap" if by_trunk else BOB.address)
