"""The server transactions: RFC 3261 §17.2, and §9.2 (CANCEL to us); RFC 6026."""

from __future__ import annotations

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, response_to
from pbx.sipcore.transactions import (
    ServerState,
    Timers,
)
from tests.pbx.sipcore.layer import TCP, UDP, World, request, server, short

# --- INVITE server, RFC 3261 §17.2.1 ---------------------------------------------------------------------------------


def test_trying_is_sent_when_the_user_is_slow() -> None:
    world = World()
    server(world)
    world.clock.advance(0.19)
    assert world.lines() == []
    world.clock.advance(0.02)
    (trying,) = world.taken()
    assert (short(trying), trying.to_tag) == ("100", ""), "§17.2.1: within 200 ms"


def test_trying_is_not_sent_after_an_answer_and_at_once_if_so_set() -> None:
    world = World()
    server(world).reply(180)
    world.clock.advance(1)
    assert world.lines() == ["180"]
    eager = World(timers=Timers(trying=0))
    server(eager)
    assert eager.lines() == ["100"]


def test_a_repeated_invite_gets_the_last_provisional() -> None:
    world = World()
    transaction = server(world)
    world.receive(request("INVITE"))
    assert world.lines() == []
    transaction.reply(180)
    world.receive(request("INVITE"))
    assert world.lines() == ["180", "180"]
    assert len(world.requests) == 1


def test_answers_follow_a_sender_whom_a_router_has_moved() -> None:
    world, moved = World(), Flow("udp", UDP.local, ("192.0.2.7", 49_999))
    transaction = server(world)
    transaction.reply(180)
    world.receive(request("INVITE"), moved)
    transaction.reply(486)
    options = server(world, "OPTIONS")
    options.reply(200)
    world.receive(request("OPTIONS"), moved)
    assert [flow for flow, _ in world.sent] == [UDP, moved, moved, UDP, moved]
    assert len(world.requests) == 2


def test_a_refusal_is_repeated_until_its_ack() -> None:
    world, ended = World(), []
    transaction = server(world)
    transaction.on_end = lambda: ended.append(1)
    transaction.reply(486)
    world.clock.advance(12)
    assert world.times == [0, 0.5, 1.5, 3.5, 7.5, 11.5], "§17.2.1: Timer G doubles up to T2"
    tag = world.taken()[0].to_tag
    world.receive(request("ACK", to_tag=f";tag={tag}"))
    assert (world.acks, transaction.state) == ([], ServerState.CONFIRMED), "the ACK of a refusal is not passed up"
    world.receive(request("INVITE"))
    assert world.lines() == []
    world.clock.advance(5.1)
    assert (ended, world.is_empty()) == ([1], True), "§17.2.1: Timer I is T4"


def test_a_stranger_is_refused_once_for_each_time_that_he_asks() -> None:
    """RFC 3261 §26.3.2.4: with a borrowed address nobody has more sent there than he sends himself."""
    world = World()
    server(world).refuse(401)
    world.clock.advance(20)
    assert world.times == [0]
    tag = world.taken()[0].to_tag
    assert (world.layer.server_count, world.layer.spent_count) == (0, 1)
    world.receive(request("INVITE"))
    assert [(short(each), each.to_tag) for each in world.taken()] == [("401", tag)]
    world.receive(request("ACK", to_tag=f";tag={tag}"))
    assert world.acks == [], "the ACK of a refusal is not passed up"
    world.receive(request("CANCEL"))
    assert world.lines() == ["200"], "§9.2: the INVITE is known, and answered already"
    assert len(world.requests) == 1
    world.clock.advance(33)
    assert world.is_empty()


def test_a_refusal_after_a_trying_is_repeated() -> None:
    """The 100 has told the client not to repeat its INVITE."""
    world = World()
    transaction = server(world)
    world.clock.advance(1)
    transaction.refuse(403)
    world.clock.advance(2)
    assert world.lines() == ["100", "403", "403", "403"]


def test_a_refusal_over_a_connection_waits_for_its_ack() -> None:
    world = World()
    transaction = server(world, flow=TCP)
    transaction.refuse(401)
    assert world.layer.server_count == 1
    world.receive(request("ACK", to_tag=";tag=x"), TCP)
    world.clock.advance(0)
    assert world.is_empty()


def test_a_refusal_without_ack_ends_with_timer_h() -> None:
    world, ended = World(), []
    transaction = server(world)
    transaction.on_end = lambda: ended.append(1)
    transaction.reply(404)
    world.clock.advance(32.1)
    assert (ended, world.is_empty(), world.metrics.value("sip.timeouts.server")) == ([1], True, 1)


def test_after_a_2xx_repeated_invites_are_absorbed_and_the_user_repeats_the_2xx() -> None:
    world = World()
    transaction = server(world)
    ok = response_to(transaction.request, 200)
    transaction.respond(ok)
    world.receive(request("INVITE"))
    world.clock.advance(3)
    assert world.lines() == ["200"], "RFC 6026 §7.1: Accepted absorbs retransmissions"
    transaction.respond(ok)
    transaction.reply(486)
    assert world.lines() == ["200"]
    world.receive(request("ACK", branch="z9hG4bKother", to_tag=f";tag={transaction.local_tag}"))
    world.receive(request("ACK", to_tag=f";tag={transaction.local_tag}"))
    assert len(world.acks) == 2, "the ACK of a 2xx goes to the core, also with the branch of the INVITE"
    world.clock.advance(32.1)
    assert world.is_empty(), "RFC 6026 §7.1: Timer L"


def test_one_tag_serves_all_answers() -> None:
    world = World()
    transaction = server(world)
    transaction.reply(180)
    transaction.reply(200)
    first, second = world.taken()
    assert first.to_tag == second.to_tag == transaction.local_tag != ""


# --- CANCEL to us, RFC 3261 §9.2 -------------------------------------------------------------------------------------


def test_a_cancel_is_answered_and_told() -> None:
    world = World()
    cancels: list[Request] = []
    transaction = server(world)
    transaction.on_cancel = cancels.append
    world.receive(request("CANCEL"))
    world.receive(request("CANCEL"))
    ok, again = world.taken()
    assert (short(ok), ok.cseq.method, ok.to_tag) == ("200", "CANCEL", transaction.local_tag)
    assert ok.encode() == again.encode()
    assert (len(cancels), transaction.cancelled, len(world.requests)) == (1, True, 1)
    transaction.reply(487)
    assert world.lines() == ["487"]


def test_without_a_listener_a_cancelled_invite_gets_its_487() -> None:
    world = World()
    server(world)
    world.receive(request("CANCEL"))
    assert world.lines() == ["200", "487"]


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    world = World()
    cancels: list[Request] = []
    transaction = server(world)
    transaction.on_cancel = cancels.append
    transaction.reply(200)
    world.receive(request("CANCEL"))
    assert (world.lines(), cancels) == (["200", "200"], []), "§9.2: no effect after a final response"


def test_a_cancel_of_nothing_is_481() -> None:
    world = World()
    server(world)
    world.receive(request("CANCEL", branch="z9hG4bKnever"))
    world.receive(request("CANCEL", via="192.0.2.99:5060"))
    assert world.lines() == ["481", "481"], "§9.2, and the sent-by is part of the match (§17.2.3)"


# --- non-INVITE server, RFC 3261 §17.2.2 -----------------------------------------------------------------------------


def test_a_repeated_request_gets_the_same_final() -> None:
    world = World()
    transaction = server(world, "OPTIONS")
    world.receive(request("OPTIONS"))
    assert world.lines() == [], "§17.2.2: discarded in Trying"
    transaction.reply(200)
    world.receive(request("OPTIONS"))
    assert world.lines() == ["200", "200"]
    transaction.reply(404)
    assert world.lines() == []
    world.clock.advance(32.1)
    assert world.is_empty(), "§17.2.2: Timer J"
    server(world, "OPTIONS", TCP).reply(200)
    world.clock.advance(0)
    assert world.is_empty(), "§17.2.2: Timer J is 0 on reliable transports"


def test_kept_answers_are_bounded_and_forgotten_in_time() -> None:
    world = World(limit=2)
    for number in range(10):
        world.receive(request("OPTIONS", branch=f"z9hG4bK{number}"))
        world.requests[-1].reply(200)
        world.clock.advance(1)
    assert (world.layer.server_count, world.layer.spent_count) == (0, 8)
    world.taken()
    world.receive(request("OPTIONS", branch="z9hG4bK9"))
    assert (world.lines(), len(world.requests)) == (["200"], 10)
    world.clock.advance(27.9)
    assert world.layer.spent_count > 0, "§17.2.2: Timer J is 64*T1"
    world.clock.advance(4)
    assert world.is_empty()


def test_a_request_that_nobody_answers_is_forgotten_in_silence() -> None:
    world = World()
    server(world, "OPTIONS")
    world.clock.advance(33)
    assert (world.lines(), world.is_empty()) == ([], True), "RFC 4320 §4.2: no late 408"


def test_only_an_invite_is_ever_answered_with_408() -> None:
    """RFC 4320 §4.2."""
    world = World()
    server(world, "OPTIONS").reply(408)
    assert world.lines() == []
    server(world, "INVITE").reply(408)
    assert any(line.startswith("408") for line in world.lines())
