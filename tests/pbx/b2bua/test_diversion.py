"""Who has diverted a call (RFC 5806), as the one who gets it is told."""

from __future__ import annotations

from directory.model import CallRule, Redirect, Stage
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House


async def test_a_diverted_call_says_by_whom() -> None:
    """RFC 5806; what the caller's own phone says of diversions is not passed on."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        house.town.rules[BOB.id] = [CallRule(Stage.AFTER, Redirect(("carol",)), 0.1)]
        alice.call(f"sip:bob@{DOMAIN}", Diversion="<sip:forged@elsewhere.test>;reason=away")
        rung = await bob.request("INVITE")
        assert not rung.has("Diversion")
        bob.answer(rung, 180)
        bob.answer(await bob.request("CANCEL"), 200)
        bob.answer(rung, 487)
        diverted = await carol.request("INVITE")
        assert diverted.get_all("Diversion") == [f'"Bob" <sip:bob@{DOMAIN}>;reason=unknown']
        carol.answer(diverted, 486)
        await alice.response(486)
        alice.send("ACK")
