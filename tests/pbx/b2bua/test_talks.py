"""What parties ask of the server in the middle of a call: a recording by key, and listeners who are allowed to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from directory.model import Account
from pbx.b2bua.program_leg import ProgramLeg
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone, Stream
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_programs import Listener, Programs
from tests.pbx.b2bua.test_recording import Shelf, hang_up, house, tape
from tests.pbx.b2bua.test_replaces import replaces
from tests.pbx.b2bua.test_transfers import told


@asynccontextmanager
async def talking(*may: Account) -> AsyncIterator[tuple[House, Shelf, Phone, Phone]]:
    """Alice has called Bob; those accounts may record by key."""
    async with house() as (made, shelf):
        for account in may:
            made.town.settings[account.id, "RecordByKey"] = "YES"
        alice, bob = made.phone(ALICE), made.phone(BOB)
        await connected(made, alice, bob)
        yield made, shelf, alice, bob


def press(stream: Stream, keys: str) -> None:
    for key in keys:
        stream.listener.media_digit(key, 100)


async def test_a_key_begins_a_recording_and_ends_it_again() -> None:
    async with talking(BOB) as (made, shelf, alice, bob):
        hers, his = made.studio.streams
        press(his, "1*1")
        first = await tape(made)
        assert his.played == ["recordingbeep"]
        assert not hers.played
        press(his, "*1")
        assert first.ended
        assert his.played == ["recordingbeep"] * 2
        press(his, "*1")
        await tape(made, 2)
        await hang_up(alice, bob)
        record = await made.record()
        assert record.recordings == tuple(about.name for about in shelf.begun)
        assert len(set(record.recordings)) == 2


async def test_a_file_that_fails_late_leaves_the_next_one_alone() -> None:
    async with talking(BOB) as (made, shelf, alice, bob):
        his = made.studio.streams[1]
        press(his, "*1")
        first = await tape(made)
        first.ended = True  # the disk is slow: it is not told yet
        press(his, "*1*1")
        second = await tape(made, 2)
        first.told("failed", 0.0)
        press(his, "*1")
        assert second.ended
        await hang_up(alice, bob)
        await made.record()
        assert sorted(shelf.closed) == sorted(
            [(shelf.begun[0].name, 0.0, "failed"), (shelf.begun[1].name, 1.5, "stopped")]
        )


async def test_keys_of_others_and_other_keys_do_not() -> None:
    async with talking(BOB) as (made, _, alice, bob):
        hers, his = made.studio.streams
        press(hers, "*1")
        press(his, "*2*51**")
        press(hers, "1")
        await hang_up(alice, bob)
        assert (await made.record()).events == ()
        assert not made.studio.tapes


async def test_keys_that_are_too_slow_are_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(BOB) as (made, _, _, _):
        _, his = made.studio.streams
        clock, now = made.exchange.clock, made.exchange.clock.now()
        press(his, "*")
        monkeypatch.setattr(clock, "now", lambda: now + 4)
        press(his, "1")
        await asyncio.sleep(0.01)
        assert not made.studio.tapes


@pytest.mark.parametrize("by", ["digits in INFO", "the record key"])
async def test_telephones_that_say_it_by_info(by: str) -> None:
    async with talking(ALICE) as (made, _, alice, bob):
        if by == "the record key":
            alice.send("INFO", Record="on")
            await alice.response(200, "INFO")
        else:
            for key in "*1":
                alice.send("INFO", f"Signal={key}\r\nDuration=100\r\n".encode(), "application/dtmf-relay")
                bob.answer(await bob.request("INFO"), 200)
                await alice.response(200, "INFO")
        taken = await tape(made)
        alice.send("INFO", Record="on")
        await alice.response(200, "INFO")
        assert not taken.ended
        alice.send("INFO", Record="OFF")
        await alice.response(200, "INFO")
        assert taken.ended


async def test_who_may_not_record_is_told_so_and_other_infos_pass() -> None:
    async with talking(BOB) as (made, _, alice, bob):
        alice.send("INFO", Record="on")
        await alice.response(403, "INFO")
        alice.send("INFO", b"x", "text/plain", Record="perhaps")
        bob.answer(await bob.request("INFO"), 200)
        await alice.response(200, "INFO")
        assert not made.studio.tapes


async def test_a_rule_can_be_broken_by_who_has_the_key_alone() -> None:
    async with talking(BOB) as (made, _, _, _):
        for account in (ALICE, BOB):
            made.town.settings[account.id, "RecordAlways"] = "YES"
        _, his = made.studio.streams
        press(his, "*1")
        taken = await tape(made)
        press(his, "*1")
        assert not taken.ended, "Alice's rule stands"


async def test_what_a_party_has_asked_for_goes_with_it() -> None:
    async with talking(ALICE) as (made, shelf, alice, bob):
        press(made.studio.streams[0], "*1")
        first = await tape(made)
        carol = made.phone(CAROL)
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        await bob.response(202, "REFER")
        carol.answer(await carol.request("INVITE"), 200, carol.sdp(6000))
        await told(bob, 200)
        bob.answer(await bob.request("BYE"), 200)
        assert first.ended
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        second = await tape(made, 2)
        assert second.sides[-1] == (made.studio.streams[0], made.studio.streams[2])
        assert shelf.begun[0].call != shelf.begun[1].call


async def test_a_newcomer_is_heard_in_the_same_recording() -> None:
    """Another telephone of Bob's takes the place of the first."""
    async with talking(BOB) as (made, _, alice, bob):
        made.town.settings[ALICE.id, "RecordAlways"] = "YES"
        press(made.studio.streams[1], "*1")
        taken = await tape(made)
        await take_place(made, alice, bob)
        assert len(made.studio.tapes) == 1
        assert taken.sides[-1] == (made.studio.streams[0], made.studio.streams[2])
        assert not taken.ended


async def take_place(made: House, alice: Phone, bob: Phone) -> None:
    mobile = made.phone(BOB, registered=False)
    mobile.call(f"sip:alice@{DOMAIN}", mobile.sdp(7000), Replaces=replaces(bob))
    alice.answer(await alice.request("INVITE"), 200, alice.sdp())
    await mobile.response(200)
    mobile.send("ACK")
    bob.answer(await bob.request("BYE"), 200)


# --- calls that programs join


async def test_who_talks_through_a_program_is_recorded_too() -> None:
    """An attendant has called Bob for Alice, and joined them."""
    async with house(BOB) as (made, shelf):
        joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def attend(leg: ProgramLeg, heard: Listener) -> None:
            assert await leg.accept() is None
            other, far = made.board.new_leg(ALICE, leg), Listener()
            other.attach(far)
            assert other.start_call(f"sip:bob@{DOMAIN}", {}) is None
            await far.wait("completed", None)
            assert await leg.bridge(other) is None
            joined.set_result(None)
            await heard.wait("digit", "#")
            leg.unbridge()
            other.disconnect()
            leg.disconnect()

        made.board.attach(Programs(greeter=attend))
        alice, bob = made.phone(ALICE), made.phone(BOB)
        alice.call(f"sip:greeter@{DOMAIN}")
        await alice.response(200)
        alice.send("ACK")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp(5000))
        await joined
        taken = await tape(made)
        assert taken.sides[-1] == tuple(made.studio.streams), "the caller on the left"
        press(made.studio.streams[0], "#")
        bob.answer(await bob.request("BYE"), 200)
        alice.answer(await alice.request("BYE"), 200)
        async with asyncio.timeout(5):
            while len(made.book.records) < 2:
                await asyncio.sleep(0.005)
        assert taken.ended
        assert {record.recordings for record in made.book.records} == {(shelf.begun[0].name,)}


async def test_two_talks_of_one_call_have_files_of_their_own() -> None:
    """An attendant joins Alice with Bob, and at once with Carol."""
    async with house(BOB, CAROL) as (made, shelf):

        async def attend(leg: ProgramLeg, heard: Listener) -> None:
            assert await leg.accept() is None
            for count, name in enumerate(("bob", "carol"), 1):
                other, far = made.board.new_leg(ALICE, leg), Listener()
                other.attach(far)
                assert other.start_call(f"sip:{name}@{DOMAIN}", {}) is None
                await far.wait("completed", None)
                assert await leg.bridge(other) is None
                await tape(made, count)
                leg.unbridge()
                other.disconnect()
            leg.disconnect()

        made.board.attach(Programs(greeter=attend))
        alice, phones = made.phone(ALICE), (made.phone(BOB), made.phone(CAROL))
        alice.call(f"sip:greeter@{DOMAIN}")
        await alice.response(200)
        alice.send("ACK")
        for port, phone in ((5000, phones[0]), (6000, phones[1])):
            phone.answer(await phone.request("INVITE"), 200, phone.sdp(port))
            phone.answer(await phone.request("BYE"), 200)
        alice.answer(await alice.request("BYE"), 200)
        first, second = (about.name for about in shelf.begun)
        assert shelf.begun[0].call == shelf.begun[1].call
        assert (first.endswith("-2.wav"), second.endswith("-2.wav")) == (False, True)


# --- listeners


@asynccontextmanager
async def listening(code: str = "33") -> AsyncIterator[tuple[House, Phone, Phone, Phone]]:
    """Carol listens to Bob, who talks to Alice."""
    async with talking() as (made, _, alice, bob):
        made.exchange.may_monitor = lambda caller, account: (caller.account, account) == (CAROL, BOB)
        carol = made.phone(CAROL)
        carol.call(f"sip:*{code}bob@{DOMAIN}")
        await carol.response(200)
        carol.send("ACK")
        async with asyncio.timeout(5):
            while not made.studio.streams[2].mixed:
                await asyncio.sleep(0.005)
        yield made, alice, bob, carol


async def test_a_listener_hears_both_and_neither_hears_him() -> None:
    async with listening() as (made, alice, bob, carol):
        hers, his, third = made.studio.streams
        assert third.mixed == [hers, his]
        assert not hers.mixed
        assert not his.mixed
        assert hers.other is his
        await hang_up(alice, bob)
        carol.answer(await carol.request("BYE"), 200)
        async with asyncio.timeout(5):
            while len(made.book.records) < 2:
                await asyncio.sleep(0.005)
        events = [event for record in made.book.records for event in record.events]
        assert [(event.what, event.about) for event in events] == [("monitored", f"sip:carol@{DOMAIN}")]


async def test_keys_let_him_be_heard_by_one_or_both_or_nobody() -> None:
    async with listening("34") as (made, _, _, carol):
        hers, his, third = made.studio.streams
        assert (hers.mixed, his.mixed) == ([his, third], [hers, third])
        press(third, "1")
        await asyncio.sleep(0.01)
        assert (hers.mixed, his.mixed) == ([], [hers, third])
        press(third, "0")
        await asyncio.sleep(0.01)
        assert (hers.mixed, his.mixed) == ([], [])
        press(third, "3")
        await asyncio.sleep(0.01)
        carol.send("BYE")
        await carol.response(200, "BYE")
        await asyncio.sleep(0.01)
        assert (hers.mixed, his.mixed) == ([], [])
        assert hers.other is his


@pytest.mark.parametrize("target", ["bob", "alice", "carol"])
async def test_who_may_not_listen_and_where_nobody_talks_is_told_the_same(target: str) -> None:
    async with talking() as (made, _, _, _):
        made.exchange.may_monitor = lambda caller, account: account == CAROL
        carol = made.phone(CAROL)
        carol.call(f"sip:*33{target}@{DOMAIN}")
        await carol.response(480)


async def test_it_goes_on_with_who_takes_a_partys_place() -> None:
    async with listening() as (made, alice, bob, _):
        hers, _, third = made.studio.streams
        await take_place(made, alice, bob)
        assert third.mixed == [hers, made.studio.streams[3]]


async def test_who_is_on_hold_hears_the_music_again_after_the_announcement() -> None:
    async with talking(ALICE) as (made, _, alice, bob):
        made.town.settings[ALICE.id, "RecordAnnounce"] = "told"
        alice.send("INVITE", alice.sdp(direction="sendonly"))
        bob.answer(await bob.request("INVITE"), 200, bob.sdp(direction="recvonly"))
        await alice.response(200)
        alice.send("ACK")
        hers, his = made.studio.streams
        press(hers, "*1")
        await tape(made)
        assert his.played == ["holdmusic", "told"]
        his.listener.media_played(2)
        hers.listener.media_played(1)
        assert his.played == ["holdmusic", "told", "holdmusic"]
        assert hers.played == ["told"]
