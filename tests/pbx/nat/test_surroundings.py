"""Who is told which address, and who counts as behind a router."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from pbx.nat.surroundings import Surroundings

CLOUD = Surroundings(public=("11.22.33.10", "2a00::10"))
CONTAINER = Surroundings(public=("192.168.1.10",))
OFFICE = Surroundings(lan=(ip_network("10.9.0.0/24"),), nated=(ip_network("44.0.0.0/8"),), public=("11.22.33.10",))


@pytest.mark.parametrize(
    ("where", "peer", "told"),
    [
        (CLOUD, "11.22.33.4", "11.22.33.10"),
        (CLOUD, "2a00::4", "2a00::10"),
        (CLOUD, "10.1.2.3", ""),
        (CLOUD, "fd00::3", ""),
        (CLOUD, "127.0.0.1", ""),
        (OFFICE, "10.9.0.7", ""),
        (OFFICE, "10.8.0.7", "11.22.33.10"),  # another private network, such as a customer's
        (OFFICE, "2a00::4", ""),  # no public address of that family
        (Surroundings(), "11.22.33.4", ""),
        (CONTAINER, "192.168.1.7", "192.168.1.10"),
        (CONTAINER, "11.22.33.4", "192.168.1.10"),
        (CONTAINER, "127.0.0.1", ""),
        (Surroundings(lan=(ip_network("192.168.1.0/24"),), public=("192.168.1.10",)), "192.168.1.7", ""),
    ],
)
def test_what_a_peer_is_told(where, peer, told):
    assert where.public_for(peer) == told


@pytest.mark.parametrize(
    ("said", "source", "guess"),
    [
        (("192.168.1.2", 4000), "11.22.33.21", ("11.22.33.21", 4000)),
        (("11.22.33.21", 4000), "11.22.33.21", None),
        (("11.22.33.99", 4000), "11.22.33.21", None),  # a media gateway beside its signalling
        (("44.0.0.9", 4000), "44.0.0.1", ("44.0.0.1", 4000)),
        (("0.0.0.0", 4000), "44.0.0.1", None),
    ],
)
def test_where_audio_may_come_from(said, source, guess):
    assert OFFICE.media_guess(said, source) == guess


def test_audio_may_have_an_address_of_its_own():
    where = Surroundings(public=("11.22.33.10",), public_media=("11.22.33.11",))

    assert where.public_for("11.22.33.4") == "11.22.33.10"
    assert where.public_media_for("11.22.33.4") == "11.22.33.11"
    assert OFFICE.public_media_for("11.22.33.4") == "11.22.33.10"


def test_a_listed_network_is_always_behind_a_router():
    assert OFFICE.behind_nat("44.0.0.1", "44.0.0.1")
    assert not OFFICE.behind_nat("45.0.0.1", "45.0.0.1")
    assert OFFICE.behind_nat("192.168.1.1", "45.0.0.1")
