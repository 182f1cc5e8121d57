"""Scenes: on the proxy way telephones transfer by themselves; REFER, NOTIFY and Replaces pass through the server."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_transfer import Tone, hear_each_other, people, talk

pytestmark = [pytest.mark.scene, pytest.mark.proof]


async def proxied(site: Site, stack: AsyncExitStack) -> tuple[TestPhone, TestPhone, TestPhone]:
    """Three telephones without server-side features."""
    found = await people(site, stack)
    for name in ("alice", "bob", "carol"):
        await site.tandem("setting", "set", name, "CallFeatures", "NO")
    return found


async def test_a_caller_calls_the_target_himself(site: Site, tone: Tone, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = await proxied(site, stack)
        hers, his = await talk(alice, bob, "202")
        await bob.transfer(f"sip:203@{DOMAIN}", his)
        new = (await alice.wait("sent_on"))["new"]
        rung = await carol.wait_incoming()
        await carol.answer(rung)
        await bob.wait("transfer", where=lambda event: event["status"] == 200)
        await bob.hangup(his)
        await alice.wait_state("disconnected", hers)
        await hear_each_other(alice, new, carol, rung, tmp_path, tone)
        await carol.hangup(rung)
        await alice.wait_state("disconnected", new)
        records = await site.calls(2)
    assert "way=b2bua" not in site.log()
    assert {(record["outcome"], record["state"]) for record in records} == {("answered", "ended")}


async def test_a_caller_takes_the_place_in_the_other_call(site: Site, tone: Tone, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = await proxied(site, stack)
        hers, his = await talk(alice, bob, "202")
        question, asked = await talk(bob, carol, "203")
        await bob.attended_transfer(his, question)
        new = (await alice.wait("sent_on"))["new"]
        taken = (await carol.wait("replaced"))["new"]
        await bob.wait("transfer", where=lambda event: event["status"] == 200)
        await bob.wait_state("disconnected", question)
        await carol.wait_state("disconnected", asked)
        await bob.hangup(his)
        await alice.wait_state("disconnected", hers)
        await hear_each_other(alice, new, carol, taken, tmp_path, tone)
        await alice.hangup(new)
        await carol.wait_state("disconnected", taken)
        await site.calls(3)
    assert "way=b2bua" not in site.log()
