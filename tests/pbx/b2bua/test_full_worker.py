"""New calls at a media worker that has no room: refused before anything rings; what goes on goes on."""

from __future__ import annotations

from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_media import body
from tests.pbx.b2bua.test_toll import emergency, gateway

OPUS = ("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2")


async def test_a_new_call_is_refused_before_anything_rings_and_the_old_one_goes_on() -> None:
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        house.studio.full = True
        carol.call(f"sip:bob@{DOMAIN}")
        refusal = await carol.response(503)
        assert 5 <= int(refusal.get("Retry-After") or 0) <= 30
        carol.send("ACK")
        alice.send("INVITE", alice.sdp(4002), "application/sdp")  # established: may still change
        again = await bob.request("INVITE")
        bob.answer(again, 200, bob.sdp(5000))
        await alice.response(200)
        alice.send("ACK")
        assert house.studio.loaded() == 2
        refused = await house.record()
        assert (refused.status, refused.cause) == (503, "media worker full")


async def test_an_emergency_call_is_let_in() -> None:
    async with House() as house:
        house.studio.full = True
        house.town.resolve = emergency  # type: ignore[method-assign]
        alice, far = house.phone(ALICE), gateway(house)
        alice.call(f"sip:112@{DOMAIN}")
        far.answer(await far.request("INVITE"), 486)
        await alice.response(486)


async def test_no_more_codecs_are_translated_than_can_be() -> None:
    async with House() as house:
        house.studio.translations = 0
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", body(alice, *OPUS))
        for _ in range(3):  # as it is, by SDES, and by DTLS-SRTP
            asked = await bob.request("INVITE")
            assert b"opus" in asked.body.lower()
            assert b"PCMU" not in asked.body
            bob.answer(asked, 488)
        await alice.response(488)
