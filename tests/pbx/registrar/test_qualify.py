"""Asking phones whether they are there: spread over time, shown, and left out of forking only when others answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pbx.registrar.bindings import Health
from pbx.registrar.qualify import Qualifier, Qualifying
from pbx.sipcore.flow import Flow
from tests.pbx.exchange import SERVER, Exchange, Phone, play
from tests.simulation.virtual import simulate


def behind_nat(house: Exchange, number: int, user: str = "bob") -> Phone:
    """A phone that calls itself by its private address and is seen at another."""
    phone = house.phone(user, host=f"203.0.113.{number}")
    phone.said = (f"192.168.1.{number}", 5060)
    return phone


def qualifier(house: Exchange, settings: Qualifying | None = None) -> Qualifier:
    made = Qualifier(house.clock, house.entropy, house.metrics, house.stack, house.bindings, settings)
    made.start()
    return made


async def asked(phone: Phone, seconds: float) -> int:
    """How many OPTIONS came in that time."""
    await asyncio.sleep(seconds)
    count = 0
    while not phone.requests.empty():
        count += phone.requests.get_nowait().method == "OPTIONS"
    return count


def health(house: Exchange, user: str = "bob") -> list[Health | None]:
    return [house.bindings.health(binding) for binding in house.bindings.contacts(house.account_id(user))]


def test_one_that_answers_is_reachable_and_its_way_is_timed() -> None:
    async def scene(house: Exchange) -> None:
        phone, near = behind_nat(house, 7), house.phone("alice")
        await phone.register()
        await near.register()
        made = qualifier(house)
        phone.answers = 501
        assert await asked(phone, 200) == 3
        assert await asked(near, 0) == 0
        (found,) = health(house)
        assert found is not None
        assert (found.failures, found.reachable) == (0, True)
        phone.answers = None
        question = await phone.next_request(70)
        await asyncio.sleep(0.25)
        phone.respond(question, 200)
        await asyncio.sleep(0.1)
        (found,) = health(house)
        assert found is not None
        assert found.rtt == pytest.approx(0.25)
        made.close()

    simulate(play(scene))


def test_one_that_falls_silent_is_left_out_when_another_answers() -> None:
    async def scene(house: Exchange) -> None:
        bob, made = house.account_id("bob"), qualifier(house)
        dead, alive = behind_nat(house, 7), behind_nat(house, 8)
        await dead.register()
        await asyncio.sleep(2)
        dead.answers = None
        await asyncio.sleep(100)
        assert [one is not None and one.reachable for one in health(house)] == [True]  # once is not enough
        await asyncio.sleep(60)
        assert house.metrics.snapshot()["pbx.registrar.unreachable"] == 1
        assert len(house.bindings.ringable(bob)) == 1  # there is no other
        await alive.register()
        assert [binding.flow.remote[0] for binding in house.bindings.ringable(bob)] == ["203.0.113.8"]
        assert len(house.bindings.contacts(bob)) == 2
        dead.answers = 200
        await asyncio.sleep(130)
        assert len(house.bindings.ringable(bob)) == 2
        made.close()

    simulate(play(scene))


def test_silence_where_it_was_says_nothing_of_where_it_is() -> None:
    async def scene(house: Exchange) -> None:
        made = qualifier(house)
        phone = behind_nat(house, 7)
        await phone.register()
        await asyncio.sleep(2)
        phone.answers = None
        await asyncio.sleep(60)  # it has been asked
        binding = house.bindings.contacts(house.account_id("bob"))[0]
        house.bindings.put(replace(binding, flow=Flow("udp", SERVER, ("203.0.113.7", 9))))
        await asyncio.sleep(33)
        assert [one is None or not one.failures for one in health(house)] == [True]
        made.close()

    simulate(play(scene))


def test_who_registers_again_is_given_another_chance() -> None:
    async def scene(house: Exchange) -> None:
        bob = house.account_id("bob")
        one, other = behind_nat(house, 7), behind_nat(house, 8)
        await one.register()
        await other.register()
        for binding in house.bindings.contacts(bob):
            if binding.flow.remote[0] == "203.0.113.7":
                house.bindings.judge(binding, Health(2, False))
        assert len(house.bindings.ringable(bob)) == 1
        await one.register()
        assert len(house.bindings.ringable(bob)) == 2

    simulate(play(scene))


@pytest.mark.parametrize(("seconds", "rate", "longest"), [(60, 50, 60), (10, 2, 15)])
def test_questions_are_spread_and_their_rate_is_bounded(seconds: int, rate: int, longest: int) -> None:
    async def scene(house: Exchange) -> None:
        phones = [behind_nat(house, number, "bob" if number % 2 else "alice") for number in range(1, 21)]
        for phone in phones:
            assert (await phone.register()).status == 200
        made = qualifier(house, Qualifying(seconds, rate=rate))
        await asyncio.sleep(seconds - 1)
        counts = [sum([await asked(phone, 0) for phone in phones])]
        assert counts == [0]
        each = []
        for _ in range(longest):
            await asyncio.sleep(1)
            each.append(sum([await asked(phone, 0) for phone in phones]))
        assert max(each) <= max(1, min(rate, -(-20 // seconds)))
        assert sum(each) == 20
        made.close()

    simulate(play(scene))


def test_off_is_off() -> None:
    async def scene(house: Exchange) -> None:
        phone = behind_nat(house, 7)
        await phone.register()
        qualifier(house, Qualifying(0))
        assert await asked(phone, 500) == 0

    simulate(play(scene))
