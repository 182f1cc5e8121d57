"""Scenes: this server has a line at a provider, which is another server of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenes.site import Site

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
