"""Scenes: this server has a line at a provider, which is another server of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenes.site import Site
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
PROVIDER = "provider.test"


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path / "provider", domain=PROVIDER) as site:
        await site.add("line7", "4930123", "line-secret")
        yield site


async def add_trunk(site: Site, provider: Site, password: str = "line-secret") -> None:
    await site.tandem(
        "trunk", "add", "home", PROVIDER, "--proxy", f"{provider.host}:{provider.sip_port}",
        "--user", "4930123", "--login", "line7", "--password", password,
    )  # fmt: skip


async def state_of(site: Site, wanted: str) -> Any:
    async with asyncio.timeout(20):
        while (found := (await site.listing("trunk", "list"))[0])["state"] != wanted:
            await asyncio.sleep(0.1)
    return found


async def test_a_trunk_registers_and_says_in_words_what_happened(site: Site, provider: Site) -> None:
    await add_trunk(site, provider)
    told = await site.tandem("trunk", "test", "home")
    assert "the provider answered 200" in told
    assert "registered for" in told
    assert told.endswith("home is up\n")
    (contact,) = await provider.listing("registrations")
    assert contact["account"] == f"line7@{PROVIDER}"
    await site.tandem("trunk", "remove", "home")
    async with asyncio.timeout(10):
        while await provider.listing("registrations"):  # it was taken back
            await asyncio.sleep(0.1)


async def test_a_wrong_password_is_told_and_not_hammered(site: Site, provider: Site) -> None:
    await add_trunk(site, provider, "bad-secret-3")
    told = await site.tandem("trunk", "test", "home", expect=1)
    assert "403" in told or "password" in told
    found = await state_of(site, "refused")
    assert found["next"] > 500
    assert "line-secret" not in site.log()
    assert "bad-secret-3" not in site.log()
    await site.tandem("trunk", "change", "home", "--password", "line-secret")
    await state_of(site, "registered")


async def test_calls_by_the_trunk_reach_its_target_and_numbers_that_the_router_knows(
    site: Site, provider: Site, tone: Callable[..., Path], tmp_path: Path
) -> None:
    await add_trunk(site, provider)
    await state_of(site, "registered")
    alice = await site.phone("alice", await site.password("alice"))
    caller = await provider.phone("bob", await provider.password("bob"))
    async with alice, caller:
        await caller.record(tmp_path / "heard.wav")
        await alice.play(tone(620))
        call = await caller.call(f"sip:4930123@{PROVIDER}")
        await caller.wait_state("confirmed", call, timeout=20)  # the attendant
        await caller.hangup(call)
        await caller.wait_state("disconnected", call)

        await site.tandem("trunk", "change", "home", "--target", "alice")
        await state_of(site, "registered")
        call = await caller.call(f"sip:4930123@{PROVIDER}")
        ringing = await alice.wait_incoming()
        await alice.answer(ringing)
        await caller.wait_state("confirmed", call)
        await caller.listen(1.5, call)
        await caller.hangup(call)
        await alice.wait_state("disconnected", ringing)
        await caller.stop_record()
    assert seconds_heard(tmp_path / "heard.wav", 620) > 1.0
    by_callee = {record["callee"]: record["program"] for record in await site.calls(2)}
    assert by_callee == {"pbx@tandem.test": "pbx", "alice@tandem.test": ""}


async def test_a_number_with_a_prefix_leaves_by_the_trunk_with_our_address_there(
    site: Site, provider: Site, tone: Callable[..., Path], tmp_path: Path
) -> None:
    """The provider asks the INVITE for a password, and knows the call as one of the line."""
    await add_trunk(site, provider)
    table = tmp_path / "router.txt"
    table.write_text("N:S:<8*@tandem.test> = *@home\n")
    assert "warning" not in await site.tandem("router", "set", str(table))
    await state_of(site, "registered")
    alice = await site.phone("alice", await site.password("alice"))
    callee = await provider.phone("bob", await provider.password("bob"))
    async with alice, callee:
        await alice.record(tmp_path / "heard.wav")
        await callee.play(tone(620))
        call = await alice.call("sip:8202@tandem.test")
        ringing = await callee.wait_incoming()
        await callee.answer(ringing)
        await alice.wait_state("confirmed", call)
        await alice.listen(1.5, call)
        await alice.hangup(call)
        await callee.wait_state("disconnected", ringing)
        await alice.stop_record()
    assert seconds_heard(tmp_path / "heard.wav", 620) > 1.0
    (record,) = await site.calls()
    assert (record["outcome"], record["callee"]) == ("answered", "202@home")
    (seen,) = await provider.calls()
    assert "4930123@provider.test" in seen["caller"]
