"""Scene: two companies on one server with the same extensions. Their telephones never meet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_transfer import hear_each_other

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]
OTHER = "other.example"


async def settled(site: Site, stack: AsyncExitStack) -> list[TestPhone]:
    """alice 201 and bob 202 here; anna 201 and otto 202 there."""
    await site.tandem("domain", "add", OTHER)
    people = [(name, DOMAIN, await site.password(name)) for name in ("alice", "bob")]
    for name, extension in (("anna", "201"), ("otto", "202")):
        people.append((name, OTHER, await site.add(f"{name}@{OTHER}", extension)))
    phones = [TestPhone(name) for name, _, _ in people]
    for phone, (name, domain, password) in zip(phones, people, strict=True):
        await phone.start(f"{name}@{domain}", password, site.host, site.sip_port, bind=site.host)
        await stack.enter_async_context(phone)
    return phones


async def rings(caller: TestPhone, callee: TestPhone, uri: str) -> tuple[int, int]:
    call = await caller.call(uri)
    rung = await callee.wait_incoming()
    await callee.ring(rung)
    return call, rung


async def refused(phone: TestPhone, uri: str) -> int:
    """The status that a call there ends with."""
    ended = await phone.wait_state("disconnected", await phone.call(uri))
    return int(ended["status"])


async def test_equal_extensions_of_two_companies_never_meet(site: Site, tone: Tone, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, anna, otto = await settled(site, stack)
        hers, his = await rings(alice, bob, f"sip:202@{DOMAIN}")
        ours, theirs = await rings(anna, otto, f"sip:202@{OTHER}")
        for number in (f"**202@{OTHER}", f"**201@{OTHER}", f"*8@{OTHER}"):
            assert await refused(alice, f"sip:{number}") == 480, "as where nothing rings"
        await bob.answer(his)
        await otto.answer(theirs)
        await alice.wait_state("confirmed", hers)
        await anna.wait_state("confirmed", ours)
        await hear_each_other(anna, ours, otto, theirs, tmp_path, tone)

        await bob.transfer(f"sip:701@{DOMAIN}", his)
        await bob.wait_state("disconnected", his)
        assert await refused(anna, f"sip:701@{OTHER}") == 404
        assert await refused(anna, f"sip:701@{DOMAIN}") == 404
        back = await bob.call(f"sip:701@{DOMAIN}")
        await bob.wait_state("confirmed", back)

        assert (await anna.message(f"sip:202@{OTHER}", "for otto"))["status"] == 200
        assert (await alice.message(f"sip:202@{DOMAIN}", "for bob"))["status"] == 200
        assert (await otto.wait("message"))["text"] == "for otto"
        assert (await bob.wait("message"))["text"] == "for bob"
        await anna.watch(f"sip:202@{DOMAIN}")
        await anna.watch(f"sip:202@{OTHER}")
        await anna.wait("presence", where=lambda e: e["subscription"] == "ACTIVE" and bool(e["online"]))
        await anna.wait("presence", where=lambda e: DOMAIN in e["who"] and e["subscription"] == "TERMINATED")
        seen = {e["who"] for e in anna.events if e["event"] == "presence" and e["online"]}
        assert all(OTHER in uri for uri in seen), seen

        await bob.transfer(f"sip:202@{DOMAIN}", back)  # he is in a call: his second one
        again = await bob.wait_incoming()
        await bob.hangup(again, 486)
        assert len([event for event in otto.events if event["event"] == "incoming"]) == 1
