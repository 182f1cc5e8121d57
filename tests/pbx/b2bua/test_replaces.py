"""An INVITE with Replaces takes the place of one of our dialogs, of whoever may (RFC 3891 §3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from directory.model import Account
from pbx.b2bua.exchange import CallSettings
from pbx.signal.port import Limits
from pbx.sipcore.message import Request
from pbx.sipcore.session_ports import SessionTimers
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, T1, House, Phone
from tests.pbx.b2bua.test_calls import connected
from tests.pbx.b2bua.test_lines import lines


def replaces(phone: Phone, invite: Request | None = None, *, early: bool = False) -> str:
    """The dialog of a phone with us, as a newcomer names it: our tag is the to-tag."""
    ours = phone.remote_to.partition(";tag=")[2] if invite is None else invite.from_tag
    call_id = phone.call_id if invite is None else invite.call_id
    return f"{call_id};to-tag={ours};from-tag={phone.tag}" + (";early-only" if early else "")


async def test_ones_other_telephone_takes_a_call_over() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        mobile = house.phone(BOB, registered=False)
        await connected(house, alice, bob)
        mobile.call(f"sip:alice@{DOMAIN}", mobile.sdp(7000), Replaces=replaces(bob), Require="replaces")
        renewed = await alice.request("INVITE")
        assert renewed.get("P-Asserted-Identity") == f'"Bob" <sip:bob@{DOMAIN}>'
        assert not any(message.is_request for message in bob.inbox), "not before the others have agreed"
        alice.answer(renewed, 200, alice.sdp())
        await alice.request("ACK")
        answer = await mobile.response(200)
        assert "replaces" in answer.tokens("Supported")
        assert answer.get("P-Asserted-Identity") == f'"Alice" <sip:alice@{DOMAIN}>'
        mobile.send("ACK")
        bob.answer(await bob.request("BYE"), 200)
        one, other = [stream for stream in house.studio.streams if not stream.closed]
        assert one.other is other
        assert other.settings is not None
        assert other.settings.remote == (mobile.local[0], 7000)
        assert (lines(house, ALICE), lines(house, BOB)) == ([("initiator", "confirmed")], [("initiator", "confirmed")])
        mobile.send("BYE")
        await mobile.response(200, "BYE")
        await alice.request("BYE")
        assert (await house.record()).ended_by == "callee"


async def test_without_an_offer_the_newcomer_is_offered() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        mobile = house.phone(BOB, registered=False)
        await connected(house, alice, bob)
        mobile.call(f"sip:alice@{DOMAIN}", b"", Replaces=replaces(bob))
        assert (await mobile.response(200)).body
        mobile.send("ACK", mobile.sdp(7000))
        await bob.request("BYE")
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await alice.request("ACK")
        one, other = [stream for stream in house.studio.streams if not stream.closed]
        assert one.other is other


async def test_nothing_changes_when_the_other_party_does_not_agree() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        mobile = house.phone(BOB, registered=False)
        await connected(house, alice, bob)
        mobile.call(f"sip:alice@{DOMAIN}", Replaces=replaces(bob))
        alice.answer(await alice.request("INVITE"), 488)
        await mobile.response(488)
        mobile.send("ACK")
        alice.send("INFO", b"x", "text/plain")
        bob.answer(await bob.request("INFO"), 200)
        await alice.response(200, "INFO")


async def test_a_call_that_rings_is_picked_up() -> None:
    async with House() as house:
        house.exchange.may_pick_up = lambda caller, account: (caller.account, account) == (CAROL, BOB)
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        (line,) = house.exchange.lines.of(BOB.id)
        assert (line.call_id, line.tags) == (invite.call_id, (bob.tag, invite.from_tag))
        carol.call(f"sip:alice@{DOMAIN}", carol.sdp(7000), Replaces=replaces(bob, invite, early=True))
        await carol.response(200)
        carol.send("ACK")
        carol.answer(await carol.request("INVITE"), 200, carol.sdp(7000))  # alice's own offer
        answer = await alice.response(200)
        assert answer.get("P-Asserted-Identity") == f'"Carol" <sip:carol@{DOMAIN}>'
        alice.send("ACK")
        cancel = await bob.request("CANCEL")
        assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        bob.answer(cancel, 200)
        bob.answer(invite, 487)
        one, other = [stream for stream in house.studio.streams if not stream.closed]
        assert one.other is other
        assert [len(lines(house, each)) for each in (ALICE, BOB, CAROL)] == [1, 0, 1]
        alice.send("BYE")
        carol.answer(await carol.request("BYE"), 200)
        record = await house.record()
        assert (record.outcome, record.callee, record.callee_account) == ("answered", CAROL.address, CAROL.id)
        assert house.studio.loaded() == 0


async def test_a_pickup_that_comes_too_late() -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        mobile = house.phone(BOB, registered=False)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        mobile.call(f"sip:alice@{DOMAIN}", mobile.sdp(7000), Replaces=replaces(bob, invite))
        await mobile.response(200)
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)
        mobile.send("ACK")
        mobile.answer(await mobile.request("INVITE"), 200, mobile.sdp(7000))
        await mobile.request("BYE")
        alice.send("INFO", b"x", "text/plain")
        await bob.request("INFO")


async def echoed(house: House, phone: Phone) -> None:
    """A telephone talks to the echo."""
    phone.call(f"sip:echo@{DOMAIN}")
    await phone.response(200)
    phone.send("ACK")
    await until(lambda: house.studio.streams[-1].echoing)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not true():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("offers", [True, False])
async def test_a_newcomer_takes_a_call_with_a_program_over(offers: bool) -> None:
    async with House() as house:
        bob, mobile = house.phone(BOB), house.phone(BOB, registered=False)
        await echoed(house, bob)
        mobile.call(f"sip:echo@{DOMAIN}", mobile.sdp(7000) if offers else b"", Replaces=replaces(bob))
        await mobile.response(200)
        mobile.send("ACK", b"" if offers else mobile.sdp(7000))
        bob.answer(await bob.request("BYE"), 200)
        await until(lambda: house.studio.loaded() == 1)
        (stream,) = [stream for stream in house.studio.streams if not stream.closed]
        assert stream.echoing, "the program goes on with him"
        assert stream.settings is not None
        assert stream.settings.remote == (mobile.local[0], 7000)
        mobile.send("BYE")
        await mobile.response(200, "BYE")
        assert (await house.record()).ended_by == "caller"


@pytest.mark.parametrize("offers", [True, False])
async def test_a_newcomer_whose_audio_does_not_fit_leaves_the_program_its_party(offers: bool) -> None:
    async with House() as house:
        bob, mobile = house.phone(BOB), house.phone(BOB, registered=False)
        await echoed(house, bob)
        unfit = mobile.sdp(7000, codecs="33").replace(b"a=rtpmap:101 telephone-event", b"a=rtpmap:33 MP2T")
        mobile.call(f"sip:echo@{DOMAIN}", unfit if offers else b"", Replaces=replaces(bob))
        if offers:
            await mobile.response(488)
            mobile.send("ACK")
        else:
            await mobile.response(200)
            mobile.send("ACK", unfit)
            mobile.answer(await mobile.request("BYE"), 200)
        await goes_on(house, bob)


async def test_a_party_that_refuses_the_audio_of_a_program_stays_where_it_was() -> None:
    """Attended transfer to a program: Bob has asked the echo, and sends Alice there."""
    async with House() as house:
        alice, bob, second = house.phone(ALICE), house.phone(BOB), house.phone(BOB, registered=False)
        await connected(house, alice, bob)
        await echoed(house, second)
        value = replaces(second).replace(";", "%3B").replace("=", "%3D")
        bob.send("REFER", Refer_To=f"<sip:echo@{DOMAIN}?Replaces={value}>")
        alice.answer(await alice.request("INVITE"), 488)
        while not (notify := await bob.request("NOTIFY")).body.startswith(b"SIP/2.0 488"):
            bob.answer(notify, 200)
        bob.answer(notify, 200)
        await goes_on(house, second)
        alice.send("INFO", b"x", "text/plain")
        bob.answer(await bob.request("INFO"), 200)


@asynccontextmanager
async def impatient() -> AsyncIterator[House]:
    """No ACK is waited for longer than an eighth of a second."""
    async with House(CallSettings(timers=SessionTimers(T1 / 20, T1 / 5, 60.0), signal=Limits(drain=0.2))) as house:
        yield house


async def vanishes(house: House, newcomer: Phone, number: str, **headers: str) -> None:
    """He asks without an offer, gets ours, and acknowledges nothing."""
    newcomer.call(f"sip:{number}@{DOMAIN}", b"", **headers)
    await newcomer.response(200)
    newcomer.answer(await newcomer.request("BYE"), 200)
    await until(lambda: house.studio.streams[-1].closed)


async def test_a_newcomer_who_never_acknowledges_leaves_the_place_to_others() -> None:
    async with impatient() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        await vanishes(house, house.phone(BOB, registered=False), "alice", Replaces=replaces(bob))
        other = house.phone(BOB, registered=False)
        other.call(f"sip:alice@{DOMAIN}", Replaces=replaces(bob))
        alice.answer(await alice.request("INVITE"), 200, alice.sdp())
        await other.response(200)
        other.send("ACK")
        await bob.request("BYE")


async def test_so_does_one_who_would_talk_to_a_program() -> None:
    async with impatient() as house:
        bob, other = house.phone(BOB), house.phone(BOB, registered=False)
        await echoed(house, bob)
        await vanishes(house, house.phone(BOB, registered=False), "echo", Replaces=replaces(bob))
        other.call(f"sip:echo@{DOMAIN}", Replaces=replaces(bob))
        await other.response(200)
        other.send("ACK")
        await bob.request("BYE")


async def test_so_does_one_who_picks_a_call_up() -> None:
    async with impatient() as house:
        alice, bob, other = house.phone(ALICE), house.phone(BOB), house.phone(BOB, registered=False)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        wanted = replaces(bob, invite)
        await vanishes(house, house.phone(BOB, registered=False), "alice", Replaces=wanted)
        other.call(f"sip:alice@{DOMAIN}", Replaces=wanted)
        await other.response(200)
        other.send("ACK")
        other.answer(await other.request("INVITE"), 488)
        await other.request("BYE")
        third = house.phone(BOB, registered=False)
        third.call(f"sip:alice@{DOMAIN}", Replaces=wanted)
        await third.response(200)
        third.send("ACK")
        third.answer(await third.request("INVITE"), 200, third.sdp())
        await alice.response(200)


async def goes_on(house: House, phone: Phone) -> None:
    """The call with the program is as it was."""
    phone.send("INFO", b"x", "text/plain")
    await phone.response(200, "INFO")
    assert not [message for message in phone.inbox if message.is_request]
    assert [stream.echoing for stream in house.studio.streams if not stream.closed and stream.other is None] == [True]


@pytest.mark.parametrize(
    ("who", "headers", "status"),
    [
        (CAROL, {}, 403),
        (CAROL, {"Referred_By": f"<sip:bob@{DOMAIN}>"}, 403),
        (BOB, {"early": "yes"}, 486),
        (BOB, {"Replaces": "unknown;to-tag=a;from-tag=b"}, 481),
        (BOB, {"ended": "yes"}, 603),
    ],
)
async def test_refusals(who: Account, headers: dict[str, str], status: int) -> None:
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        newcomer = house.phone(who, registered=False)
        await connected(house, alice, bob)
        if headers.pop("ended", ""):
            alice.send("BYE")
            bob.answer(await bob.request("BYE"), 200)
        early = bool(headers.pop("early", ""))
        newcomer.call(f"sip:alice@{DOMAIN}", **{"Replaces": replaces(bob, early=early), **headers})
        await newcomer.response(status)
        newcomer.send("ACK")
        assert not [message for message in alice.inbox if message.is_request and message.method == "INVITE"]


async def test_the_early_dialog_that_a_caller_has_begun_is_not_replaced() -> None:
    """RFC 3891 §3: it was not initiated by us."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        again = house.phone(ALICE, registered=False)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 180)
        await alice.response(180)
        again.call(f"sip:bob@{DOMAIN}", Replaces=replaces(alice))
        await again.response(481)


@pytest.mark.parametrize("by_himself", [True, False])
async def test_whom_the_telephone_itself_has_sent_may_replace_it(by_himself: bool) -> None:
    """Bob has asked Carol in a call that only passes through us, and sends her by it into his call with Alice. When
    another telephone names that call, it has no say; nor has what Carol's INVITE says of who has sent her."""
    async with House() as house:
        house.town.settings[CAROL.id, "CallFeatures"] = "NO"
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        await connected(house, alice, bob)
        asks = bob.line() if by_himself else house.phone(ALICE, registered=False)
        asks.call(f"sip:carol@{DOMAIN}")
        carol.answer(await carol.request("INVITE"), 200, carol.sdp())
        await asks.response(200)
        asks.send("ACK")
        wanted = replaces(bob)
        asks.send("REFER", Refer_To=f"<sip:alice@{DOMAIN}?Replaces={wanted.replace(';', '%3B').replace('=', '%3D')}>")
        carol.answer(await carol.request("REFER"), 202)
        comes = carol.line()
        comes.call(f"sip:alice@{DOMAIN}", Replaces=wanted, Referred_By=f"<sip:bob@{DOMAIN}>")
        if by_himself:
            alice.answer(await alice.request("INVITE"), 200, alice.sdp())
            await comes.response(200)
            comes.send("ACK")
            await bob.request("BYE")
        else:
            await comes.response(403)


async def test_a_proxied_dialog_is_replaced_by_the_telephone_at_its_end() -> None:
    async with House() as house:
        house.town.settings[BOB.id, "CallFeatures"] = "NO"
        alice, bob, carol = house.phone(ALICE), house.phone(BOB), house.phone(CAROL)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp())
        await alice.response(200)
        alice.send("ACK")
        wanted = f"{alice.call_id};to-tag={alice.tag};from-tag={bob.tag}"
        carol.call(f"sip:alice@{DOMAIN}", Replaces=wanted)
        passed = await alice.request("INVITE")
        assert (passed.get("Replaces"), passed.call_id) == (wanted, carol.call_id)
