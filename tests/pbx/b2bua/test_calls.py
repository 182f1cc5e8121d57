"""Calls between phones through the B2BUA."""

from __future__ import annotations

import asyncio

from directory.model import CallRule, Redirect, Stage
from pbx.b2bua.exchange import CallSettings
from pbx.records.record import CallRecord
from pbx.signal.port import Limits
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.session_ports import SessionTimers
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, T1, House, Phone


async def connected(house: House, alice: Phone, bob: Phone) -> None:
    """The first calls the second, and they talk."""
    alice.call(f"sip:{bob.account.address}")
    invite = await bob.request("INVITE")
    bob.answer(invite, 180)
    await alice.response(180)
    bob.answer(invite, 200, bob.sdp(5000))
    await alice.response(200)
    alice.send("ACK")
    await bob.request("ACK")
    bob.takes(invite)


async def test_alice_calls_bob() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Subject="Lunch")
        invite = await bob.request("INVITE")
        assert invite.uri == f"sip:bob@{bob.local[0]}:5060"
        assert invite.from_.display == "Alice"
        assert str(invite.from_.uri) == f"sip:alice@{DOMAIN}"
        assert invite.call_id != alice.call_id
        assert invite.number("Max-Forwards") == 69
        assert invite.get("Subject") == "Lunch"
        offer = SessionDescription.parse(invite.body)
        assert offer.audio is not None
        assert (offer.address(offer.audio), offer.audio.port) == house.studio.streams[1].local
        bob.answer(invite, 180)
        await alice.response(180)
        bob.answer(invite, 200, bob.sdp(5000))
        ok = await alice.response(200)
        answer = SessionDescription.parse(ok.body)
        assert answer.audio is not None
        assert answer.audio.port == house.studio.streams[0].local[1]
        alice.send("ACK")
        await bob.request("ACK")
        near, far = house.studio.streams
        assert near.other is far
        assert near.settings is not None
        assert near.settings.remote == (alice.local[0], 4000)
        assert far.settings is not None
        assert far.settings.remote == (bob.local[0], 5000)
        assert [call.callee for call in house.board.live()] == [BOB.address]
        alice.send("BYE")
        await alice.response(200, "BYE")
        bob.answer(await bob.request("BYE"), 200)
        record = await house.record()
        assert (record.outcome, record.ended_by, record.callee) == ("answered", "caller", BOB.address)
        assert record.codec == "PCMU/8000"
        assert record.near.lost == record.far.lost == 1
        assert not house.board.live()
        assert house.studio.loaded() == 0


async def test_no_telephone_of_who_does_not_want_to_be_disturbed_rings_also_without_his_rules() -> None:
    """As a member of a group, or of whom the attendant rings: such calls do not ask the rules."""
    async with House() as house:
        alice, _ = house.phone(ALICE), house.phone(BOB)
        house.town.settings[BOB.id, "DoNotDisturb"] = "YES"
        alice.call(f"sip:bob@{DOMAIN};services=no")
        await alice.response(480)
        assert len(house.studio.streams) == 1, "his telephone was not even prepared for"


async def test_bob_hangs_up_and_a_forged_bye_does_not() -> None:
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        carol.call_id, carol.remote_to, carol.remote_target = alice.call_id, alice.remote_to, alice.remote_target
        carol.send("BYE")
        await carol.response(481, "BYE")
        bob.send("BYE")
        await bob.response(200, "BYE")
        alice.answer(await alice.request("BYE"), 200)
        assert (await house.record()).ended_by == "callee"


async def test_180_and_200_back_to_back_lose_nothing() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        bob.answer(invite, 200, bob.sdp())
        await alice.response(180)
        await alice.response(200)


async def test_the_200_is_repeated_until_ack_and_without_one_the_call_ends() -> None:
    """RFC 3261 §13.3.1.4."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)
        await alice.request("BYE")
        assert alice.repeats >= 5
        await bob.request("BYE")
        assert (await house.record()).cause == "no ACK"


async def test_two_phones_ring_and_the_other_one_stops() -> None:
    async with House() as house:
        alice, desk, mobile = house.phone(ALICE), house.phone(BOB), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        first, second = await desk.request("INVITE"), await mobile.request("INVITE")
        desk.answer(first, 180)
        mobile.answer(second, 180)
        await alice.response(180)
        mobile.answer(second, 200, mobile.sdp())
        await alice.response(200)
        cancel = await desk.request("CANCEL")
        assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        desk.answer(cancel, 200)
        desk.answer(first, 487)
        await desk.request("ACK")
        alice.send("ACK")
        await mobile.request("ACK")


async def test_two_answers_at_once_make_one_call() -> None:
    async with House() as house:
        alice, desk, mobile = house.phone(ALICE), house.phone(BOB), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        first, second = await desk.request("INVITE"), await mobile.request("INVITE")
        desk.answer(first, 200, desk.sdp())
        mobile.answer(second, 200, mobile.sdp())
        await alice.response(200)
        alice.send("ACK")
        await mobile.request("ACK")
        await mobile.request("BYE")
        await desk.request("ACK")
        assert not any(message.is_request for message in desk.inbox)


async def test_caller_gives_up() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        alice.cancel()
        await alice.response(200, "CANCEL")
        await alice.response(487)
        cancel = await bob.request("CANCEL")
        bob.answer(cancel, 200)
        bob.answer(invite, 487)
        record = await house.record()
        assert (record.outcome, record.status, record.callee) == ("cancelled", 487, BOB.address)
        assert house.studio.loaded() == 0


async def test_refusals() -> None:
    for target, status, outcome in (("nobody", 404, "failed"), ("carol", 480, "no-answer")):
        async with House() as house:
            alice = house.phone(ALICE)
            alice.call(f"sip:{target}@{DOMAIN}")
            await alice.response(status)
            record = await house.record()
            assert (record.status, record.outcome) == (status, outcome)
            assert house.studio.loaded() == 0


async def test_busy_and_declined() -> None:
    for status in (486, 603):
        async with House() as house:
            alice, bob = house.phone(ALICE), house.phone(BOB)
            alice.call(f"sip:bob@{DOMAIN}")
            bob.answer(await bob.request("INVITE"), status)
            await alice.response(status)
            assert (await house.record()).outcome == "busy"


async def test_a_broken_description_is_refused() -> None:
    async with House() as house:
        alice = house.phone(ALICE)
        alice.call(f"sip:bob@{DOMAIN}", b"nonsense")
        await alice.response(400)
        await house.record()


async def test_a_late_offer_travels_both_ways() -> None:
    """RFC 3261 §13.2.1: no offer in INVITE, offer in 200, answer in ACK."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", b"")
        invite = await bob.request("INVITE")
        assert not invite.body
        bob.answer(invite, 200, bob.sdp(5000))
        ok = await alice.response(200)
        assert ok.body
        alice.send("ACK", alice.sdp(4000, codecs="8 101"))
        ack = await bob.request("ACK")
        assert b"RTP/AVP 8 101" in ack.body
        near, far = house.studio.streams
        assert near.other is far


async def test_early_audio_of_a_single_phone_passes() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 183, bob.sdp())
        progress = await alice.response(183)
        assert progress.body
        near, far = house.studio.streams
        assert near.other is far


async def test_a_lost_media_worker_ends_the_call() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        house.studio.streams[0].listener.media_lost()
        await alice.request("BYE")
        await bob.request("BYE")
        assert (await house.record()).cause == "media lost"


async def test_silence_on_both_sides_ends_the_call() -> None:
    settings = CallSettings(silence=0.1, timers=SessionTimers(T1, 4 * T1), signal=Limits(drain=0.2))
    async with House(settings) as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        await alice.request("BYE")
        await bob.request("BYE")
        assert (await house.record()).cause == "no RTP"


async def test_no_answer_leads_to_the_program() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        house.town.rules[BOB.id] = [CallRule(Stage.AFTER, Redirect(("#echo",)), 0.1)]
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        cancel = await bob.request("CANCEL")
        bob.answer(cancel, 200)
        bob.answer(invite, 487)
        await alice.response(200)
        alice.send("ACK")
        await asyncio.sleep(0.05)
        assert house.studio.streams[0].echoing
        alice.send("BYE")
        await alice.response(200, "BYE")
        record = await house.record()
        assert (record.program, record.outcome) == ("echo", "answered")


async def test_echo() -> None:
    async with House() as house:
        alice = house.phone(ALICE)
        alice.call(f"sip:echo@{DOMAIN}")
        ok = await alice.response(200)
        assert SessionDescription.parse(ok.body).audio is not None
        assert not house.studio.streams[0].echoing
        alice.send("ACK")
        while not house.studio.streams[0].echoing:
            await asyncio.sleep(0)
        alice.send("BYE")
        await alice.response(200, "BYE")
        assert (await house.record()).ended_by == "caller"


async def test_one_account_cannot_take_all_the_lines() -> None:
    async with House(CallSettings(calls_per_account=1)) as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        again = house.phone(ALICE, registered=False)
        await connected(house, alice, bob)
        again.call(f"sip:bob@{DOMAIN}")
        refusal = await again.response(503)
        assert refusal.get("Retry-After")
        assert (await house.record()).cause == "limit"
        alice.send("BYE")
        await alice.response(200, "BYE")
        again.call(f"sip:carol@{DOMAIN}")
        await again.response(480)


async def test_shutdown_hangs_up() -> None:
    house = House()
    async with house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        await house.board.close(0.3)
        await alice.request("BYE")
        await bob.request("BYE")
        assert (await house.record()).ended_by == "server"


async def test_a_fault_of_ours_ends_the_call_that_was_beginning() -> None:
    async with House() as house:
        alice = house.phone(ALICE)

        def broken(account_id: int, occasion: object) -> list[CallRule]:
            raise ZeroDivisionError

        house.town.call_rules = broken  # type: ignore[method-assign, assignment]
        alice.call(f"sip:bob@{DOMAIN}")
        assert (await alice.response(500)).status == 500
        alice.send("ACK")
        assert (await house.record()).status == 500
        assert not house.board.live()
        assert not house.studio.loaded()
        assert house.metrics.value("calls.faults") == 1


async def test_a_fault_of_ours_with_an_invite_leaves_no_call() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        setting = house.town.setting

        def broken(account_id: int, key: str) -> object:
            if key == "MediaSecurity":
                raise ZeroDivisionError
            return setting(account_id, key)

        house.town.setting = broken  # type: ignore[method-assign]
        alice.call(f"sip:bob@{DOMAIN}")
        assert (await alice.response(500)).status == 500
        alice.send("ACK")
        record = await house.record()
        assert (record.status, record.ended_by, record.cause) == (500, "server", "fault")
        assert not house.board.live()
        assert not bob.inbox


async def test_a_call_that_rings_is_noted_once() -> None:
    """A kill of the server leaves its record."""
    async with House() as house:
        noted: list[CallRecord] = []
        house.book.opened = noted.append  # type: ignore[method-assign]
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        assert not noted
        for status in (180, 183):
            bob.answer(invite, status)
            await alice.response(status)
        (ringing,) = noted
        assert (ringing.callee, ringing.answered, ringing.outcome) == (BOB.address, None, "failed")
        bob.answer(invite, 486)
        await alice.response(486)
        assert (await house.record()).id == ringing.id
