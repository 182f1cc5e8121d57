"""The four transaction machines stepped by hand: RFC 3261 §17 and §9, RFC 6026, RFC 3581."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.spent_answers import SpentAnswers
from pbx.sipcore.transactions import (
    Cause,
    ClientState,
    ServerState,
    ServerTransaction,
    Timers,
    TransactionLayer,
)

UDP = Flow("udp", ("127.0.0.1", 5060), ("192.0.2.7", 5060))
TCP = Flow("tcp", ("127.0.0.1", 5060), ("192.0.2.7", 40000), 7)


@dataclass
class World:
    """A layer with everything round it recorded."""

    timers: Timers = field(default_factory=lambda: Timers(trying=0.2))
    limit: int = 1000
    octets: int = 10_000_000

    def __post_init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.sent: list[tuple[Flow, Request | Response]] = []
        self.times: list[float] = []
        self.requests: list[ServerTransaction] = []
        self.acks: list[Request] = []
        self.strays: list[Response] = []
        self.layer = TransactionLayer(
            self.clock, SeededEntropy(), self, self, self.metrics, self.timers, limit=self.limit, octets=self.octets
        )  # fmt: skip

    def send(self, flow: Flow, data: bytes) -> None:
        self.sent.append((flow, parse(data)))
        self.times.append(self.clock.now())

    def sent_by(self, flow: Flow) -> str:
        return "127.0.0.1:5060"

    def on_request(self, transaction: ServerTransaction) -> None:
        self.requests.append(transaction)

    def on_ack(self, request: Request, flow: Flow) -> None:
        self.acks.append(request)

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        self.strays.append(response)

    def receive(self, message: Request | Response, flow: Flow = UDP) -> None:
        self.layer.receive(parse(message.encode()), flow)

    def taken(self) -> list[Request | Response]:
        """What was sent since the last time."""
        messages = [message for _, message in self.sent]
        self.sent.clear()
        self.times.clear()
        return messages

    def lines(self) -> list[str]:
        return [_short(message) for message in self.taken()]

    def is_empty(self) -> bool:
        layer = self.layer
        counts = (layer.server_count, layer.client_count, layer.spent_count, self.clock.pending)
        return not any((*counts, len(layer._servers_by_flow), len(layer._clients_by_flow)))


class User:
    """A transaction user that notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[int | str] = []
        self.then: Callable[[], None] | None = None

    def on_response(self, response: Response) -> None:
        self.heard.append(response.status)
        if self.then is not None:
            self.then()

    def on_failure(self, cause: Cause) -> None:
        self.heard.append(cause)


def _short(message: Request | Response) -> str:
    return message.method if isinstance(message, Request) else str(message.status)


def request(method: str, *, branch: str = "z9hG4bK1", via: str = "192.0.2.7:5060;rport", to_tag: str = "") -> Request:
    made = Request(method, "sip:bob@house.example")
    made.add("Via", f"SIP/2.0/UDP {via};branch={branch}")
    made.add("From", "<sip:alice@house.example>;tag=a")
    made.add("To", "<sip:bob@house.example>" + to_tag)
    made.add("Call-ID", "c1")
    made.add("CSeq", f"1 {'INVITE' if method == 'ACK' else method}" if method != "ACK" else "1 ACK")
    return made


def bare(method: str) -> Request:
    made = request(method)
    made.remove("Via")
    return made


def server(world: World, method: str = "INVITE", flow: Flow = UDP) -> ServerTransaction:
    world.receive(request(method), flow)
    return world.requests[-1]


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
    assert [_short(ack) for ack in acks] == ["ACK", "ACK"]
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


# --- INVITE server, RFC 3261 §17.2.1 ---------------------------------------------------------------------------------


def test_trying_is_sent_when_the_user_is_slow() -> None:
    world = World()
    server(world)
    world.clock.advance(0.19)
    assert world.lines() == []
    world.clock.advance(0.02)
    (trying,) = world.taken()
    assert (_short(trying), trying.to_tag) == ("100", ""), "§17.2.1: within 200 ms"


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
    assert [(_short(each), each.to_tag) for each in world.taken()] == [("401", tag)]
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
    assert (_short(ok), ok.cseq.method, ok.to_tag) == ("200", "CANCEL", transaction.local_tag)
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
    assert [_short(each) for each in refused] == ["503", "503"]
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
