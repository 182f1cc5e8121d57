"""Workarounds of calls: what differs on the wire, with and without each."""

from __future__ import annotations

import pytest

from pbx.b2bua.exchange import CallSettings
from pbx.signal.port import Limits
from pbx.sipcore.session import SessionTimers
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Row, Workarounds
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, T1, House

AGENT = "Odd Phone/1"
both = pytest.mark.parametrize("done", [False, True])


def house(what: Workaround, done: bool) -> House:
    """With session timers, as a server has them."""
    timers = SessionTimers(T1, 4 * T1, 60.0, expires=1800)
    made = House(CallSettings(timers=timers, signal=Limits(drain=0.2)))
    made.exchange.workarounds = Workarounds([Row("Odd*", what)] if done else [])
    return made


@both
async def test_no_session_timer(done: bool) -> None:
    async with house(Workaround.NO_SESSION_TIMER, done) as made:
        alice, bob = made.phone(ALICE), made.phone(BOB, agent=AGENT)
        alice.call(f"sip:bob@{DOMAIN}", User_Agent=AGENT, Supported="timer")
        invite = await bob.request("INVITE")
        assert invite.has("Session-Expires") is not done
        assert ("timer" in invite.tokens("Supported")) is not done
        bob.answer(invite, 200, bob.sdp())
        await bob.request("ACK")
        answer = await alice.response(200)
        assert answer.has("Session-Expires") is not done
        alice.send("ACK")
        alice.send("BYE")


@both
async def test_no_reliable_ringing(done: bool) -> None:
    async with house(Workaround.NO_100REL, done) as made:
        alice, bob = made.phone(ALICE), made.phone(BOB, agent=AGENT)
        alice.call(f"sip:bob@{DOMAIN}", User_Agent=AGENT, Supported="100rel")
        invite = await bob.request("INVITE")
        assert ("100rel" in invite.tokens("Supported")) is not done
        bob.answer(invite, 183, bob.sdp())
        assert (await alice.response(183)).has("RSeq") is not done
        alice.cancel()


@both
async def test_plain_ringing(done: bool) -> None:
    async with house(Workaround.PLAIN_RINGING, done) as made:
        alice, bob = made.phone(ALICE), made.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}", User_Agent=AGENT)
        invite = await bob.request("INVITE")
        bob.answer(invite, 183, bob.sdp())
        ringing = await alice.response(180 if done else 183)
        assert bool(ringing.body) is not done
        alice.cancel()
        await alice.response(200, "CANCEL")


@both
async def test_few_headers(done: bool) -> None:
    async with house(Workaround.FEW_HEADERS, done) as made:
        alice, bob = made.phone(ALICE), made.phone(BOB, agent=AGENT)
        alice.call(f"sip:bob@{DOMAIN}", Subject="hello", Alert_Info="<http://example.org/ring>")
        invite = await bob.request("INVITE")
        assert invite.has("Subject") is not done
        assert invite.has("Alert-Info") is not done
        alice.cancel()


@both
async def test_the_contact_is_the_number(done: bool) -> None:
    async with house(Workaround.CONTACT_NUMBER, done) as made:
        alice, bob = made.phone(ALICE), made.phone(BOB, agent=AGENT)
        alice.call(f"sip:bob@{DOMAIN}", User_Agent=AGENT)
        invite = await bob.request("INVITE")
        assert (invite.contacts[0].uri.user == "alice") is done
        bob.answer(invite, 200, bob.sdp())
        answer = await alice.response(200)
        assert (answer.contacts[0].uri.user == "bob") is done
        alice.send("ACK")
        alice.send("BYE")
        assert (await bob.request("BYE")).call_id == invite.call_id


@both
async def test_one_codec(done: bool) -> None:
    async with house(Workaround.ONE_CODEC, done) as made:
        alice, bob = made.phone(ALICE), made.phone(BOB, agent=AGENT)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        line = next(line for line in invite.body.decode().splitlines() if line.startswith("m=audio"))
        assert line.split()[3:] == (["0", "101"] if done else ["0", "8", "101"])
        alice.cancel()


@both
async def test_keys_as_info(done: bool) -> None:
    async with house(Workaround.INFO_DIGITS, done) as made:
        alice, bob = made.phone(ALICE), made.phone(BOB, agent=AGENT)
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        assert (b"telephone-event" in invite.body) is not done
        bob.answer(invite, 200, bob.sdp(codecs="0" if done else "0 101"))
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
        made.studio.streams[0].listener.media_digit("5", 100)
        if done:
            info = await bob.request("INFO")
            assert info.content_type == "application/dtmf-relay"
            assert info.body == b"Signal=5\r\nDuration=160\r\n"
            bob.answer(info, 200)
        alice.send("BYE")
        await bob.request("BYE")
        assert not [message for message in bob.inbox if message.method == "INFO"]


@both
async def test_no_question_without_an_offer(done: bool) -> None:
    async with house(Workaround.NO_OFFERLESS_REINVITE, done) as made:
        alice, bob = made.phone(ALICE), made.phone(BOB, agent=AGENT)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 200, bob.sdp(4010))
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")

        alice.send("INVITE")
        if not done:
            assert (await bob.request("INVITE")).body == b""
            return
        offer = await alice.response(200)
        assert b"m=audio" in offer.body
        alice.send("ACK", alice.sdp(4022))
        asked = await bob.request("INVITE")
        assert b"m=audio" in asked.body
        bob.answer(asked, 200, bob.sdp(4012))
        await bob.request("ACK")
        near, far = made.studio.streams[0].settings, made.studio.streams[1].settings
        assert near is not None
        assert far is not None
        assert (near.remote[1], far.remote[1]) == (4022, 4012)
