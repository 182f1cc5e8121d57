"""What SIP messages cost: parsing, forwarding, answering, and a whole transaction. Figures only, no pass or fail.

Not here: sockets. CPU time of this process, the best of several rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.sipcore.digest import DigestServer, ha1, parse_authorization, parse_challenge, respond
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.offer_answer import answer
from pbx.sipcore.parser import parse, screen
from pbx.sipcore.passing import Outlet, passed_offer
from pbx.sipcore.sdp import Origin, SessionDescription
from pbx.sipcore.transactions import Cause, ServerTransaction, TransactionLayer

_BODY = (
    "v=0\r\no=alice 53655765 2353687637 IN IP4 192.0.2.101\r\ns=-\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\n"
    "m=audio 49172 RTP/AVP 0 8 97 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:97 iLBC/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)

INVITE = (
    "INVITE sip:bob@house.example SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.101:5060;rport;branch=z9hG4bKPj0d1e4c7a9b8f4d2e\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Alice Adams" <sip:alice@house.example>;tag=Pj8c2f3a1b\r\n'
    "To: <sip:bob@house.example>\r\n"
    "Contact: <sip:alice@192.0.2.101:5060;ob>\r\n"
    "Call-ID: Pj4f6e2d1c0b9a8f7e6d5c4b3a2f1e0d9c@192.0.2.101\r\n"
    "CSeq: 21034 INVITE\r\n"
    "Route: <sip:house.example;lr>\r\n"
    "Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS\r\n"
    "Supported: replaces, 100rel, timer, norefersub\r\n"
    "Session-Expires: 1800\r\nMin-SE: 90\r\nUser-Agent: Bench 1.0\r\n"
    f"Content-Type: application/sdp\r\nContent-Length: {len(_BODY)}\r\n\r\n{_BODY}"
).encode()

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.101", 5060))


def _pass_on() -> None:
    outlets = {0: Outlet("192.0.2.1", 61000, "RTP/AVP")}
    passed_offer(SessionDescription.parse(_BODY), Origin("-", 1, 1, "192.0.2.1"), outlets)


def _cost(work: Callable[[], object], count: int = 3000, rounds: int = 5) -> float:
    """Microseconds of CPU for one `work()`."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time_ns()
        for _ in range(count):
            work()
        best = min(best, (time.process_time_ns() - start) / count / 1000)
    return round(best, 2)


def _cold(work: Callable[[], object], pause: float, count: int = 300) -> float:
    """Microseconds of CPU for one `work()` when the processor did other things before it, as in a server at ease."""
    spent = 0
    for _ in range(count):
        time.sleep(pause)
        start = time.thread_time_ns()
        work()
        spent += time.thread_time_ns() - start
    return round(spent / count / 1000, 2)


def _invite() -> Request:
    message = parse(INVITE)
    if not isinstance(message, Request):
        raise TypeError("the message of this bench is a request")
    return message


def _forward() -> bytes:
    """What a proxy does to a request (RFC 3261 §16.6)."""
    request = _invite()
    via = request.top_via
    _ = (via.branch, via.sent_by, request.method)
    request.remove_first("Route")
    request.set("Max-Forwards", str((request.number("Max-Forwards") or 70) - 1))
    request.insert_first("Record-Route", "<sip:192.0.2.1:5060;lr>")
    request.insert_first("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0123456789abcdef;rport")
    request.uri = "sip:bob@192.0.2.202:5060;ob"
    return request.encode()


class _Silent:
    """A world that swallows everything and answers every request with 200."""

    def send(self, flow: Flow, data: bytes) -> None:
        pass

    def sent_by(self, flow: Flow) -> str:
        return "192.0.2.1:5060"

    def on_request(self, transaction: ServerTransaction) -> None:
        transaction.respond(response_to(transaction.request, 180))
        transaction.respond(response_to(transaction.request, 200))

    def on_ack(self, request: Request, flow: Flow) -> None:
        pass

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        pass

    def on_response(self, response: Response) -> None:
        pass

    def on_failure(self, cause: Cause) -> None:
        pass


def _server_transactions(count: int) -> float:
    """Microseconds of an INVITE that comes in, rings, and is answered, to the end of its transaction."""
    clock, silent = ManualClock(), _Silent()
    layer = TransactionLayer(clock, SeededEntropy(), silent, silent, Metrics())
    messages = [INVITE.replace(b"z9hG4bKPj", b"z9hG4bK%d" % number) for number in range(count)]
    start = time.process_time_ns()
    for data in messages:
        layer.receive(parse(data), FLOW)
    clock.advance(60)
    return round((time.process_time_ns() - start) / count / 1000, 2)


def _client_transactions(count: int) -> float:
    """Microseconds of an INVITE that we send, its 180 and its 200, to the end of its transaction."""
    clock, silent = ManualClock(), _Silent()
    layer = TransactionLayer(clock, SeededEntropy(), silent, silent, Metrics())
    request = _invite()
    start = time.process_time_ns()
    for _ in range(count):
        sent = layer.request(request, FLOW, silent).request
        for status in (180, 200):
            layer.receive(response_to(sent, status, to_tag="b"), FLOW)
    clock.advance(60)
    return round((time.process_time_ns() - start) / count / 1000, 2)


def _digest() -> Callable[[], object]:
    server = DigestServer(ManualClock(), SeededEntropy())
    secret = ha1("alice", "house.example", "secret")

    def login() -> None:
        asked = parse_challenge(server.challenge("house.example"))
        text = respond(
            asked, username="alice", password="secret", method="REGISTER", uri="sip:house.example", cnonce="0a4f113b"
        )
        server.verify(parse_authorization(text), "REGISTER", secret)

    return login


def run() -> list[tuple[str, float, str]]:
    """Name, value, unit."""
    request = _invite()
    origin = Origin("tandem", 1, 1, "192.0.2.1")
    offer = SessionDescription.parse(_BODY)
    answered = response_to(request, 200, to_tag="b").encode()
    return [
        (f"parse INVITE ({len(INVITE)} octets)", _cost(lambda: parse(INVITE)), "µs"),
        ("parse and forward INVITE", _cost(_forward), "µs"),
        ("parse and forward INVITE, after 0.5 ms of rest", _cold(_forward, 0.0005), "µs"),
        ("parse and forward INVITE, after 3 ms of rest", _cold(_forward, 0.003), "µs"),
        ("screen INVITE", _cost(lambda: screen(request)), "µs"),
        ("parse 200", _cost(lambda: parse(answered)), "µs"),
        ("make and encode 180", _cost(lambda: response_to(request, 180, to_tag="b").encode()), "µs"),
        ("parse and rewrite SDP", _cost(_pass_on), "µs"),
        ("answer SDP", _cost(lambda: answer(offer, origin, "192.0.2.1", 61000)), "µs"),
        ("digest, challenge and both sides", _cost(_digest()), "µs"),
        ("INVITE server transaction with parse, 180, 200", _server_transactions(3000), "µs"),
        ("INVITE client transaction with 180, 200", _client_transactions(3000), "µs"),
    ]


if __name__ == "__main__":
    for name, value, unit in run():
        print(f"{name:<52} {value:>10.2f} {unit}")
