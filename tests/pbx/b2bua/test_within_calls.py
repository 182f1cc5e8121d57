"""What parties of a call ask of each other through us: hold, other requests, transfer."""

from __future__ import annotations

import asyncio

import pytest

from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, SERVER, House
from tests.pbx.b2bua.test_calls import connected


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
