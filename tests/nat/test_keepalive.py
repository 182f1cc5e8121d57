"""Scenes: a router that forgets soon, and a telephone that does nothing to be remembered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.nat.site import NatSite, conversation
from tests.nat.world import Segment, World

pytestmark = pytest.mark.scene
FORGET = 3


def _ways(world: World, home: Segment) -> list[str]:
    """What the router remembers of SIP, as the kernel lists it."""
    rows = world.router_says(home, "cat /proc/net/nf_conntrack").splitlines()
    return [row for row in rows if "dport=5060" in row]


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["crlf", "empty"])
async def test_a_telephone_is_reached_long_after_its_router_would_have_forgotten(
    world: World, tmp_path: Path, kind: str
) -> None:
    home = world.router("r1", world.public, 21, forget=FORGET)
    machine = world.host("server", world.public, 10)
    async with NatSite(tmp_path / "site", machine, f'[nat]\nkeepalive = "{kind}"\ninterval = 1') as site:
        bob = await site.phone_at("bob", world.host("bob", home, 2))
        alice = await site.phone_at("alice", world.host("alice", world.public, 31))
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < 2 * FORGET:  # the kernel's own clock runs: nothing tells us that time has passed
            assert _ways(world, home), "the router has forgotten the telephone"
            await asyncio.sleep(0.2)
        async with conversation(alice, bob, tmp_path) as talk:
            await talk.hear(0.5)


@pytest.mark.proof
async def test_without_it_the_router_forgets(world: World, tmp_path: Path) -> None:
    """The other scene proves something: this router does forget."""
    home = world.router("r1", world.public, 21, forget=FORGET)
    machine = world.host("server", world.public, 10)
    async with NatSite(tmp_path / "site", machine, '[nat]\nkeepalive = "off"') as site:
        bob = await site.phone_at("bob", world.host("bob", home, 2))
        async with bob, asyncio.timeout(4 * FORGET):
            assert _ways(world, home)
            while _ways(world, home):
                await asyncio.sleep(0.2)
