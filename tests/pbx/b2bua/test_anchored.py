"""Proxied calls whose media must pass through us: all descriptions name our places, and all ports are freed.

Played on the in-memory network: bob says an address that he does not send from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network

import pytest

from directory.model import CallRule, Fork, Stage
from pbx.b2bua import proxied_talk
from pbx.b2bua.exchange import CallSettings
from pbx.nat.surroundings import Surroundings
from pbx.proxy import anchors
from pbx.proxy.anchors import Anchors
from pbx.sipcore.message import Request
from pbx.sipcore.sdp import SessionDescription
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, SERVER, House, Phone
from tests.pbx.b2bua.test_lines import lines

VIDEO = b"m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"


@asynccontextmanager
async def hidden_bob(settings: CallSettings | None = None) -> AsyncIterator[tuple[House, Phone, Phone]]:
    async with House(settings) as house:
        house.proxy.anchors = house.exchange.anchors = Anchors(
            house.exchange.clock, house.studio, house.stack, house.metrics
        )
        alice, bob = house.phone(ALICE), house.phone(BOB)
        hide(house, bob)
        yield house, alice, bob


def hide(house: House, phone: Phone) -> None:
    """It is behind a router."""
    account = phone.account
    house.town.settings[account.id, "CallFeatures"] = "NO"
    *others, binding = house.town.bindings[account.id]
    house.town.bindings[account.id] = [*others, replace(binding, contact=f"sip:{account.name}@192.168.1.2:5060")]


def places(body: bytes) -> list[tuple[str | None, int]]:
    description = SessionDescription.parse(body)
    return [(description.address(each), each.port) for each in description.media]


def port(house: House, number: int) -> tuple[str, int]:
    return SERVER[0], house.studio.streams[number].local[1]


async def all_freed(house: House) -> None:
    async with asyncio.timeout(3):
        while house.studio.loaded():
            await asyncio.sleep(0.01)


async def connected(house: House, alice: Phone, bob: Phone) -> None:
    alice.call(f"sip:bob@{DOMAIN}")
    invite = await bob.request("INVITE")
    bob.answer(invite, 200, bob.sdp())
    await alice.response(200)
    alice.send("ACK")
    await bob.request("ACK")
    bob.takes(invite)


async def test_offer_answer_and_reinvite_name_our_places() -> None:
    async with hidden_bob() as (house, alice, bob):
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        near, far = house.studio.streams
        assert places(invite.body) == [port(house, 1)]
        assert near.other is far
        assert near.settings is not None
        assert (near.settings.remote, near.settings.guess) == ((alice.local[0], 4000), None)
        bob.answer(invite, 183, bob.sdp(4400).replace(bob.local[0].encode(), b"192.168.1.2"))
        assert places((await alice.response(183)).body) == [port(house, 0)]
        assert far.settings is not None
        assert (far.settings.remote, far.settings.guess) == (("192.168.1.2", 4400), (bob.local[0], 4400))
        bob.answer(invite, 200, bob.sdp())
        assert places((await alice.response(200)).body) == [port(house, 0)]
        alice.send("ACK")
        await bob.request("ACK")
        bob.takes(invite)

        alice.send("INVITE", alice.sdp(4002, "sendonly"))
        held = await bob.request("INVITE")
        assert places(held.body) == [port(house, 1)]
        assert near.settings.remote == (alice.local[0], 4002)
        routes = alice.routes
        bob.answer(held, 200, bob.sdp(direction="recvonly"))
        assert places((await alice.response(200)).body) == [port(house, 0)]
        alice.routes = routes  # RFC 3261 §12.2: a re-INVITE does not change them
        alice.send("ACK")
        alice.send("BYE")
        bob.answer(await bob.request("BYE"), 200)
        await alice.response(200, "BYE")
        await all_freed(house)


async def test_more_media_gets_more_ports() -> None:
    async with hidden_bob() as (house, alice, bob):
        await connected(house, alice, bob)
        alice.send("INVITE", alice.sdp() + VIDEO)
        more = await bob.request("INVITE")
        assert places(more.body) == [port(house, 1), port(house, 3)]
        assert len(house.studio.streams) == 4
        alice.send("BYE")
        await all_freed(house)


async def test_an_offer_that_comes_back_is_answered_in_the_ack() -> None:
    async with hidden_bob() as (house, alice, bob):
        alice.call(f"sip:bob@{DOMAIN}", b"")
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp())
        assert places((await alice.response(200)).body) == [port(house, 0)]
        alice.send("ACK", alice.sdp())
        assert places((await bob.request("ACK")).body) == [port(house, 1)]


async def test_a_refused_or_cancelled_call_frees_its_ports() -> None:
    async with hidden_bob() as (house, alice, bob):
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 486)
        await alice.response(486)
        await all_freed(house)
    async with hidden_bob() as (house, alice, bob):
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        bob.answer(invite, 180)
        await alice.response(180)
        alice.cancel()
        bob.answer(await bob.request("CANCEL"), 200)
        bob.answer(invite, 487)
        await alice.response(487)
        await all_freed(house)


async def test_a_body_that_is_no_description_passes_as_it_is() -> None:
    async with hidden_bob() as (_house, alice, bob):
        alice.call(f"sip:bob@{DOMAIN}", b"not a description")
        assert (await bob.request("INVITE")).body == b"not a description"


async def test_a_call_whose_bye_never_comes_by_gives_its_ports_back() -> None:
    """Neither party has been heard for some minutes, and neither held the other."""
    async with hidden_bob(CallSettings(silence=0.02)) as (house, alice, bob):
        await connected(house, alice, bob)
        assert house.studio.loaded() == 2
        await all_freed(house)
        assert (await house.record()).cause == "no RTP"


async def test_a_dead_relay_is_no_sign_that_the_parties_have_gone() -> None:
    """The media worker dies; the dialog is theirs, and lasts until their BYE."""
    async with hidden_bob(CallSettings(silence=0.02)) as (house, alice, bob):
        await connected(house, alice, bob)
        for stream in house.studio.streams:
            stream.listener.media_lost()
        await asyncio.sleep(0.5)  # several looks of the watch
        alice.send("BYE")
        bob.answer(await bob.request("BYE"), 200)
        await alice.response(200, "BYE")
        assert (await house.record()).cause == "BYE"


@dataclass(frozen=True)
class Answered:
    """A dialog as its caller has it."""

    to: str
    routes: list[str]
    target: str
    body: bytes


async def both_answer(alice: Phone, *bobs: Phone) -> list[Answered]:
    """Alice calls, and all that ring answer at once, in this order."""
    alice.call(f"sip:bob@{DOMAIN}")
    for bob, invite in [(bob, await bob.request("INVITE")) for bob in bobs]:
        bob.answer(invite, 200, bob.sdp())
    heard = [await alice.response(200) for _ in bobs]
    return [
        Answered(each.get("To") or "", each.get_all("Record-Route")[::-1], each.contacts[0].text, each.body)
        for each in heard
    ]


def within(alice: Phone, answered: Answered) -> None:
    alice.remote_to, alice.routes, alice.remote_target = answered.to, answered.routes, answered.target


async def ended(alice: Phone, callee: Phone) -> None:
    alice.send("BYE")
    callee.answer(await callee.request("BYE"), 200)
    await alice.response(200, "BYE")


@pytest.mark.parametrize("kept", [0, 1])
async def test_of_two_answers_the_one_that_the_caller_kept_is_the_call(kept: int) -> None:
    """RFC 3261 §13.2.2.4: he ends the others, and which one reaches him first is the network's doing. That one has its
    relay, and its telephone is in the record."""
    async with hidden_bob() as (house, alice, bob):
        house.town.rules[BOB.id] = [CallRule(Stage.AT_ONCE, Fork(("carol",)), 0.0)]
        phones = [bob, house.phone(CAROL)]
        hide(house, phones[1])
        answers = await both_answer(alice, *phones)
        keeps, callee = answers[kept], phones[kept]
        within(alice, keeps)
        alice.send("ACK")
        await callee.request("ACK")
        within(alice, answers[1 - kept])
        alice.send("ACK")
        await ended(alice, phones[1 - kept])
        assert len(house.exchange.proxied) == 1
        (place,) = places(keeps.body)
        near = next(each for each in house.studio.streams if place == (SERVER[0], each.local[1]))
        assert (near.closed, near.other is not None) == (False, True)
        assert house.studio.loaded() == 2, "what he has not kept has no ports any more"
        assert lines(house, callee.account) == [("recipient", "confirmed")]
        within(alice, keeps)
        await ended(alice, callee)
        await all_freed(house)
        record = await house.record()
        assert (record.cause, record.callee, record.callee_account) == (
            "BYE",
            callee.account.address,
            callee.account.id,
        )


async def test_an_answer_that_never_reaches_the_caller_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxied_talk, "_CHOOSING", 0.1)
    async with hidden_bob() as (house, alice, bob):
        answers = await both_answer(alice, bob, house.phone(BOB))
        within(alice, answers[0])
        alice.send("ACK")
        await ended(alice, bob)
        assert (await house.record()).cause == "BYE"
        assert not house.exchange.proxied


async def test_an_answer_that_is_repeated_keeps_its_relay() -> None:
    """An ACK was lost."""
    async with hidden_bob() as (house, alice, bob):
        alice.call(f"sip:bob@{DOMAIN}")
        invite = await bob.request("INVITE")
        for again in ("0", "1"):
            bob.answer(invite, 200, bob.sdp(), Again=again)
            assert places((await alice.response(200)).body) == [port(house, 0)]
        await asyncio.sleep(0.02)
        assert house.studio.loaded() == 2


async def test_a_call_on_hold_and_one_that_is_heard_keep_them() -> None:
    async with hidden_bob(CallSettings(silence=0.02)) as (house, alice, bob):
        alice.call(f"sip:bob@{DOMAIN}", alice.sdp(direction="sendonly"))
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp(direction="recvonly"))
        await alice.response(200)
        alice.send("ACK")
        await asyncio.sleep(0.5)  # several looks of the watch
        assert house.studio.loaded() == 2
    async with hidden_bob(CallSettings(silence=0.02)) as (house, alice, bob):
        await connected(house, alice, bob)
        for _ in range(25):
            house.studio.streams[1].heard += 1
            await asyncio.sleep(0.02)
        assert house.studio.loaded() == 2


@pytest.mark.parametrize("told", ["1;refresher=uac", ""])
async def test_a_call_on_hold_whose_session_runs_out(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 4028 §8; a refresh puts it off, and without a timer nothing tells that the parties have vanished."""
    monkeypatch.setattr(anchors, "_SHORTEST", 0)
    async with hidden_bob(CallSettings(silence=0.02)) as (house, alice, bob):
        alice.call(f"sip:bob@{DOMAIN}", alice.sdp(direction="sendonly"))
        invite = await bob.request("INVITE")
        bob.answer(invite, 200, bob.sdp(direction="recvonly"), Session_Expires="1;refresher=uac")
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
        alice.send("UPDATE")
        refresh = await bob.request("UPDATE")
        bob.answer(refresh, 200, **({"Session_Expires": told} if told else {}))
        await alice.response(200, "UPDATE")
        if told:
            await all_freed(house)
            assert (await house.record()).cause == "no RTP"
        else:
            await asyncio.sleep(1.5)
            assert house.studio.loaded() == 2


@pytest.mark.parametrize(("port", "relayed"), [(5060, False), (40_001, True)])
async def test_a_callee_whose_stun_was_wrong_is_relayed(port: int, relayed: bool) -> None:
    """He says the address that he comes from, but a port that his router gave him towards somebody else."""
    async with hidden_bob() as (house, alice, bob):
        (binding,) = house.town.bindings[BOB.id]
        host = bob.local[0]
        seen = replace(binding.flow, remote=(host, 5060))
        contact = f"sip:bob@{host}:{port}"
        request = Request("INVITE", f"sip:bob@{DOMAIN}")
        request.add("Contact", f"<sip:alice@{alice.local[0]}:5060>")
        near = replace(seen, remote=(alice.local[0], 5060))
        assert house.exchange.anchors is not None
        outside = Surroundings(lan=(ip_network("172.31.255.0/24"),))
        house.stack.surroundings = outside
        assert bool(house.exchange.anchors.wanted(request, near, contact, seen)) is relayed
