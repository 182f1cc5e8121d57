"""Calls out of the server count for the account on whose rights they run, until they end; some are cut, help is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from directory.model import Account, Address, Caller, CallRule, ForeignRoute, Redirect, Resolution, Stage
from pbx.toll.guard import TollGuard
from pbx.transport.memory import MemoryNetwork
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House, Phone
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_programs import Listener

GATEWAY = "192.0.2.9"
OUT = f"1900@{GATEWAY}"


class Ledger(TollGuard):
    """A guard that remembers whom it was asked for."""

    def __init__(self, house: House) -> None:
        super().__init__(house.exchange.clock, house.metrics, house.town, self)
        self.asked: list[tuple[str, str]] = []
        self.alarms: list[str] = []
        self.seconds = 0.0

    def refuses(
        self, account: Account, ways: object, source: tuple[str, int], *, another: bool = True, instead: bool = False
    ) -> str:
        assert isinstance(ways, list)
        self.asked.append((account.name, ways[0].local))
        return super().refuses(account, ways, source, another=another, instead=instead)

    def locked(self, account: Account, reason: str, target: str) -> None:
        self.alarms.append(account.name)

    def longest(self, account: Account) -> float:
        return self.seconds

    @property
    def live(self) -> dict[int, int]:
        return dict(self._live)


@contextmanager
def ledger(house: House) -> Iterator[Ledger]:
    guard = Ledger(house)
    house.exchange.toll = guard
    for account in (ALICE, BOB):
        house.town.settings.update({
            (account.id, "CallOutAllowed"): ["*"],
            (account.id, "CallOutLimit"): 1,
            (account.id, "CallOutHours"): "always",
        })  # fmt: skip
    yield guard
    assert guard.live == {}, "every ticket is given back"


def gateway(house: House) -> Phone:
    assert isinstance(house.network, MemoryNetwork)
    return Phone(house.network, Account(9, GATEWAY, "1900"), GATEWAY)


async def gone(guard: Ledger) -> None:
    async with asyncio.timeout(5):
        while guard.live:
            await asyncio.sleep(0.01)


async def test_a_call_out_counts_until_it_ends() -> None:
    async with House() as house:
        with ledger(house) as guard:
            alice, far = house.phone(ALICE), gateway(house)
            await connected(house, alice, far)
            assert guard.live == {ALICE.id: 1}
            second = house.phone(ALICE, registered=False)
            second.call(f"sip:{OUT}")
            await second.response(403)
            second.send("ACK")
            far.send("BYE")
            await far.response(200, "BYE")
            await alice.request("BYE")
            await gone(guard)
            assert guard.asked == [("alice", "1900"), ("alice", "1900")]
            assert house.metrics.value("calls.toll.parallel") == 1


async def test_who_diverts_pays() -> None:
    async with House() as house:
        with ledger(house) as guard:
            stranger = house.phone(Account(99, "elsewhere.example", "stranger"), registered=False)
            alice, far = house.phone(ALICE, registered=False), gateway(house)
            house.town.rules[BOB.id] = [CallRule(Stage.AT_ONCE, Redirect((OUT,)))]
            for caller in (stranger, alice):
                caller.call(f"sip:bob@{DOMAIN}")
                invite = await far.request("INVITE")
                assert guard.live == {BOB.id: 1}
                far.answer(invite, 486)
                await caller.response(486)
                caller.send("ACK")
                await gone(guard)
            assert guard.asked == [("bob", "1900")] * 2


async def test_a_program_s_account_pays_whatever_name_it_shows() -> None:
    async with House() as house:
        with ledger(house) as guard:
            far = gateway(house)
            leg, heard = house.board.new_leg(BOB), Listener()
            leg.attach(heard)
            assert leg.start_call(OUT, {"From": f'"Alice" <sip:alice@{DOMAIN}>'}) is None
            invite = await far.request("INVITE")
            assert invite.from_.uri.user == "alice"
            assert guard.asked == [("bob", "1900")]
            far.answer(invite, 486)
            await heard.wait("completed", "486 Busy Here")
            await gone(guard)


async def test_who_transfers_pays() -> None:
    async with House() as house:
        with ledger(house) as guard:
            alice, bob, far = house.phone(ALICE), house.phone(BOB), gateway(house)
            await connected(house, alice, bob)
            bob.send("REFER", Refer_To=f"<sip:{OUT}>")
            await bob.response(202, "REFER")
            invite = await far.request("INVITE")
            assert guard.asked == [("bob", "1900")]
            assert guard.live == {BOB.id: 1}
            far.answer(invite, 486)
            while not (notify := await bob.request("NOTIFY")).body.startswith(b"SIP/2.0 486"):
                bob.answer(notify, 200)
            bob.answer(notify, 200)
            await gone(guard)


@pytest.mark.parametrize("features", ["YES", "NO"])
async def test_a_call_out_that_lasts_too_long_is_cut(features: str) -> None:
    """A proxied one could not be: the way through us is taken."""
    async with House() as house:
        house.town.settings[ALICE.id, "CallFeatures"] = features
        with ledger(house) as guard:
            guard.seconds = 0.2
            alice, far = house.phone(ALICE), gateway(house)
            await connected(house, alice, far)
            for phone in (alice, far):
                phone.answer(await phone.request("BYE"), 200)
            record = await house.record()
            assert (record.ended_by, record.cause) == ("server", "too long")
            await gone(guard)


async def test_help_is_called_whatever_is_locked() -> None:
    async with House() as house:
        with ledger(house) as guard:
            for key, value in (("CallOutLocked", "YES"), ("OutsideCalls", "NO")):
                house.town.settings[ALICE.id, key] = value
            alice, far = house.phone(ALICE), gateway(house)
            alice.call(f"sip:{OUT}")
            await alice.response(403)
            alice.send("ACK")
            house.town.resolve = emergency  # type: ignore[method-assign]
            again = house.phone(ALICE, registered=False)
            again.call(f"sip:112@{DOMAIN}")
            invite = await far.request("INVITE")
            assert invite.uri == f"sip:112@{GATEWAY}"
            far.answer(invite, 486)
            await again.response(486)
            again.send("ACK")
            assert guard.asked == []


def emergency(address: Address, *, caller: Caller | None, services: bool = True) -> Resolution:
    return Resolution(ForeignRoute(Address("112", GATEWAY), emergency=True))


async def test_a_lock_holds_at_once() -> None:
    async with House() as house:
        with ledger(house) as guard:
            house.town.settings[ALICE.id, "CallOutAllowed"] = ["49*"]
            house.town.settings[ALICE.id, "CallOutLockAfter"] = "2,10m"
            for number in range(4):
                phone = house.phone(ALICE, registered=False)
                phone.call(f"sip:{'1900' if number < 3 else '4930'}@{GATEWAY}")
                await phone.response(403)
                phone.send("ACK")
            assert guard.alarms == ["alice"]
            assert house.metrics.value("calls.toll.locked") == 1
