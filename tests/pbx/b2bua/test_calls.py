"""Calls between phones through the B2BUA."""

from __future__ import annotations

import asyncio

import pytest

from directory.model import CallRule, Redirect, Stage
from pbx.b2bua.exchange import CallSettings
from pbx.signal.port import Limits
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.session_ports import SessionTimers
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, SERVER, T1, House, Phone


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


async def test_hold_and_resume_pass_through() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        alice.send("INVITE", alice.sdp(direction="sendonly"))
        held = await bob.request("INVITE")
        assert b"a=sendonly" in held.body
        assert held.to_tag
        bob.answer(held, 200, bob.sdp(5000, direction="recvonly"))
        await bob.request("ACK")
        ok = await alice.response(200)
        assert b"a=recvonly" in ok.body
        alice.send("ACK")
        near, far = house.studio.streams
        assert near.settings is not None
        assert not near.settings.send
        assert far.settings is not None
        assert not far.settings.receive
        alice.send("INVITE", alice.sdp())
        bob.answer(await bob.request("INVITE"), 200, bob.sdp(5000))
        await alice.response(200)
        alice.send("ACK")
        assert near.settings.send
        assert near.other is far


async def test_refused_reinvite_leaves_the_call() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        alice.send("INVITE", alice.sdp())
        bob.answer(await bob.request("INVITE"), 488)
        await alice.response(488)
        alice.send("ACK")
        assert house.board.live()


async def test_glare() -> None:
    """RFC 3261 §14.2: a re-INVITE that meets ours is answered with 491."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        alice.send("INVITE", alice.sdp())
        await bob.request("INVITE")
        bob.send("INVITE", bob.sdp())
        await bob.response(491)


async def test_info_passes_through() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        alice.send("INFO", b"Signal=5\r\nDuration=100\r\n", "application/dtmf-relay")
        info = await bob.request("INFO")
        assert info.body.startswith(b"Signal=5")
        bob.answer(info, 200)
        await alice.response(200, "INFO")
        alice.send("INFO", b"Signal=6\r\n", "application/dtmf-relay")
        bob.answer(await bob.request("INFO"), 503)
        await alice.response(500, "INFO")  # RFC 3261 §16.7 step 6: his trouble is not ours


@pytest.mark.parametrize(("method", "kind"), [("MESSAGE", "text/plain"), ("NOTIFY", "application/simple-dtmf")])
async def test_other_requests_pass_through_both_ways(method: str, kind: str) -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        for sender, receiver in ((alice, bob), (bob, alice)):
            sender.send(method, b"talk", kind, Event="talk", Subscription_State="active")
            got = await receiver.request(method)
            assert (got.body, got.get("Content-Type"), got.get("Event")) == (b"talk", kind, "talk")
            receiver.answer(got, 488)
            await sender.response(488, method)


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


async def test_with_call_features_off_the_dialog_runs_from_end_to_end() -> None:
    """Decision 3: the proxy way; one record all the same."""
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        assert invite.call_id == alice.call_id
        assert invite.body == alice.sdp()
        assert invite.get("Record-Route")
        bob.answer(invite, 180)
        assert (await alice.response(180)).to_tag == bob.tag
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
        assert len(house.board.live()) == 1
        assert not house.studio.streams
        alice.send("BYE")
        bob.answer(await bob.request("BYE"), 200)
        await alice.response(200, "BYE")
        record = await house.record()
        assert (record.outcome, record.cause, record.callee) == ("answered", "BYE", BOB.address)


async def test_a_proxied_call_is_cancelled_or_goes_to_a_program() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect(("#echo",)))]
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        alice.cancel()
        await alice.response(487)
        bob.answer(await bob.request("CANCEL"), 200)
        bob.answer(invite, 487)
        assert (await house.record()).outcome == "cancelled"
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect(("#echo",)))]
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 486)
        await alice.response(200)
        alice.send("ACK")
        alice.send("BYE")
        await alice.response(200, "BYE")
        assert (await house.record()).program == "echo"


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


async def test_blind_transfer() -> None:
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}>")
        await bob.response(202, "REFER")
        trying = await bob.request("NOTIFY")
        assert trying.body.startswith(b"SIP/2.0 100")
        bob.answer(trying, 200)
        invite = await carol.request("INVITE")
        assert invite.from_.uri.user == "alice"
        carol.answer(invite, 200, carol.sdp(6000))
        await carol.request("ACK")
        while not (notify := await bob.request("NOTIFY")).body.startswith(b"SIP/2.0 200"):
            bob.answer(notify, 200)
        bob.answer(notify, 200)
        bob.answer(await bob.request("BYE"), 200)
        renewed = await alice.request("INVITE")
        alice.answer(renewed, 200, alice.sdp())
        await alice.request("ACK")
        await asyncio.sleep(0.05)
        streams = [stream for stream in house.studio.streams if not stream.closed]
        assert len(streams) == 2
        assert streams[0].other is streams[1]
        assert SERVER[0] in (renewed.body.decode())


async def test_attended_transfer() -> None:
    """RFC 5589 §7: Bob talks to Alice, asks Carol, and joins the two."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        second = house.phone(BOB, registered=False)
        await connected(house, alice, bob)
        await connected(house, second, carol)
        to_tag = second.remote_to.partition(";tag=")[2]
        replaces = f"{second.call_id}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{second.tag}"
        bob.send("REFER", Refer_To=f"<sip:carol@{DOMAIN}?Replaces={replaces}>")
        await bob.response(202, "REFER")
        renewed = await alice.request("INVITE")
        alice.answer(renewed, 200, alice.sdp())
        await bob.request("BYE")
        await second.request("BYE")
        resumed = await carol.request("INVITE")
        carol.answer(resumed, 200, carol.sdp())
        await carol.request("ACK")
        await asyncio.sleep(0.05)
        streams = [stream for stream in house.studio.streams if not stream.closed]
        assert len(streams) == 2
        assert streams[0].other is streams[1]


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


async def test_a_proxied_phone_that_answers_when_the_caller_has_been_refused_is_hung_up_on() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, first, second = house.phone(ALICE), house.phone(BOB), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        declined, late = await first.request("INVITE"), await second.request("INVITE")
        second.answer(late, 183, second.sdp(5000), Require="100rel", RSeq="7")
        early = await alice.response(183)
        alice.routes = early.get_all("Record-Route")[::-1]
        alice.send("PRACK", RAck=f"7 {early.cseq}")
        prack = await second.request("PRACK")
        second.answer(prack, 200)
        await alice.response(200, "PRACK")
        first.answer(declined, 603)
        await alice.response(603)
        second.answer(late, 200, second.sdp(5000))
        await second.request("ACK")
        bye = await second.request("BYE")
        assert bye.cseq.number > prack.cseq.number, "RFC 3261 §12.2.2: out of order"
        second.answer(bye, 200)
        assert (await house.record()).status == 603
