"""Scenes: two telephones that know nothing of routers talk through each kind of them, both ways, measured by tones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.site import NatSite, conversation
from tests.nat.world import KINDS, Kind, World

pytestmark = pytest.mark.scene


@pytest.mark.parametrize("kind", KINDS)
async def test_two_homes_with_the_same_addresses_talk(world: World, site: NatSite, kind: Kind, tmp_path: Path) -> None:
    home = world.router("r1", world.public, 21, kind=kind)
    other = world.router("r2", world.public, 22, kind=kind)
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", other, 2))
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear()
    assert talk.heard_by_alice() > 1.0
    assert talk.heard_by_bob() > 1.0
