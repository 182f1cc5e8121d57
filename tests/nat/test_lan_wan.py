"""Scenes: a server with a leg in the office's network and one outside, and a server that is itself behind a router."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.site import NatSite, conversation
from tests.nat.world import World

pytestmark = pytest.mark.scene


async def test_the_office_talks_with_a_home_behind_a_router(world: World, tmp_path: Path) -> None:
    """Two interfaces and no router between the server and either side: each is told the leg that faces it."""
    office = world.lan("office", "10.9.0.")
    home = world.router("r1", world.public, 21, kind="symmetric")
    machine = world.host("server", world.public, 10)
    inside = world.also(machine, "eth1", office, 1)
    async with NatSite(tmp_path / "site", machine) as site:
        alice = await site.phone_at("alice", world.host("alice", office, 7), server=inside)
        bob = await site.phone_at("bob", world.host("bob", home, 2))
        async with conversation(alice, bob, tmp_path) as talk:
            await talk.hear()
            near, far = await alice.statistics(talk.call), await bob.statistics(talk.ringing)
    assert near["remote"].startswith("10.9.0.1:")
    assert far["remote"].startswith("11.22.33.10:")
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 1.0


@pytest.mark.proof
async def test_a_server_behind_a_router_has_two_names(world: World, tmp_path: Path) -> None:
    """As in a cloud or a container: its router hands all UDP on, and outside only the public address can be used."""
    cloud = world.router("gate", world.public, 10, kind="full-cone", prefix="10.9.0.", inner=2)
    home = world.router("r1", world.public, 21)
    machine = world.host("server", cloud, 2)
    settings = '[nat]\nlan = ["10.9.0.0/24"]\npublic = "11.22.33.10"'
    async with NatSite(tmp_path / "site", machine, settings) as site:
        alice = await site.phone_at("alice", world.host("alice", cloud, 7))
        bob = await site.phone_at("bob", world.host("bob", home, 2), server="11.22.33.10")
        async with conversation(alice, bob, tmp_path) as talk:
            await talk.hear()
            near, far = await alice.statistics(talk.call), await bob.statistics(talk.ringing)
    assert near["remote"].startswith("10.9.0.2:")
    assert far["remote"].startswith("11.22.33.10:")
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 1.0
