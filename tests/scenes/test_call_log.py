"""Scene: each telephone's own list of calls, and the codes that call by it and hide the caller."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_transfer import people, talk

pytestmark = pytest.mark.scene


async def calls_of(site: Site, name: str) -> list[tuple[Any, ...]]:
    rows = await site.listing("account", "calls", name)
    return [(row["kind"], row["party"], row["note"]) for row in rows]


async def rung_by(caller: TestPhone, callee: TestPhone, number: str) -> tuple[int, int, str]:
    """A call that rings: its number at both ends, and who is shown."""
    call = await caller.call(f"sip:{number}@{DOMAIN}")
    rung = await callee.wait_incoming()
    event = next(each for each in reversed(callee.events) if each["event"] == "incoming")
    return call, rung, str(event["remote"])


async def test_a_missed_call_is_told_called_back_and_one_is_placed_unseen(site: Site) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = await people(site, stack)
        await site.tandem("group", "add", "team", "bob", "carol")
        hers, his = await talk(alice, bob, "team")
        await carol.wait_incoming()
        await alice.hangup(hers)
        await bob.wait_state("disconnected", his)
        await site.calls(1)
        assert await calls_of(site, "carol") == [("missed", f"alice@{DOMAIN}", f"answered elsewhere: bob@{DOMAIN}")]
        assert await calls_of(site, "bob") == [("answered", f"alice@{DOMAIN}", "")]
        assert await calls_of(site, "alice") == [("placed", f"team@{DOMAIN}", "")]

        back, rung, shown = await rung_by(carol, alice, "*69")
        assert f"carol@{DOMAIN}" in shown
        await alice.answer(rung)
        await carol.wait_state("confirmed", back)
        await carol.hangup(back)
        await alice.wait_state("disconnected", rung)

        unseen, rung, shown = await rung_by(alice, carol, "*67203")
        assert "anonymous@anonymous.invalid" in shown
        assert "alice" not in shown
        await alice.hangup(unseen)
        await carol.wait_state("disconnected", rung)
        await site.calls(3)
        assert (await calls_of(site, "carol"))[0] == ("missed", "anonymous", "caller gave up")
        assert (await calls_of(site, "alice"))[:2] == [
            ("placed", f"*67203@{DOMAIN}", "caller gave up"),
            ("answered", f"carol@{DOMAIN}", ""),
        ]
