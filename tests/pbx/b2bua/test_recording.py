"""Which calls are recorded, whom a tape hears, and what the record says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from base.failures import Failure
from directory.model import Account
from pbx.mediaproxy.engine import Clip
from pbx.recordings.tables import Recording
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, House, Phone, Tape
from tests.pbx.b2bua.test_calls import connected


class Shelf:
    """A stand-in for the library."""

    def __init__(self) -> None:
        self.begun: list[Recording] = []
        self.closed: list[tuple[str, float, str]] = []
        self.stops: list[Callable[[str], None]] = []
        self.full = False

    async def begin(self, about: Recording, stop: Callable[[str], None]) -> Path:
        await asyncio.sleep(0)
        if self.full:
            raise Failure("full", "no room")
        self.begun.append(about)
        self.stops.append(stop)
        return Path(about.name)

    async def ended(self, name: str, seconds: float, cause: str) -> None:
        self.closed.append((name, seconds, cause))


@asynccontextmanager
async def house(*wanting: Account, announce: str = "") -> AsyncIterator[tuple[House, Shelf]]:
    """One in which those accounts are always recorded."""
    async with House() as made:
        shelf = Shelf()
        made.exchange.recordings = shelf
        made.exchange.sound = lambda name, account: Clip(Path(name), name) if name == "told" else None
        for account in wanting:
            made.town.settings[account.id, "RecordAlways"] = "YES"
            made.town.settings[account.id, "RecordAnnounce"] = announce
        yield made, shelf


async def tape(house: House, count: int = 1) -> Tape:
    async with asyncio.timeout(5):
        while len(house.studio.tapes) < count:
            await asyncio.sleep(0.005)
    return house.studio.tapes[count - 1]


async def hang_up(one: Phone, other: Phone) -> None:
    one.send("BYE")
    await one.response(200, "BYE")
    other.answer(await other.request("BYE"), 200)


@pytest.mark.parametrize("wanting", [ALICE, BOB])
async def test_whoever_of_both_wants_it_is_recorded(wanting: Account) -> None:
    async with house(wanting) as (made, shelf):
        alice, bob = made.phone(ALICE), made.phone(BOB)
        await connected(made, alice, bob)
        taken = await tape(made)
        assert taken.sides == [tuple(made.studio.streams)], "the caller on the left"
        assert not any(stream.played for stream in made.studio.streams)
        await hang_up(alice, bob)
        record = await made.record()
        (about,) = shelf.begun
        assert record.recordings == (about.name,)
        assert about.call == record.id
        assert (about.caller_account, about.callee_account) == (ALICE.id, BOB.id)
        assert taken.ended
        assert shelf.closed == [(about.name, 1.5, "stopped")]


async def test_others_are_not() -> None:
    async with house(CAROL) as (made, _):
        alice, bob = made.phone(ALICE), made.phone(BOB)
        await connected(made, alice, bob)
        await hang_up(alice, bob)
        record = await made.record()
        assert not made.studio.tapes
        assert record.events == ()


async def test_both_are_told_first() -> None:
    async with house(BOB, announce="told") as (made, _):
        alice, bob = made.phone(ALICE), made.phone(BOB)
        await connected(made, alice, bob)
        await tape(made)
        assert [stream.played for stream in made.studio.streams] == [["told"], ["told"]]


async def test_who_cannot_be_told_is_not_recorded() -> None:
    async with house(BOB, announce="missing") as (made, _):
        alice, bob = made.phone(ALICE), made.phone(BOB)
        await connected(made, alice, bob)
        await hang_up(alice, bob)
        record = await made.record()
        assert not made.studio.tapes
        assert [(event.what, event.about) for event in record.events] == [
            ("not recorded", "there is no prompt missing to announce it")
        ]


async def test_without_room_the_call_goes_on_unrecorded() -> None:
    async with house(BOB) as (made, shelf):
        shelf.full = True
        alice, bob = made.phone(ALICE), made.phone(BOB)
        await connected(made, alice, bob)
        await hang_up(bob, alice)
        record = await made.record()
        assert record.outcome == "answered"
        assert [event.what for event in record.events] == ["not recorded"]


async def test_a_disk_that_fills_up_ends_it() -> None:
    async with house(BOB) as (made, shelf):
        alice, bob = made.phone(ALICE), made.phone(BOB)
        await connected(made, alice, bob)
        taken = await tape(made)
        shelf.stops[0]("disk full")
        assert taken.ended
        await hang_up(bob, alice)
        record = await made.record()
        assert [(event.what, event.about) for event in record.events] == [
            ("recorded", shelf.begun[0].name),
            ("recording ended", "disk full"),
        ]


async def test_a_call_that_is_recorded_is_not_proxied() -> None:
    async with house(ALICE) as (made, _):
        made.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, bob = made.phone(ALICE), made.phone(BOB)
        await connected(made, alice, bob)
        assert (await tape(made)).sides
