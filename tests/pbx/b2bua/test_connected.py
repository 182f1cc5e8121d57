"""A party that becomes somebody else in the middle of a call: whose word counts, who is told (RFC 3325, RFC 4916)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from directory.model import Account
from pbx.sipcore.message import Request
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House, Phone

CARRIER = Account(0, "carrier.test", "ann")
ANN, BEN, EVE = '"Ann" <sip:+491@carrier.test>', '"Ben" <sip:+492@carrier.test>', '"Eve" <sip:eve@evil.test>'
UPDATES = "INVITE, ACK, BYE, CANCEL, UPDATE, INFO"


@asynccontextmanager
async def talking(caller: Account, **said: str) -> AsyncIterator[tuple[Phone, Phone]]:
    """The caller asserts that he is Ann; Alice's telephone says that when it answers."""
    async with House() as house:
        peer = house.phone(caller, registered=caller is BOB)
        alice = house.phone(ALICE)
        peer.call(f"sip:alice@{DOMAIN}", P_Asserted_Identity=ANN)
        invite = await alice.request("INVITE")
        assert invite.get("P-Asserted-Identity") is None  # an INVITE tells it to trusted peers only
        alice.answer(invite, 200, alice.sdp(), **said)
        await peer.response(200)
        peer.send("ACK")
        await alice.request("ACK")
        alice.takes(invite)
        yield peer, alice


def shown(request: Request) -> tuple[str | None, str]:
    return request.get("P-Asserted-Identity"), request.from_.display


async def nothing_told(peer: Phone, alice: Phone) -> None:
    """What the peer sends next is the next that Alice gets."""
    peer.send("INFO", b"x", "text/plain")
    alice.answer(await alice.request("INFO"), 200)
    await peer.response(200, "INFO")
    assert [each.method for each in alice.inbox] == []


@pytest.mark.parametrize("option", ["from-change", "timer"])
async def test_a_trusted_peer_s_update_is_told(option: str) -> None:
    async with talking(CARRIER, Allow=UPDATES, Supported=option) as (peer, alice):
        peer.send("UPDATE", P_Asserted_Identity=BEN)
        await peer.response(200, "UPDATE")
        update = await alice.request("UPDATE")
        assert shown(update) == (BEN, "Ben" if option == "from-change" else "")
        assert update.body == b""
        alice.answer(update, 200)
        peer.send("UPDATE", P_Asserted_Identity=BEN)  # a refresh: nobody new
        await peer.response(200, "UPDATE")
        await nothing_told(peer, alice)
        peer.send("UPDATE", P_Asserted_Identity=ANN, Privacy="id")
        hidden = await alice.request("UPDATE")
        assert "+491" not in str(shown(hidden))
        assert "anonymous" in (hidden.get("P-Asserted-Identity") or "")
        alice.answer(hidden, 200)


async def test_another_from_is_told_where_no_identity_is_asserted() -> None:
    """RFC 4916 §4.4; and what we send him is for whom he says he is."""
    async with talking(CARRIER, Allow=UPDATES) as (peer, alice):
        peer.send("UPDATE", From=f"{BEN};tag={peer.tag}")
        await peer.response(200, "UPDATE")
        update = await alice.request("UPDATE")
        assert update.get("P-Asserted-Identity") == BEN
        alice.answer(update, 200)
        alice.send("BYE")
        assert (await peer.request("BYE")).to.uri.user == "+492"


async def test_a_telephone_without_update_is_told_in_the_offer() -> None:
    async with talking(CARRIER) as (peer, alice):
        peer.send("INVITE", peer.sdp(direction="sendonly"), P_Asserted_Identity=BEN)
        again = await alice.request("INVITE")
        assert again.get("P-Asserted-Identity") == BEN
        assert b"a=sendonly" in again.body
        alice.answer(again, 200, alice.sdp(direction="recvonly"))
        await peer.response(200)
        peer.send("ACK")
        await alice.request("ACK")
        peer.send("INVITE", peer.sdp(), P_Asserted_Identity=BEN)
        assert not (await alice.request("INVITE")).has("P-Asserted-Identity")


@pytest.mark.parametrize("caller", [BOB, Account(0, "elsewhere.test", "eve")])
async def test_what_others_say_is_not_passed_on(caller: Account) -> None:
    async with talking(caller, Allow=UPDATES, Supported="from-change") as (peer, alice):
        peer.send("UPDATE", P_Asserted_Identity=EVE, From=f"{EVE};tag={peer.tag}")
        await peer.response(200, "UPDATE")
        await nothing_told(peer, alice)


@pytest.mark.parametrize("gateway", [True, False])
async def test_a_gateway_that_registers_is_told_the_asserted_identity(gateway: bool) -> None:
    """As one that is known by its address (RFC 3325 §7): it is believed, so it is in our trust domain."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        if gateway:
            house.town.gateways.add(BOB.id)
        alice.call(f"sip:bob@{DOMAIN}", Privacy="id")
        invite = await bob.request("INVITE")
        assert invite.from_.uri.host == "anonymous.invalid"
        assert invite.get("P-Asserted-Identity") == (f'"Alice" <sip:alice@{DOMAIN}>' if gateway else None)
        assert ("id" in invite.get_all("Privacy")) == gateway
