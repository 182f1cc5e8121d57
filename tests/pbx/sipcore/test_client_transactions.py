"""The client transactions: RFC 3261 §17.1, and §9.1 (CANCEL by us); RFC 6026."""

from __future__ import annotations

import pytest

from base.clock import ManualClock
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, response_to
from pbx.sipcore.spent_answers import SpentAnswers
from pbx.sipcore.transactions import (
    ClientState,
)
from tests.pbx.sipcore.layer import TCP, UDP, User, World, bare, request, server, short

# --- INVITE client, RFC 3261 §17.1.1 ---------------------------------------------------------------------------------


def test_an_invite_is_repeated_at_doubling_intervals_until_timer_b() -> None:
    world, user = World(), User()
    world.layer.request(bare("INVITE"), UDP, user)
    world.clock.advance(100)
    assert world.times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5], "§17.1.1.2: Timer A starts at T1 and doubles"
    assert user.heard == ["timeout"], "§17.1.1.2: Timer B informs the TU"
    assert world.is_empty()


def test_an_invite_over_a_reliable_transport_is_sent_once() -> None:
    world, user = World(), User()
    world.layer.request(bare("INVITE"), TCP, user)
    world.clock.advance(100)
    assert (world.lines(), user.heard) == (["INVITE"], ["timeout"])


def test_our_via_is_on_top_and_the_request_of_the_user_is_left_alone() -> None:
    world, user = World(), User()
    mine = request("INVITE")
    transaction = world.layer.request(mine, UDP, user)
    vias = transaction.request.get_all("Via")
    assert vias[0].startswith("SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK")
    assert vias[1:] == mine.get_all("Via")


def test_a_provisional_stops_the_repetition_and_a_refusal_is_acknowledged_each_time() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("INVITE"), UDP, user)
    world.receive(response_to(transaction.request, 180, to_tag="b"))
    world.clock.advance(60)
    assert world.lines() == ["INVITE"], "§17.1.1.2: no retransmission in Proceeding, and no Timer B"
    refusal = response_to(transaction.request, 486, to_tag="b")
    world.receive(refusal)
    world.receive(refusal)
    assert user.heard == [180, 486], "§17.1.1.2: retransmitted finals are not passed up"
    acks = world.taken()
    assert [short(ack) for ack in acks] == ["ACK", "ACK"]
    assert isinstance(acks[0], Request)
    assert acks[0].top_via == transaction.request.top_via, "§17.1.1.3: the single Via of the request"
    assert (acks[0].to_tag, str(acks[0].cseq), acks[0].uri) == ("b", "1 ACK", transaction.request.uri)
    assert transaction.state is ClientState.COMPLETED
    world.clock.advance(31.9)
    assert not world.is_empty(), "§17.1.1.2: Timer D is at least 32 s"
    world.clock.advance(0.2)
    assert world.is_empty()


def test_every_2xx_is_passed_up_and_none_acknowledged_by_the_layer() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("INVITE"), UDP, user)
    ok = response_to(transaction.request, 200, to_tag="b")
    world.receive(ok)
    world.receive(ok)
    world.receive(response_to(transaction.request, 200, to_tag="fork"))
    assert (user.heard, world.lines()) == ([200, 200, 200], ["INVITE"]), "RFC 6026 §7.2"
    world.receive(response_to(transaction.request, 486, to_tag="c"))
    assert user.heard == [200, 200, 200], "a refusal after a 2xx is absorbed"
    world.clock.advance(32.1)
    assert world.is_empty(), "RFC 6026 §7.2: Timer M"
    world.receive(ok)
    assert len(world.strays) == 1


def test_ringing_and_answer_back_to_back_lose_nothing() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("INVITE"), UDP, user)
    for status in (100, 180, 200):
        world.receive(response_to(transaction.request, status, to_tag="b"))
    assert user.heard == [100, 180, 200]


def test_timer_c_cancels_what_rings_for_ever() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("INVITE"), UDP, user)
    world.receive(response_to(transaction.request, 180, to_tag="b"))
    world.clock.advance(180)
    world.receive(response_to(transaction.request, 180, to_tag="b"))
    world.clock.advance(180)
    assert world.lines() == ["INVITE"], "RFC 3261 §16.7 step 2: each provisional but 100 resets Timer C"
    world.clock.advance(6)
    assert world.lines()[0] == "CANCEL", "RFC 3261 §16.8"
    world.clock.advance(40)
    assert user.heard == [180, 180, "timeout"], "§9.1: no answer in 64*T1 counts as cancelled"
    assert world.is_empty()


# --- CANCEL by us, RFC 3261 §9.1 -------------------------------------------------------------------------------------


def test_a_cancel_waits_for_a_provisional() -> None:
    world, user = World(), User()
    routed = bare("INVITE")
    routed.add("Route", "<sip:edge.example;lr>")
    transaction = world.layer.request(routed, UDP, user)
    transaction.cancel('SIP;cause=200;text="Call completed elsewhere"')
    assert world.lines() == ["INVITE"]
    world.receive(response_to(transaction.request, 100))
    (cancel,) = world.taken()
    assert isinstance(cancel, Request)
    assert (cancel.method, str(cancel.cseq), cancel.uri) == ("CANCEL", "1 CANCEL", transaction.request.uri)
    assert cancel.top_via.branch == transaction.request.top_via.branch
    assert cancel.get_all("Route") == ["<sip:edge.example;lr>"], "§9.1: the way of its INVITE"
    assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    world.receive(response_to(cancel, 200, to_tag="b"))
    world.receive(response_to(transaction.request, 487, to_tag="b"))
    assert user.heard == [100, 487]
    assert world.lines() == ["ACK"]
    world.clock.advance(40)
    assert world.is_empty()


def test_a_cancel_that_crosses_the_answer_is_not_sent() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("INVITE"), UDP, user)
    transaction.cancel()
    world.receive(response_to(transaction.request, 200, to_tag="b"))
    transaction.cancel()
    assert (world.lines(), user.heard) == (["INVITE"], [200]), "the user must end that call with BYE"


def test_a_user_may_cancel_from_within_the_provisional() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("INVITE"), UDP, user)
    user.then = transaction.cancel
    world.receive(response_to(transaction.request, 180, to_tag="b"))
    assert world.lines() == ["INVITE", "CANCEL"]


def test_only_invites_are_cancelled() -> None:
    world = World()
    transaction = world.layer.request(bare("OPTIONS"), UDP, User())
    world.receive(response_to(transaction.request, 100))
    transaction.cancel()
    assert world.lines() == ["OPTIONS"]
    with pytest.raises(ValueError, match="CANCEL"):
        world.layer.request(bare("CANCEL"), UDP, User())


# --- non-INVITE client, RFC 3261 §17.1.2 -----------------------------------------------------------------------------


def test_other_requests_are_repeated_up_to_t2_until_timer_f() -> None:
    world, user = World(), User()
    world.layer.request(bare("OPTIONS"), UDP, user)
    world.clock.advance(100)
    assert world.times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5], "§17.1.2.2: MIN(2*T, T2)"
    assert user.heard == ["timeout"]
    assert world.is_empty()


def test_a_provisional_slows_the_repetition_to_t2() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("OPTIONS"), UDP, user)
    world.receive(response_to(transaction.request, 100))
    world.clock.advance(20)
    assert world.times == [0, 0.5, 4.5, 8.5, 12.5, 16.5], "§17.1.2.2: in Proceeding Timer E is T2"


def test_repeated_finals_are_absorbed_for_timer_k() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("OPTIONS"), UDP, user)
    for _ in range(3):
        world.receive(response_to(transaction.request, 404, to_tag="b"))
    assert user.heard == [404]
    world.clock.advance(5.1)
    assert world.is_empty(), "§17.1.2.2: Timer K is T4"
    reliable = world.layer.request(bare("OPTIONS"), TCP, user)
    world.receive(response_to(reliable.request, 200, to_tag="b"), TCP)
    world.clock.advance(0)
    assert world.is_empty(), "§17.1.2.2: Timer K is 0 on reliable transports"


def test_a_refused_invite_is_forgotten_at_once_on_a_reliable_transport() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("INVITE"), TCP, user)
    world.receive(response_to(transaction.request, 486, to_tag="b"), TCP)
    assert world.lines() == ["INVITE", "ACK"]
    world.clock.advance(0)
    assert world.is_empty(), "§17.1.1.2: Timer D is 0 on reliable transports"


def test_a_lost_flow_fails_what_waits_on_it() -> None:
    world, user, other = World(), User(), User()
    world.layer.request(bare("INVITE"), TCP, user)
    world.layer.request(bare("INVITE"), UDP, other)
    server(world, flow=TCP)
    world.layer.transport_error(TCP)
    assert (user.heard, other.heard) == (["transport"], [])
    assert (world.layer.client_count, world.layer.server_count) == (1, 0)


def test_a_lost_flow_is_told_only_to_who_goes_by_it_now() -> None:
    """A router moves the sender while the telephone rings (RFC 3581 §4): the former flow concerns nobody any more."""
    world, moved = World(), Flow("udp", UDP.local, ("192.0.2.7", 6060))
    ringing = server(world)
    world.receive(request("INVITE"), moved)
    assert len(world.requests) == 1
    world.layer.transport_error(UDP)
    assert (world.layer.server_count, ringing.flow) == (1, moved)
    world.layer.transport_error(moved)
    assert world.is_empty()


def test_answers_that_are_kept_are_bounded_in_number_and_in_octets() -> None:
    clock = ManualClock()
    kept = SpentAnswers(clock, 32.0, 10, octets=1000)
    for number in range(30):
        kept.put((f"small {number}",), UDP, bytes(10))
    assert len(kept) == 10
    for number in range(30):
        kept.put((f"large {number}",), UDP, bytes(300))
    assert len(kept) == 3
    assert kept.get(("large 29",)) is not None
    kept.put(("small again",), UDP, bytes(100))
    assert len(kept) == 4
    clock.advance(40.0)
    assert (len(kept), clock.pending) == (0, 0)


def test_a_response_to_another_method_of_the_branch_is_a_stray() -> None:
    world, user = World(), User()
    transaction = world.layer.request(bare("INVITE"), UDP, user)
    forged = response_to(transaction.request, 200, to_tag="b")
    forged.set("CSeq", "1 BYE")
    world.receive(forged)
    assert (user.heard, len(world.strays)) == ([], 1), "§17.1.3: branch and CSeq method"
