"""Scenes: the server is started again under registered telephones."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

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


async def test_a_lamp_tells_the_truth_after_a_kill(tmp_path: Path) -> None:
    """Bob talks when the server is killed: his line goes out on Alice's telephone, and the call has its record."""
    async with Site(tmp_path / "data") as site:
        passwords = {name: await site.password(name) for name in ("alice", "bob")}
        alice, bob = await site.phone("alice", passwords["alice"]), await site.phone("bob", passwords["bob"])
        async with alice, bob:
            await alice.watch(f"sip:bob@{DOMAIN}")
            call = await bob.call(f"sip:600@{DOMAIN}")
            await bob.wait_state("confirmed", call)
            await alice.wait("presence", where=_on_the_phone)
            await _noted(site)
            seen = len(alice.events)
            await site.kill()
            await site.start()
            told = await alice.wait("presence", since=seen)
            assert told["subscription"] == "ACTIVE"
            assert told["online"]
            assert not _on_the_phone(told)
            (record,) = await site.calls()
            assert (record["state"], record["outcome"], record["cause"]) == ("ended", "answered", "server stopped")

            seen = len(alice.events)
            call = await bob.call(f"sip:600@{DOMAIN}")
            await bob.wait_state("confirmed", call)
            await alice.wait("presence", since=seen, where=_on_the_phone)
            await bob.hangup(call)


async def _noted(site: Site) -> None:
    """The call is on the disk: records are written behind."""
    with closing(sqlite3.connect(f"file:{site.data}/main.db?mode=ro", uri=True)) as database:
        async with asyncio.timeout(20):
            while not database.execute("SELECT count(*) FROM open_calls").fetchone()[0]:
                await asyncio.sleep(0.05)


def _on_the_phone(event: dict[str, Any]) -> bool:
    return event["text"] == "On the phone" or "phone" in event["note"].lower()


async def ring(caller: TestPhone, callee: TestPhone, number: str) -> None:
    call = await caller.call(f"sip:{number}@{DOMAIN}")
    ringing = await callee.wait_incoming()
    await callee.answer(ringing)
    await caller.wait_state("confirmed", call)
    await caller.hangup(call)
    await callee.wait_state("disconnected", ringing)
