"""Scenes: calls proxied end to end; media passes through us only where the telephones cannot reach each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.site import NatSite, conversation, hold_and_resume
from tests.nat.world import KINDS, Kind, World

pytestmark = pytest.mark.scene


@pytest.mark.parametrize(
    "kind", [kind if kind == "symmetric" else pytest.param(kind, marks=pytest.mark.proof) for kind in KINDS]
)
async def test_homes_behind_routers_talk_through_a_relay(
    world: World, site: NatSite, kind: Kind, tmp_path: Path
) -> None:
    await site.tandem("setting", "set", "bob", "CallFeatures", "NO")
    home = world.router("r1", world.public, 21, kind=kind)
    other = world.router("r2", world.public, 22, kind=kind)
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", other, 2))
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear()
        await hold_and_resume(talk)
        await talk.hear()
        near, far = await alice.statistics(talk.call), await bob.statistics(talk.ringing)
    assert "way=proxy" in site.log()
    assert "behind a router" in site.log()
    assert near["remote"].startswith("11.22.33.10:")
    assert far["remote"].startswith("11.22.33.10:")
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 2.0


async def test_public_telephones_send_to_each_other(world: World, site: NatSite, tmp_path: Path) -> None:
    await site.tandem("setting", "set", "bob", "CallFeatures", "NO")
    alice = await site.phone_at("alice", world.host("alice", world.public, 31))
    bob = await site.phone_at("bob", world.host("bob", world.public, 32))
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear()
        near, far = await alice.statistics(talk.call), await bob.statistics(talk.ringing)
    assert "media relayed" not in site.log()
    assert near["remote"].startswith("11.22.33.32:")
    assert far["remote"].startswith("11.22.33.31:")
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 1.0


@pytest.mark.proof
async def test_a_router_gets_another_address_in_a_proxied_call(world: World, site: NatSite, tmp_path: Path) -> None:
    """As in `test_routers`: the relay believes the new source: the same stream, and the old one is silent."""
    await site.tandem("setting", "set", "bob", "CallFeatures", "NO")
    home = world.router("r1", world.public, 21, kind="symmetric")
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", world.public, 32))
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear(1.0)
        world.renumber(home, world.public, 21, 23)
        before = talk.heard_by_alice(), talk.heard_by_bob()
        await talk.hear(2.0)
    assert "way=proxy" in site.log()
    assert talk.heard_by_alice() > before[0] + 1.0
    assert talk.heard_by_bob() > before[1] + 1.0
