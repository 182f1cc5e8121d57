"""Scenes: two telephones that know nothing of routers talk through each kind of them, both ways, measured by tones.

What stands in the way, how it is made (`world`), and where it is tried; calls are ended by us on both sides here, and
proxied with relayed audio in `test_proxied`. That each router is what it is called: `test_kinds`.

    port-restricted, symmetric    masquerade, fully-random           test_two_homes…, test_homes_behind_routers…
    full cone, restricted cone    DNAT to all, to a dynamic set      test_two_homes…, test_homes_behind_routers…
    two telephones of one home    one router, no hairpin             test_two_telephones_of_one_home_talk
    double NAT                    a router behind a router           test_a_router_behind_a_router
    SIP helper of the kernel      nf_nat_sip, where there is one     test_a_router_that_meddles_with_sip
    another address in a call     the outer address is changed       test_a_router_gets_another_address… (two)
    loss                          random drop in the router          test_lossy: a tenth of all packets
    reorder, duplicates           a relay in user space              test_lossy: datagrams that overtake each other
    a router that forgets         conntrack timeout of 3 s           test_keepalive
    the server behind a router    full cone, `[nat] public`          test_lan_wan: a server … has two names
    a server with two legs        LAN and outside                    test_lan_wan: the office talks with a home
    T.38, MSRP                    two symmetric, hand-played         test_streams: messages and a facsimile cross…
    MSRP, LAN and WAN             a server with two legs             test_streams: who only waits in the office…

Where the kernel lacks namespaces these are skipped, and the virtual network stands in (`conftest`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nat.site import CALLEE, CALLER, NatSite, conversation, hold_and_resume
from tests.nat.world import KINDS, Kind, World
from tests.scenes.site import DOMAIN
from tests.tones import make_tone, seconds_heard

pytestmark = pytest.mark.scene


@pytest.mark.parametrize(
    "kind", [kind if kind == "symmetric" else pytest.param(kind, marks=pytest.mark.proof) for kind in KINDS]
)
async def test_two_homes_with_the_same_addresses_talk(world: World, site: NatSite, kind: Kind, tmp_path: Path) -> None:
    home = world.router("r1", world.public, 21, kind=kind)
    other = world.router("r2", world.public, 22, kind=kind)
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", other, 2))
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear()
    assert talk.heard_by_alice() > 1.0
    assert talk.heard_by_bob() > 1.0


async def test_two_telephones_of_one_home_talk(world: World, site: NatSite, tmp_path: Path) -> None:
    """Both come from one address; no router has to turn packets round (hairpin), they go through us."""
    home = world.router("r1", world.public, 21, kind="symmetric")
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", home, 3))
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear()
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 1.0


@pytest.mark.proof
async def test_a_router_behind_a_router(world: World, site: NatSite, tmp_path: Path) -> None:
    """A provider's router with the customer's own behind it, both symmetric; hold and resume pass as well."""
    provider = world.router("isp", world.public, 21, prefix="10.64.0.", kind="symmetric")
    home = world.router("r1", provider, 5, kind="symmetric")
    other = world.router("r2", world.public, 22)
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", other, 2))
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear(1.0)
        await hold_and_resume(talk)
        await talk.hear(1.0)
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 1.0


@pytest.mark.proof
@pytest.mark.parametrize("features", ["YES", "NO"])
async def test_a_router_that_meddles_with_sip(world: World, site: NatSite, features: str, tmp_path: Path) -> None:
    """The kernel's own SIP helper (`nf_nat_sip`) rewrites Via, Contact and descriptions on their way. Where the kernel
    has none, a plain router stands in, and the output of the test says so."""
    await site.tandem("setting", "set", "bob", "CallFeatures", features)
    home, helped = world.meddling_router("r1", world.public, 21)
    other = world.router("r2", world.public, 22, kind="symmetric")
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", other, 2))
    (contact,) = [each["contact"] for each in await site.listing("registrations") if "alice" in each["account"]]
    assert ("11.22.33.21" in contact) is helped, "the helper has not meddled"
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear()
    assert min(talk.heard_by_alice(), talk.heard_by_bob()) > 1.0


async def test_early_audio_comes_through(world: World, site: NatSite, tmp_path: Path) -> None:
    """An announcement before the answer (183), from behind one router to behind another."""
    home = world.router("r1", world.public, 21, kind="symmetric")
    other = world.router("r2", world.public, 22, kind="symmetric")
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", other, 2))
    async with alice, bob:
        await bob.play(make_tone(tmp_path / "early.wav", CALLEE, seconds=30))
        await alice.record(tmp_path / "alice.wav")
        call = await alice.call(f"sip:202@{DOMAIN}")
        ringing = await bob.wait_incoming()
        await bob.ring(ringing, 183)
        await alice.wait_media(call)
        await alice.listen(1.5, call)
        await alice.hangup(call)
        await bob.wait_state("disconnected", ringing)
        await alice.stop_record()
    assert seconds_heard(tmp_path / "alice.wav", CALLEE) > 1.0


@pytest.mark.proof
async def test_a_message_is_recorded(world: World, site: NatSite, tmp_path: Path) -> None:
    """Voicemail takes what a telephone behind a symmetric router says."""
    password = await site.password("bob")
    home = world.router("r1", world.public, 21, kind="symmetric")
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    async with alice:
        await alice.play(make_tone(tmp_path / "said.wav", CALLER, seconds=60), loop=True)
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call, timeout=20)
        await alice.listen(0.5, call)
        await alice.send_dtmf("#", call)  # cuts the greeting
        await alice.listen(4.0, call)
        await alice.hangup(call)
        await alice.wait_state("disconnected", call)
        await site.save_message("bob", password, tmp_path / "message.wav")
    assert seconds_heard(tmp_path / "message.wav", CALLER) > 1.0


@pytest.mark.proof
async def test_a_router_gets_another_address_in_a_call(world: World, site: NatSite, tmp_path: Path) -> None:
    """The audio is believed from its new source, for it is the same stream; and hanging up still works."""
    home = world.router("r1", world.public, 21, kind="symmetric")
    alice = await site.phone_at("alice", world.host("alice", home, 2))
    bob = await site.phone_at("bob", world.host("bob", world.public, 32))
    async with conversation(alice, bob, tmp_path) as talk:
        await talk.hear(1.0)
        world.renumber(home, world.public, 21, 23)
        before = talk.heard_by_alice(), talk.heard_by_bob()
        await talk.hear(2.0)
    assert talk.heard_by_alice() > before[0] + 1.0
    assert talk.heard_by_bob() > before[1] + 1.0
