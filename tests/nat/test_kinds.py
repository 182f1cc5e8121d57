"""The routers of this folder are of the kind that they are called: what each lets in, and by which port it is seen.

Plain datagrams between sockets in the namespaces, without a server. RFC 4787 §4.1 (mapping), §5 (filtering).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.nat.hand import socket_at
from tests.nat.world import KINDS, Host, Kind, Segment, World

pytestmark = pytest.mark.scene
_OUTSIDE = "11.22.33.21"


@contextmanager
def at(host: Host, port: int) -> Iterator[socket.socket]:
    """A UDP socket on a machine."""
    with socket_at(host, port=port) as opened:
        opened.settimeout(5)
        yield opened


def heard_until(ear: socket.socket, last: bytes) -> set[bytes]:
    """What comes before the datagram `last`; everything goes one way, so nothing overtakes it."""
    found: set[bytes] = set()
    while (data := ear.recv(100)) != last:
        found.add(data)
    return found


def knows_the_way(world: World, host: Host, home: Segment) -> None:
    """So that no datagram waits for an answer to ARP while the next one passes."""
    address = world.router_says(home, "cat /sys/class/net/wan/address").strip()
    world.run(host.name, f"ip neigh replace {_OUTSIDE} lladdr {address} dev eth0")


@pytest.mark.parametrize("kind", KINDS)
def test_a_router_is_what_it_is_called(world: World, kind: Kind) -> None:
    home = world.router("r1", world.public, 21, kind=kind)
    inside, asked, stranger = (
        world.host("inside", home, 2),
        world.host("asked", world.public, 31),
        world.host("stranger", world.public, 32),
    )
    for each in (asked, stranger):
        knows_the_way(world, each, home)
    with ExitStack() as open_:
        phone, one, two, far = (
            open_.enter_context(at(host, port))
            for host, port in ((inside, 4000), (asked, 5000), (asked, 5001), (stranger, 5000))
        )
        phone.sendto(b"hello", (asked.address, 5000))
        _, seen = one.recvfrom(100)
        assert seen[0] == _OUTSIDE
        one.sendto(b"welcome", seen)
        assert phone.recv(100) == b"welcome"
        two.sendto(b"same host", seen)
        far.sendto(b"other host", seen)
        one.sendto(b"end", seen)
        assert (
            heard_until(phone, b"end")
            == {
                "full-cone": {b"same host", b"other host"},
                "restricted-cone": {b"same host"},
                "port-restricted": set(),
                "symmetric": set(),
            }[kind]
        )
        phone.sendto(b"hello", (stranger.address, 5000))
        _, elsewhere = far.recvfrom(100)
        assert (elsewhere == seen) is (kind != "symmetric")
        assert (seen[1] == 4000) is (kind != "symmetric")


def test_a_router_behind_a_router_hides_both(world: World) -> None:
    """Double NAT: outside, the address of the outer one alone is seen, and only who was asked gets in."""
    provider = world.router("isp", world.public, 21, prefix="10.64.0.", kind="symmetric")
    home = world.router("r1", provider, 5, kind="symmetric")
    inside, asked, stranger = (
        world.host("inside", home, 2),
        world.host("asked", world.public, 31),
        world.host("stranger", world.public, 32),
    )
    for each in (asked, stranger):
        knows_the_way(world, each, provider)
    with at(inside, 4000) as phone, at(asked, 5000) as one, at(stranger, 5000) as far:
        phone.sendto(b"hello", (asked.address, 5000))
        _, seen = one.recvfrom(100)
        assert seen[0] == _OUTSIDE
        far.sendto(b"stranger", seen)
        one.sendto(b"end", seen)
        assert heard_until(phone, b"end") == set()
