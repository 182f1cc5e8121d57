"""Hold in all its forms, through calls that we end on both sides and through proxied ones whose media we relay.

RFC 3264 §8.4: sendonly, inactive, recvonly (the other way round), and the old way of the address that is none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pbx.sipcore.sdp import SessionDescription
from tests.pbx.b2bua.house import ALICE, BOB, SERVER, House, Phone
from tests.pbx.b2bua.test_anchored import connected, hidden_bob

WAYS = pytest.mark.parametrize("way", ["b2bua", "proxy"])
FORMS = pytest.mark.parametrize(
    ("form", "answered", "sends", "listens"),
    [
        ("sendonly", "recvonly", False, True),
        ("inactive", "inactive", False, False),
        ("recvonly", "sendonly", True, False),
        ("0.0.0.0", "recvonly", False, True),
        ("::", "recvonly", False, True),
    ],
)


@asynccontextmanager
async def talking(way: str) -> AsyncIterator[tuple[House, Phone, Phone]]:
    if way == "proxy":
        async with hidden_bob() as (house, alice, bob):
            await connected(house, alice, bob)
            yield house, alice, bob
    else:
        async with House() as house:
            alice, bob = house.phone(ALICE), house.phone(BOB)
            await connected(house, alice, bob)
            yield house, alice, bob


def held(phone: Phone, form: str) -> bytes:
    if form not in ("0.0.0.0", "::"):
        return phone.sdp(direction=form)
    where = f"c=IN {'IP6' if ':' in form else 'IP4'} {form}"
    return phone.sdp().replace(f"c=IN IP4 {phone.local[0]}".encode(), where.encode())


def heard(body: bytes) -> tuple[str, str, int]:
    """What a telephone reads of its audio: where, in which direction, at what port."""
    description = SessionDescription.parse(body)
    (audio,) = description.media
    return description.address(audio) or "", description.direction(audio), audio.port


async def change(asks: Phone, other: Phone, offer: bytes, answer: bytes) -> tuple[bytes, bytes]:
    """A re-INVITE and its answer, as the other one gets it and as the first gets it back."""
    routes = asks.routes, other.routes
    asks.send("INVITE", offer)
    again = await other.request("INVITE")
    other.answer(again, 200, answer)
    ok = await asks.response(200)
    asks.routes, other.routes = routes  # RFC 3261 §12.2: a re-INVITE does not change them
    asks.send("ACK")
    await other.request("ACK")
    return again.body, ok.body


@WAYS
@FORMS
async def test_whatever_the_form_the_other_one_hears_of_it_and_it_ends(
    way: str, form: str, answered: str, sends: bool, listens: bool
) -> None:
    async with talking(way) as (house, alice, bob):
        near, far = house.studio.streams
        asked, said = await change(alice, bob, held(alice, form), bob.sdp(direction=answered))
        address, direction, port = heard(asked)
        assert port == far.local[1]
        if form in ("0.0.0.0", "::"):
            assert (address, SessionDescription.parse(asked).on_hold) == ("0.0.0.0", True)
        else:
            assert (address, direction) == (SERVER[0], form)
        assert heard(said) == (SERVER[0], answered, near.local[1])
        assert near.settings is not None
        if way == "b2bua":
            assert (near.settings.send, near.settings.receive) == (sends, listens)
        asked, said = await change(alice, bob, alice.sdp(4002), bob.sdp())
        assert heard(asked) == (SERVER[0], "sendrecv", far.local[1])
        assert heard(said) == (SERVER[0], "sendrecv", near.local[1])
        assert (near.settings.send, near.settings.receive) == (True, True)
        assert near.settings.remote == (alice.local[0], 4002)
        assert near.other is far


@WAYS
async def test_both_may_hold_at_once_and_each_ends_its_own(way: str) -> None:
    """RFC 3264 §8.4, and §6.1 for the answer of one that holds already."""
    async with talking(way) as (house, alice, bob):
        near, far = house.studio.streams
        await change(alice, bob, alice.sdp(direction="sendonly"), bob.sdp(direction="recvonly"))
        asked, said = await change(bob, alice, bob.sdp(direction="inactive"), alice.sdp(direction="inactive"))
        assert heard(asked) == (SERVER[0], "inactive", near.local[1])
        assert heard(said) == (SERVER[0], "inactive", far.local[1])
        asked, said = await change(alice, bob, alice.sdp(), bob.sdp(direction="sendonly"))
        assert heard(asked)[1] == "sendrecv"
        assert heard(said)[1] == "sendonly"
        await change(bob, alice, bob.sdp(), alice.sdp())
        for stream in (near, far):
            assert stream.settings is not None
            assert (stream.settings.send, stream.settings.receive) == (True, True)


async def test_who_asks_again_has_had_the_answer_though_its_ack_is_lost() -> None:
    """pjsip does not try again when it is told to wait, and stays on hold."""
    async with House() as house:
        alice, bob = house.phone(ALICE), house.phone(BOB)
        await connected(house, alice, bob)
        alice.send("INVITE", alice.sdp(direction="sendonly"))
        bob.answer(await bob.request("INVITE"), 200, bob.sdp(direction="recvonly"))
        await alice.response(200)
        await bob.request("ACK")
        alice.send("INVITE", alice.sdp())
        bob.answer(await bob.request("INVITE"), 200, bob.sdp())
        await alice.response(200)
        alice.send("ACK")
        await bob.request("ACK")
