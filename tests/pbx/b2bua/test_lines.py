"""What calls say of the lines of the accounts in them, as consoles will show it (RFC 4235 §3.7.1)."""

from __future__ import annotations

from directory.model import Account
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House


def lines(house: House, account: Account) -> list[tuple[str, str]]:
    return [(line.direction, line.state) for line in house.exchange.lines.of(account.id)]


async def test_a_call_shows_on_both_lines_as_it_goes() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        table = house.exchange.lines
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        assert (lines(house, ALICE), lines(house, BOB)) == ([("initiator", "trying")], [("recipient", "trying")])
        bob.answer(invite, 180)
        await alice.response(180)
        assert (lines(house, ALICE), lines(house, BOB)) == ([("initiator", "early")], [("recipient", "early")])
        assert table.of(BOB.id)[0].call_id == invite.call_id
        assert not table.busy(BOB.id)
        bob.answer(invite, 200, bob.sdp(5000))
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
        assert (lines(house, ALICE), lines(house, BOB)) == ([("initiator", "confirmed")], [("recipient", "confirmed")])
        assert table.busy(ALICE.id)
        assert table.busy(BOB.id)
        peer = table.of(BOB.id)[0]
        assert peer.peer == f"sip:alice@{DOMAIN}"
        ends = [line.id for account in (ALICE, BOB) for line in table.of(account.id)]
        alice.send("BYE")
        await alice.response(200, "BYE")
        assert [table.ending(line) for line in ends] == ["local-bye", "remote-bye"]
        assert (lines(house, ALICE), lines(house, BOB), len(table)) == ([], [], 0)


async def test_one_line_for_all_phones_of_an_account_and_none_once_it_was_refused() -> None:
    async with House() as house:
        alice, desk, mobile = house.phone(ALICE), house.phone(BOB), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        first, second = await desk.request("INVITE"), await mobile.request("INVITE")
        desk.answer(first, 180)
        await alice.response(180)
        assert lines(house, BOB) == [("recipient", "early")]
        line = house.exchange.lines.of(BOB.id)[0].id
        desk.answer(first, 486)
        mobile.answer(second, 486)
        await alice.response(486)
        assert lines(house, BOB) == []
        assert house.exchange.lines.ending(line) == "rejected"
        assert len(house.exchange.lines) == 0
