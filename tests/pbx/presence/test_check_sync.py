"""Telephones are told to fetch their settings again, those that are meant and no others."""

from __future__ import annotations

import asyncio

import pytest

from directory.model import Account
from pbx.presence.check_sync import CheckSync
from tests.pbx.exchange import Exchange, Phone, play
from tests.simulation.virtual import simulate

MAC = "001565123456"


async def _registered(house: Exchange, host: str, agent: str) -> Phone:
    phone = house.phone("alice", host)
    assert (await phone.register(("User-Agent", agent))).status == 200
    await phone.next_request(1)  # the lamp
    return phone


def _alice(house: Exchange) -> Account:
    account = house.directory.account(house.account_id("alice"))
    assert account is not None
    return account


def _teller(house: Exchange) -> CheckSync:
    return CheckSync(house.entropy, house.metrics, house.stack, house.bindings)


@pytest.mark.parametrize("status", [200, 489])
def test_the_one_that_names_its_mac_is_meant(status: int) -> None:
    async def scene(house: Exchange) -> None:
        named = await _registered(house, "10.0.0.21", "Yealink SIP-T46S 66.85.0.5 00:15:65:12:34:56")
        other = await _registered(house, "10.0.0.22", "Yealink SIP-T46S 66.85.0.5")
        named.answers = status
        said = await _teller(house).tell(_alice(house), "check-sync;reboot=false", MAC, ("yealink",))
        assert said == [status]
        notify = await named.next_request(1)
        assert (notify.get("Event"), notify.get("Subscription-State")) == ("check-sync;reboot=false", "terminated")
        assert not notify.body
        assert other.requests.empty()

    simulate(play(scene))


def test_without_a_mac_all_of_the_family_are_and_silence_is_told() -> None:
    async def scene(house: Exchange) -> None:
        first = await _registered(house, "10.0.0.21", "Yealink SIP-T46S")
        await _registered(house, "10.0.0.22", "baresip v1.0")
        first.answers = None
        telling = asyncio.ensure_future(_teller(house).tell(_alice(house), "check-sync", MAC, ("yealink",)))
        assert (await first.next_request(1)).get("Event") == "check-sync"
        assert await telling == [408]
        assert await _teller(house).tell(_alice(house), "resync", MAC, ("sipura",)) == []

    simulate(play(scene))
