"""Scenes: a router that loses a tenth of all datagrams, and a way on which they overtake each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.relay import Shuffler
from tests.nat.site import NatSite, conversation, hold_and_resume
from tests.nat.world import World

pytestmark = pytest.mark.scene


async def test_a_call_survives_a_tenth_of_all_packets_lost(world: World, site: NatSite, tmp_path: Path) -> None:
    """Both ways, signalling and audio alike: the router drops at random."""
    home = world.router("r1", world.public, 21, loss=10)
    alice = await site.phone_at("alice", world.host("alice", home, 2), timeout=40.0)
    bob = await site.phone_at("bob", world.host("bob", world.public, 32), timeout=40.0)
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear()
        await hold_and_resume(talk)
        await talk.hear(1.0)
        statistics = await alice.statistics(talk.call)
    assert statistics["lost"] > 0, "nothing was lost"
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 1.0


@pytest.mark.proof
async def test_datagrams_that_overtake_each_other(world: World, site: NatSite, tmp_path: Path) -> None:
    """A relay between alice and the server swaps datagrams of SIP that follow each other within 100 ms, and doubles
    some: a telephone then seems to sit behind a NAT that renumbers ports."""
    machine = world.host("relay", world.public, 40)
    bob = await site.phone_at("bob", world.host("bob", world.public, 32))
    async with Shuffler(machine, (site.host, site.sip_port)) as relay:
        alice = await site.phone_at("alice", world.host("alice", world.public, 31), server=machine.address)
        async with conversation(alice, bob, tmp_path) as talk:
            await talk.hear()
            await hold_and_resume(talk)
            await talk.hear(1.0)
    assert relay.swapped > 0
    assert relay.doubled > 0
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 1.0
