"""Scenes: telephones see each other's presence, and messages reach those who were away."""

from __future__ import annotations

import asyncio

import pytest

from tests.scenes.site import DOMAIN, Site

pytestmark = pytest.mark.scene


async def test_alice_sees_bob_come_talk_and_go(site: Site) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    password = await site.password("bob")
    async with alice:
        await alice.watch(f"sip:bob@{DOMAIN}")
        await alice.wait("presence", where=lambda e: e["subscription"] == "ACTIVE" and not e["online"])
        bob = await site.phone("bob", password)
        async with bob:
            await alice.wait("presence", where=lambda e: bool(e["online"]))
            call = await bob.call(f"sip:600@{DOMAIN}")
            await bob.wait_state("confirmed", call)
            seen = len(alice.events)
            await alice.wait("presence", where=lambda e: e["text"] == "On the phone" or "phone" in e["note"].lower())
            await bob.hangup(call)
            seen = len(alice.events)
        await alice.wait("presence", since=seen, where=lambda e: not e["online"])


async def test_what_bob_publishes_alice_sees(site: Site) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"), publish=True)
    async with alice, bob:
        await alice.watch(f"sip:bob@{DOMAIN}")
        await alice.wait("presence", where=lambda e: bool(e["online"]))
        await bob.appear(note="At lunch", activity="away")
        await alice.wait("presence", where=lambda e: e["note"] == "At lunch" or e["text"] == "At lunch")


async def test_a_message_goes_at_once_or_waits_for_a_phone_and_for_a_restart(site: Site) -> None:
    alice = await site.phone("alice", await site.password("alice"))
    password = await site.password("bob")
    target = f"sip:bob@{DOMAIN}"
    async with alice:
        for text in ("one", "two", "drei ü"):
            assert (await alice.message(target, text))["status"] == 202
        await site.kill()
        await site.start()
        bob = await site.phone("bob", password)
        async with bob:
            await bob.wait("message", where=lambda e: e["text"] == "drei ü")
            assert [e["text"] for e in bob.events if e["event"] == "message"] == ["one", "two", "drei ü"]
            async with asyncio.timeout(10):  # until the last one is known to have arrived, a new one waits behind it
                while (await site.listing("status"))["pbx.messages.accounts_waited_for"]:
                    await asyncio.sleep(0.1)
            assert (await alice.message(target, "four"))["status"] == 200
            got = await bob.wait("message", where=lambda e: e["text"] == "four")
            assert f"alice@{DOMAIN}" in got["sender"]
