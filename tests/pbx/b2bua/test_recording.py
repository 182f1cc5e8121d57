"""Which calls are recorded, whom a tape hears, and what the record says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from base.failures import Failure
from directory.model import Account, CallRule, Redirect, Stage
from pbx.mediaproxy.engine import Clip
from pbx.recordings.tables import Recording
from pbx.trunk.trunks import Trunks
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone, Tape
from tests.pbx.b2bua.test_acceptance import MOBILE, gateway_of
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_toll import emergency, gateway


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
        made.exchange.sound = lambda name, account: None if name == "missing" else Clip(Path(name), name)
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


@pytest.mark.parametrize("recording", ["always", "none"])
async def test_all_calls_by_a_trunk_are_recorded_when_it_says_so(recording: str) -> None:
    """Bob's calls go to a mobile by the line of a provider."""
    async with house() as (made, _):
        gateway, databases = await gateway_of(made, "none")
        trunks = made.exchange.trunks
        assert isinstance(trunks, Trunks)
        await trunks.put(replace(trunks.line("line").trunk, recording=recording), None)
        made.exchange.sound = lambda name, account: Clip(Path(name), name)
        made.town.settings[ALICE.id, "RecordAnnounce"] = "told"
        made.town.rules[BOB.id] = [CallRule(Stage.AT_ONCE, Redirect((MOBILE,)))]
        alice = made.phone(ALICE)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await gateway.request("INVITE")
        gateway.answer(invite, 200, gateway.sdp(6000))
        await alice.response(200)
        alice.send("ACK")
        await gateway.request("ACK")
        if recording == "always":
            assert (await tape(made)).sides[-1] == tuple(made.studio.streams)
            assert [stream.played for stream in made.studio.streams] == [["told"], ["told"]]
        else:
            await asyncio.sleep(0.02)
            assert not made.studio.tapes
        databases.discard()


SPEEX = b"a=rtpmap:97 speex/16000\r\n"


@pytest.mark.parametrize("key", ["RecordAlways", "RecordByKey", "MonitoredBy", ""])
async def test_who_may_be_heard_is_offered_only_what_we_understand(key: str) -> None:
    async with house() as (made, _):
        if key:
            made.town.settings[BOB.id, key] = ["chiefs"] if key == "MonitoredBy" else "YES"
        alice, bob = made.phone(ALICE), made.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", alice.sdp(codecs="97 0 101") + SPEEX)
        offer = (await bob.request("INVITE")).body
        assert (b"speex" not in offer) == bool(key)
        assert b"RTP/AVP 0 101" in offer or b"RTP/AVP 97 0 101" in offer


async def test_two_who_have_nothing_that_we_understand_talk_unrecorded() -> None:
    async with house(BOB) as (made, _):
        alice, bob = made.phone(ALICE), made.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", alice.sdp(codecs="97 101") + SPEEX)
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp(codecs="97 101") + SPEEX)
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
        bob.takes(invite)
        await hang_up(alice, bob)
        assert [(event.what, event.about) for event in (await made.record()).events] == [
            ("not recorded", "we do not understand the codec of the call")
        ]
        assert not made.studio.tapes


async def test_a_call_for_help_is_recorded_by_key_only_and_never_announced() -> None:
    async with house(ALICE, announce="told") as (made, _):
        made.town.settings[ALICE.id, "RecordByKey"] = "YES"
        made.town.resolve = emergency  # type: ignore[method-assign]
        alice, help_ = made.phone(ALICE), gateway(made)
        alice.call(f"sip:112@{DOMAIN}")
        invite = await help_.request("INVITE")
        help_.answer(invite, 200, help_.sdp(6000))
        await alice.response(200)
        alice.send("ACK")
        await help_.request("ACK")
        await asyncio.sleep(0.02)
        assert not made.studio.tapes
        alice.send("INFO", Record="on")
        await alice.response(200, "INFO")
        await tape(made)
        assert not any(stream.played for stream in made.studio.streams if stream.played != ["recordingbeep"])
