"""RFC 3261 and its later corrections, each told twice: through the B2BUA and through the proxy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, House, Phone

BOTH = pytest.mark.parametrize("way", ["b2bua", "proxy"])
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
GIVEN_UP = 'SIP;cause=487;text="Request Terminated"'


def bobs(house: House, way: str, count: int = 1) -> list[Phone]:
    """Phones of Bob, reached by that way."""
    if way == "proxy":
        for account in (BOB, CAROL):
            house.town.settings[account.id, "CallFeatures"] = "NO"
    return [house.phone(BOB) for _ in range(count)]


async def stopped(phone: Phone, invite: Request) -> Request:
    """The phone is cancelled, and says so."""
    cancel = await phone.request("CANCEL")
    phone.answer(cancel, 200)
    phone.answer(invite, 487)
    return cancel


@BOTH
async def test_the_best_refusal_of_several(way: str) -> None:
    """RFC 3261 §16.7 step 6: any 6xx; else of the lowest class what tells the caller most; a 503 is not passed on."""
    for first, second, wanted in ((486, 503, 486), (480, 603, 603), (503, 503, 500), (404, 500, 404)):
        async with House() as house:
            alice = house.phone(ALICE)
            one, two = bobs(house, way, 2)
            alice.call(f"sip:bob@{DOMAIN}")
            one.answer(await one.request("INVITE"), first)
            two.answer(await two.request("INVITE"), second)
            await alice.response(wanted)


@BOTH
async def test_a_decline_stops_the_other_phones(way: str) -> None:
    """RFC 3261 §16.7 step 5."""
    async with House() as house:
        alice = house.phone(ALICE)
        one, two = bobs(house, way, 2)
        alice.call(f"sip:bob@{DOMAIN}")
        first, second = await one.request("INVITE"), await two.request("INVITE")
        two.answer(second, 180)
        one.answer(first, 603)
        await stopped(two, second)
        await alice.response(603)


@BOTH
async def test_challenges_of_phones(way: str) -> None:
    """RFC 3261 §16.7 step 7: a proxy collects them; a challenge for our own user agent is none for the caller."""
    async with House() as house:
        alice = house.phone(ALICE)
        one, two = bobs(house, way, 2)
        alice.call(f"sip:bob@{DOMAIN}")
        one.answer(await one.request("INVITE"), 407, Proxy_Authenticate='Digest realm="one", nonce="1"')
        two.answer(await two.request("INVITE"), 401, WWW_Authenticate='Digest realm="two", nonce="2"')
        if way == "b2bua":
            await alice.response(403)
            return
        answer = await alice.response(401)
        assert answer.get_all("WWW-Authenticate") == ['Digest realm="two", nonce="2"']
        assert answer.get_all("Proxy-Authenticate") == ['Digest realm="one", nonce="1"']


@BOTH
async def test_a_secure_call_rings_secure_phones_only(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5630 §5.3; the second phone stands for one that has registered by TLS."""
    async with House() as house:
        alice = house.phone(ALICE)
        one, two = bobs(house, way, 2)
        monkeypatch.setattr(Flow, "secure", property(lambda flow: flow.remote == two.local))
        alice.call(f"sips:bob@{DOMAIN}")
        two.answer(await two.request("INVITE"), 486)
        assert (await alice.response(486)).get("Warning") is None
        assert not one.inbox


@BOTH
async def test_a_secure_call_to_nobody_who_is_secure(way: str) -> None:
    """RFC 5630 §5.3: 480 and why."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sips:bob@{DOMAIN}")
        assert "380" in ((await alice.response(480)).get("Warning") or "")
        assert not bob.inbox


def test_what_is_secure() -> None:
    found = [Flow(kind, ("", 1), ("", 2)).secure for kind in ("udp", "tcp", "ws", "tls", "wss")]
    assert found == [False, False, False, True, True]


@BOTH
async def test_phones_are_told_why_they_stop(way: str) -> None:
    """RFC 3326: answered elsewhere by us or by somebody before us, or the caller has given up."""
    for answered, said, wanted in ((True, None, ELSEWHERE), (False, None, GIVEN_UP), (False, ELSEWHERE, ELSEWHERE)):
        async with House() as house:
            alice = house.phone(ALICE)
            one, two = bobs(house, way, 2)
            alice.call(f"sip:bob@{DOMAIN}")
            first, second = await one.request("INVITE"), await two.request("INVITE")
            one.answer(first, 180)
            two.answer(second, 180)
            await alice.response(180)
            if answered:
                one.answer(first, 200, one.sdp())
                await alice.response(200)
            else:
                alice.cancel(**({"Reason": said} if said else {}))
                await alice.response(200, "CANCEL")
                await stopped(one, first)
            assert (await stopped(two, second)).get("Reason") == wanted
            if not answered:
                await alice.response(487)


@BOTH
async def test_two_phones_answer_at_once(way: str) -> None:
    """RFC 3261 §13.2.2.4, §16.7 step 5: our user agent ends the second one; a proxy leaves that to the caller."""
    async with House() as house:
        alice = house.phone(ALICE)
        one, two = bobs(house, way, 2)
        alice.call(f"sip:bob@{DOMAIN}")
        first, second = await one.request("INVITE"), await two.request("INVITE")
        one.answer(first, 200, one.sdp())
        two.answer(second, 200, two.sdp())
        tags = {(await alice.response(200)).to_tag}
        if way == "b2bua":
            await two.request("ACK")
            two.answer(await two.request("BYE"), 200)
        else:
            tags.add((await alice.response(200)).to_tag)
            assert tags == {one.tag, two.tag}


@BOTH
async def test_a_cancel_that_crosses_the_answer(way: str) -> None:
    """RFC 3261 §9.1: the answer has won."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        bob.answer(invite, 200, bob.sdp())
        answer = await alice.response(200)
        alice.cancel()
        await alice.response(200, "CANCEL")
        alice.remote_to = answer.get("To") or ""
        alice.send("ACK")
        await bob.request("ACK")
        alice.send("BYE")
        bob.answer(await bob.request("BYE"), 200)
        await alice.response(200, "BYE")
        assert not [each for each in bob.inbox if isinstance(each, Request)]


@BOTH
async def test_a_phone_answers_a_cancel_with_200(way: str) -> None:
    """The caller has gone: somebody must end it. Our user agent does; by proxy the caller gets the 200 and does."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        alice.cancel()
        bob.answer(await bob.request("CANCEL"), 200)
        bob.answer(invite, 200, bob.sdp())
        if way == "b2bua":
            await alice.response(487)
            await bob.request("ACK")
            bob.answer(await bob.request("BYE"), 200)
        assert (await house.record()).status == 487


@BOTH
async def test_a_phone_that_forwards(way: str) -> None:
    """RFC 3261 §16.5: a 302 is followed, and the caller hears nothing of it."""
    async with House() as house:
        alice, carol = house.phone(ALICE), house.phone(CAROL)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 302, Contact=f"<sip:carol@{DOMAIN}>")
        await bob.request("ACK")
        invite = await carol.request("INVITE")
        assert invite.uri == f"sip:carol@{carol.local[0]}:5060"
        carol.answer(invite, 200, carol.sdp())
        await alice.response(200)
        alice.send("ACK")
        await carol.request("ACK")


@BOTH
async def test_phones_that_forward_in_a_circle(way: str) -> None:
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 302, Contact=f"<sip:bob@{DOMAIN}>")
        await alice.response(482)


@BOTH
async def test_a_bye_before_the_answer(way: str) -> None:
    """RFC 3261 §15: the caller may end an early dialog so; the INVITE is then answered with 487."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        ringing = await alice.response(180)
        alice.routes = ringing.get_all("Record-Route")[::-1]
        alice.send("BYE")
        if way == "proxy":
            bob.answer(await bob.request("BYE"), 200)
            bob.answer(invite, 487)
        else:
            await stopped(bob, invite)
        await alice.response(200, "BYE")
        await alice.response(487)


@BOTH
async def test_an_invite_without_an_offer(way: str) -> None:
    """RFC 3261 §13.2.1: the 200 offers, the ACK answers."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}", b"")
        invite = await bob.request("INVITE")
        assert not invite.body
        bob.answer(invite, 200, bob.sdp(5000))
        assert (await alice.response(200)).body
        alice.send("ACK", alice.sdp(4000))
        assert (await bob.request("ACK")).body


@BOTH
async def test_both_change_the_audio_at_once(way: str) -> None:
    """RFC 3261 §14.1, §14.2: both get 491, and the call goes on."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
        bob.takes(invite)
        alice.send("INVITE", alice.sdp(4002))
        theirs = await bob.request("INVITE")
        bob.send("INVITE", bob.sdp(5002))
        if way == "proxy":
            alice.answer(await alice.request("INVITE"), 491)
        await bob.response(491)
        bob.answer(theirs, 491)
        await alice.response(491)
        alice.send("BYE")
        bob.answer(await bob.request("BYE"), 200)
        await alice.response(200, "BYE")


@BOTH
async def test_no_hops_are_made_up(way: str) -> None:
    """RFC 3261 §16.6 step 3."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}", Max_Forwards="9")
        assert (await bob.request("INVITE")).number("Max-Forwards") == 8


@BOTH
async def test_a_call_is_shared_out_among_telephones(way: str) -> None:
    """RFC 5393 §5.3.3: a proxy shares out 60 where nothing was said; a B2BUA passes on what it was told."""
    for said, wanted in ((None, ["7", "6"] if way == "proxy" else [None, None]), ("9", ["1", "1"])):
        async with House() as house:
            alice = house.phone(ALICE)
            phones = bobs(house, way, 2)
            alice.call(f"sip:bob@{DOMAIN}", **({} if said is None else {"Max_Breadth": said}))
            assert [(await phone.request("INVITE")).get("Max-Breadth") for phone in phones] == wanted


@BOTH
async def test_a_call_that_may_be_in_one_place_only_rings_at_one_telephone_and_then_elsewhere(way: str) -> None:
    async with House() as house:
        alice = house.phone(ALICE)
        one, two = bobs(house, way, 2)
        alice.call(f"sip:bob@{DOMAIN}", Max_Breadth="1")
        one.answer(await one.request("INVITE"), 302, Contact=f"<sip:carol@{DOMAIN}>")
        carol = house.phone(CAROL)
        assert not two.inbox
        invite = await carol.request("INVITE")
        assert invite.get("Max-Breadth") == "1"
        carol.answer(invite, 200, carol.sdp())
        await alice.response(200)


@BOTH
async def test_a_call_without_any_breadth_goes_nowhere(way: str) -> None:
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}", Max_Breadth="0")
        assert (await alice.response(440)).reason == "Max-Breadth Exceeded"
        assert not bob.inbox


@BOTH
async def test_what_is_required_is_for_the_one_who_serves_it(way: str) -> None:
    """RFC 3261 §8.2.2.3, §16.3 step 5: a user agent refuses what it does not know, a proxy does not look."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}", Require="precondition")
        if way == "b2bua":
            assert (await alice.response(420)).get("Unsupported") == "precondition"
        else:
            assert (await bob.request("INVITE")).tokens("Require") == {"precondition"}


@BOTH
async def test_a_number_instead_of_an_address(way: str) -> None:
    """RFC 3966: `tel:` in To, in both directions."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}", to="<tel:+15550100>")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp())
        answer = await alice.response(200)
        assert str(answer.to.uri) == "tel:+15550100"
        alice.send("ACK")
        await bob.request("ACK")
        bob.takes(invite)
        bob.send("BYE")
        bye = await alice.request("BYE")
        if way == "b2bua":
            assert str(bye.from_.uri) == "tel:+15550100"


@BOTH
async def test_a_strict_router_on_the_way(way: str) -> None:
    """RFC 3261 §12.2.1.1: it is our Request-URI, and the phone our last Route. §16.4: a proxy gets its own address as
    Request-URI, and the target as last Route."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        contact = f"sip:bob@{bob.local[0]}:{bob.local[1]}"
        if way == "b2bua":
            bob.answer(invite, 200, bob.sdp(), Record_Route="<sip:10.9.9.9>")
            await alice.response(200)
            alice.send("ACK")
            ack = await bob.request("ACK")
            assert (ack.uri, ack.get_all("Route")) == ("sip:10.9.9.9", [f"<{contact}>"])
            return
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)
        (ours,) = alice.routes
        alice.routes, alice.remote_target = [f"<{alice.remote_target}>"], ours.strip("<>")
        for method in ("ACK", "BYE"):
            alice.send(method)
            passed = await bob.request(method)
            assert (passed.uri, passed.get_all("Route")) == (contact, [])


@pytest.mark.parametrize("way", ["proxy"])
async def test_a_strict_router_behind_us(way: str) -> None:
    """RFC 3261 §16.6 step 6."""
    async with House() as house:
        alice = house.phone(ALICE)
        (bob,) = bobs(house, way)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 200, bob.sdp())
        await alice.response(200)
        target = alice.remote_target
        alice.routes = [*alice.routes, "<sip:10.9.9.9>"]
        alice.send("ACK")
        ack = await bob.request("ACK")
        assert (ack.uri, ack.get_all("Route")) == ("sip:10.9.9.9", [f"<{target}>"])


@pytest.mark.parametrize("web", [True, False])
async def test_a_telephone_that_calls_a_browser_among_others_goes_through_us(web: bool) -> None:
    """With call features off the INVITE is passed on, unless a browser could not take its offer (RFC 8827 §6.5)."""
    async with House() as house:
        alice = house.phone(ALICE)
        desk, other = bobs(house, "proxy", 2)
        if web:
            first, second = house.town.bindings[BOB.id]
            house.town.bindings[BOB.id] = [first, replace(second, flow=replace(second.flow, transport="wss"))]
        asked = alice.call(f"sip:bob@{DOMAIN}")
        invite = await desk.request("INVITE")
        assert (invite.call_id != asked.call_id) is web
        desk.answer(invite, 486)
        if not web:
            other.answer(await other.request("INVITE"), 486)
        await alice.response(486)
