"""Who has diverted a call and why (RFC 5806, RFC 7044), as the one who gets it is told."""

from __future__ import annotations

import pytest

from directory.model import Account, Address, Caller, CallRule, ForeignRoute, Redirect, Stage
from pbx.b2bua.diversion import earlier, headers_for, times
from pbx.signal.branch import Branch, Device, Foreign
from pbx.signal.cause import Cause
from pbx.signal.node import Node
from pbx.sipcore.message import Request, Response
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone


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
        assert diverted.get_all("Diversion") == [f'"Bob" <sip:bob@{DOMAIN}>;reason=no-answer;counter=1']
        carol.answer(diverted, 486)
        await alice.response(486)
        alice.send("ACK")


async def diverted(house: House, stage: Stage, status: int) -> Request:
    """Alice calls Bob, whose rule leads to Carol: what Carol's telephone gets."""
    alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
    house.town.rules[BOB.id] = [CallRule(stage, Redirect(("carol",)))]
    alice.call(f"sip:bob@{DOMAIN}")
    if status:
        bob.answer(await bob.request("INVITE"), status)
    return await carol.request("INVITE")


@pytest.mark.parametrize(
    ("stage", "status", "reason", "cause"),
    [
        (Stage.BUSY, 486, "user-busy", 486),
        (Stage.AT_ONCE, 0, "unconditional", 302),
        (Stage.NO_ANSWER, 480, "no-answer", 408),
        (Stage.FAILURE, 500, "out-of-service", 500),
    ],
)
@pytest.mark.parametrize("features", ["YES", "NO"])
async def test_why_it_was_diverted(stage: Stage, status: int, reason: str, cause: int, features: str) -> None:
    """RFC 5806 §9.2; RFC 7044 §10.2, §10.3: numbers show the tree, the reason stands in the address that was left."""
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = features
        invite = await diverted(house, stage, status)
        assert invite.get_all("Diversion") == [f'"Bob" <sip:bob@{DOMAIN}>;reason={reason};counter=1']
        at = 2 if status else 1
        tried = [f"<sip:bob@{DOMAIN}?Reason=SIP%3Bcause%3D{status}>;index=1.1;rc=1"] if status else []
        assert invite.get_all("History-Info") == [
            f"<sip:bob@{DOMAIN}?Reason=SIP%3Bcause%3D{cause}>;index=1",
            *tried,  # Bob's telephone
            f"<sip:carol@{DOMAIN}>;index=1.{at};mp=1",
            f"<{invite.uri}>;index=1.{at}.1;rc=1.{at}",
        ]


async def test_a_telephone_that_redirects() -> None:
    """RFC 3261 §16.5, RFC 5806: deflection."""
    async with House() as house:
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 302, Contact=f"<sip:carol@{DOMAIN}>")
        invite = await carol.request("INVITE")
        assert invite.get_all("Diversion") == [f'"Bob" <sip:bob@{DOMAIN}>;reason=deflection;counter=1']


async def history(house: House, caller: Phone, *, status: int) -> Response:
    """Bob is busy, Carol's telephone rings, and answers so."""
    bob, carol = house.phone(BOB), house.phone(CAROL)
    house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect(("carol",)))]
    caller.call(f"sip:bob@{DOMAIN}", Supported="histinfo")
    bob.answer(await bob.request("INVITE"), 486)
    invite = await carol.request("INVITE")
    carol.answer(invite, 180)
    await caller.response(180)
    carol.answer(invite, status, carol.sdp() if status == 200 else b"")
    return await caller.response(status)


@pytest.mark.parametrize("features", ["YES", "NO"])
@pytest.mark.parametrize(("status", "why"), [(200, ""), (486, "?Reason=SIP%3Bcause%3D486")])
async def test_the_caller_hears_where_his_call_went(status: int, why: str, features: str) -> None:
    """RFC 7044 §9.4: by account, not by contact; on both ways."""
    async with House() as house:
        for account in (BOB, CAROL):
            house.town.settings[account.id, "CallFeatures"] = features
        response = await history(house, house.phone(ALICE), status=status)
        assert response.get_all("History-Info") == [
            f"<sip:bob@{DOMAIN}?Reason=SIP%3Bcause%3D486>;index=1",
            f"<sip:bob@{DOMAIN}?Reason=SIP%3Bcause%3D486>;index=1.1;rc=1",
            f"<sip:carol@{DOMAIN}>;index=1.2;mp=1",
            f"<sip:carol@{DOMAIN}{why}>;index=1.2.1;rc=1.2",
        ]


@pytest.mark.parametrize("said", [{"Privacy": "id"}, {"History_Info": "<sip:carol@elsewhere.test>;index=1"}])
async def test_in_a_proxied_call_the_callee_has_the_last_word(said: dict[str, str]) -> None:
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", Supported="histinfo")
        bob.answer(await bob.request("INVITE"), 200, bob.sdp(), **said)
        assert (await alice.response(200)).get("History-Info") == said.get("History_Info")


@pytest.mark.parametrize("features", ["YES", "NO"])
async def test_a_stranger_hears_nothing_of_it(features: str) -> None:
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = features
        stranger = house.phone(Account(9, "elsewhere.test", "x"), registered=False)
        assert not (await history(house, stranger, status=200)).has("History-Info")


async def test_who_does_not_ask_is_not_told() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 486)
        assert not (await alice.response(486)).has("History-Info")


def test_what_was_tried_is_told_to_trusted_peers_and_own_telephones_only() -> None:
    """RFC 7044 §10.3; the number of what is left out stays."""
    root = Node(None)
    bob = Node(root, BOB)
    abroad = Branch(2, Foreign(ForeignRoute(Address("x", "elsewhere.test"))), bob, BOB, cause=Cause.BUSY, index=(1, 2))
    tried = [Branch(1, Device(BOB, "sip:bob@10.0.1.2"), bob, BOB, final=486), abroad]
    dialled = f"sip:bob@{DOMAIN}"

    def told(branch: Branch, *, trusted: bool) -> list[str]:
        headers = headers_for(branch, "sip:x@elsewhere.test", dialled, (), tried, trusted=trusted)
        return [value for name, value in headers if name == "History-Info"]

    first = f"<{dialled}?Reason=SIP%3Bcause%3D486>;index=1"
    second = f"<{dialled}?Reason=SIP%3Bcause%3D486>;index=1.1;rc=1"
    assert told(abroad, trusted=True) == [first, second, "<sip:x@elsewhere.test>;index=1.2;mp=1"]
    assert told(abroad, trusted=False) == [first, "<sip:x@elsewhere.test>;index=1.2;mp=1"]
    own = Branch(3, Device(CAROL, "sip:carol@10.0.1.3"), bob, BOB, cause=Cause.BUSY, index=(1, 3))
    assert second in told(own, trusted=False)


PEER = Caller("sip:x@carrier.test", trusted=True)
SAID = (
    ("Diversion", "<sip:secret@carrier.test>;reason=user-busy;counter=3;privacy=full"),
    ("Diversion", "<sip:open@carrier.test>;reason=away"),
    ("History-Info", "<sip:open@carrier.test>;index=1"),
    ("History-Info", "<sip:secret@carrier.test?Privacy=history>;index=1.1;mp=1"),
)


def invite(*headers: tuple[str, str]) -> Request:
    request = Request("INVITE", "sip:bob@tandem.test")
    for name, value in (("From", "<sip:x@carrier.test>;tag=a"), *headers):
        request.add(name, value)
    return request


def test_only_trusted_peers_are_believed() -> None:
    said = earlier(invite(*SAID), PEER)
    assert (len(said), times(said)) == (4, 4)
    assert earlier(invite(*SAID), Caller("sip:x@carrier.test")) == ()
    assert times(earlier(invite(("Diversion", "<sip:a@b>;counter=99999999999")), PEER)) == 1
    assert earlier(invite(("History-Info", "<sip:")), PEER) == ()


def test_what_is_private_is_not_shown_outside() -> None:
    """RFC 7044 §10.1.2, RFC 5806 §9.4; the numbers stay, and ours go on where theirs end."""
    branch = Branch(1, Device(BOB, "sip:bob@10.0.1.2"), Node(None, BOB))
    said = earlier(invite(*SAID), PEER)
    ours = "<sip:bob@10.0.1.2>;index=1.1.1;rc=1.1"
    trusted = headers_for(branch, "sip:bob@10.0.1.2", "sip:bob@tandem.test", said, trusted=True)
    assert trusted == (*SAID, ("History-Info", ours))
    shown = headers_for(branch, "sip:bob@10.0.1.2", "sip:bob@tandem.test", said, trusted=False)
    assert [value for _, value in shown] == [
        "<sip:anonymous@anonymous.invalid>;reason=user-busy;counter=3",
        SAID[1][1],
        SAID[2][1],
        "<sip:anonymous@anonymous.invalid>;index=1.1;mp=1",
        ours,
    ]
    hiding = earlier(invite(*SAID, ("Privacy", "history")), PEER)
    assert "open" not in repr(headers_for(branch, "sip:bob@10.0.1.2", "sip:bob@tandem.test", hiding, trusted=False))
    assert ("Privacy", "history") in headers_for(branch, "sip:b@c", "sip:bob@tandem.test", hiding, trusted=True)


async def test_a_call_that_was_diverted_too_often_is_not_diverted_again() -> None:
    async with House() as house:
        stranger, bob = house.phone(Account(9, "carrier.test", "x"), registered=False), house.phone(BOB)
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect(("carol",)))]
        stranger.call(f"sip:bob@{DOMAIN}", Diversion="<sip:a@carrier.test>;reason=unknown;counter=10")
        bob.answer(await bob.request("INVITE"), 486)
        await stranger.response(482)
