"""Session timers (RFC 4028) of both legs of a call through the B2BUA."""

from __future__ import annotations

from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House


async def test_too_small_an_interval_is_refused_before_anybody_rings() -> None:
    """RFC 4028 §9: 422 with Min-SE."""
    async with House() as house:
        alice, _bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Session_Expires="30", Supported="timer")
        refused = await alice.response(422)
        assert refused.get("Min-SE") == "90"
        alice.send("ACK")
        assert not house.studio.streams, "nobody was rung"


async def test_each_leg_has_its_own_timer() -> None:
    """The caller refreshes his leg; the callee knows nothing of it and gets our own interval."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Session_Expires="600;refresher=uac", Supported="timer")
        invite = await bob.request("INVITE")
        assert invite.get("Session-Expires") == "1800"
        assert "timer" in invite.tokens("Supported")
        bob.answer(invite, 200, bob.sdp(5000))
        accepted = await alice.response(200)
        assert accepted.get("Session-Expires") == "600;refresher=uac"
        alice.send("ACK")
        await bob.request("ACK")
        alice.send("BYE")
        await alice.response(200, "BYE")
        bob.answer(await bob.request("BYE"), 200)
