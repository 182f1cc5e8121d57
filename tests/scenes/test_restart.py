"""Scenes: the server is started again under registered telephones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site

pytestmark = pytest.mark.scene


async def test_telephones_do_not_notice_or_come_back_as_one(tmp_path: Path) -> None:
    async with Site(tmp_path / "data") as site:
        passwords = {name: await site.password(name) for name in ("alice", "bob")}
        passwords["carol"] = await site.add("carol", "203")
        bob = await site.phone("bob", passwords["bob"])
        carol = await site.phone("carol", passwords["carol"], transport="tcp")
        async with bob, carol:
            before = {row["account"]: row["source"] for row in await site.listing("registrations")}
            await site.stop()
            await site.start()
            there = await site.listing("registrations")
            assert {row["account"]: row["source"] for row in there} == {
                f"bob@{DOMAIN}": before[f"bob@{DOMAIN}"]  # carol's connection is gone
            }

            alice = await site.phone("alice", passwords["alice"])
            async with alice:
                await ring(alice, bob, "202")  # bob has not registered again
                await carol.register()
                await ring(alice, carol, "203")
                rows = [row for row in await site.listing("registrations") if row["account"] == f"carol@{DOMAIN}"]
                assert len(rows) == 1
                assert rows[0]["source"] != before[f"carol@{DOMAIN}"]


async def ring(caller: TestPhone, callee: TestPhone, number: str) -> None:
    call = await caller.call(f"sip:{number}@{DOMAIN}")
    ringing = await callee.wait_incoming()
    await callee.answer(ringing)
    await caller.wait_state("confirmed", call)
    await caller.hangup(call)
    await callee.wait_state("disconnected", ringing)
