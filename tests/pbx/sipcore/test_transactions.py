"""How messages find their transactions and their way back: RFC 3261 §17.1.3, §17.2.3, §18.2.2; RFC 3581."""

from __future__ import annotations

import pytest

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.transactions import (
    ServerState,
)
from tests.pbx.sipcore.layer import UDP, World, request, server, short

# --- matching and the way back ---------------------------------------------------------------------------------------


def test_branches_differ_by_sent_by_and_method() -> None:
    world = World()
    for each in (request("INVITE"), request("OPTIONS"), request("INVITE", via="192.0.2.8:5060")):
        world.receive(each)
    assert len(world.requests) == 3


def test_a_guessed_branch_matches_nothing() -> None:
    """It neither cancels a call, nor moves its answers elsewhere."""
    world, elsewhere = World(), Flow("udp", ("127.0.0.1", 5060), ("203.0.113.66", 5060))
    call, cancels = server(world), list[Request]()
    call.on_cancel = cancels.append
    for name, value in (("Call-ID", "other"), ("From", "<sip:alice@house.example>;tag=other")):
        for method in ("CANCEL", "INVITE"):
            forged = request(method)
            forged.set(name, value)
            world.receive(forged, elsewhere)
    assert world.lines() == ["481", "481"]
    assert (cancels, len(world.requests), call.flow) == ([], 3, UDP)


@pytest.mark.parametrize("branch", ["", "z9hG4bK", "1"])
def test_a_peer_of_rfc_2543_is_matched_by_everything_else(branch: str) -> None:
    """RFC 3261 §17.2.3, second half."""
    world = World()
    cancels: list[Request] = []
    world.receive(request("INVITE", branch=branch))
    world.receive(request("INVITE", branch=branch))
    assert len(world.requests) == 1
    world.requests[0].on_cancel = cancels.append
    world.receive(request("CANCEL", branch=branch))
    assert len(cancels) == 1
    world.requests[0].reply(487)
    world.receive(request("ACK", branch=branch, to_tag=";tag=x"))
    assert world.requests[0].state is ServerState.CONFIRMED


@pytest.mark.parametrize(
    ("via", "remote", "back"),
    [
        ("192.0.2.7:5060;rport", ("192.0.2.7", 1234), ("192.0.2.7", 1234)),
        ("10.0.0.5:5060;rport", ("192.0.2.7", 1234), ("192.0.2.7", 1234)),
        ("192.0.2.7:5062", ("192.0.2.7", 1234), ("192.0.2.7", 5062)),
        ("192.0.2.7", ("192.0.2.7", 1234), ("192.0.2.7", 5060)),
        ("10.0.0.5:5060", ("192.0.2.7", 1234), ("192.0.2.7", 1234)),
    ],
)
def test_the_way_back(via: str, remote: tuple[str, int], back: tuple[str, int]) -> None:
    """RFC 3581 §4 with rport; RFC 3261 §18.2.2 without; behind a NAT always the source."""
    world = World()
    world.receive(request("OPTIONS", via=via), Flow("udp", ("127.0.0.1", 5060), remote))
    world.requests[0].reply(200)
    assert world.sent[0][0].remote == back


def test_a_full_table_refuses_and_forgets() -> None:
    world = World(limit=2)
    for number in range(4):
        world.receive(request("INVITE", branch=f"z9hG4bK{number}"))
    refused = world.taken()
    assert [short(each) for each in refused] == ["503", "503"]
    assert refused[0].get("Retry-After") is not None
    assert (world.layer.server_count, world.metrics.value("sip.transactions.refused")) == (2, 2)


def test_large_requests_are_bounded_by_their_octets() -> None:
    world = World(octets=200_000)
    large = request("INVITE")
    large.set_body(b"x" * 60_000, "application/sdp")
    for number in range(5):
        large.set("Via", f"SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{number};rport")
        world.receive(large)
    assert [world.layer.server_count, *world.lines()] == [3, "503", "503"]
    for transaction in world.requests:
        transaction.reply(486)
    world.clock.advance(33)
    for number in range(5, 8):
        large.set("Via", f"SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{number};rport")
        world.receive(large)
    assert world.layer.server_count == 3, "what has ended makes room"
