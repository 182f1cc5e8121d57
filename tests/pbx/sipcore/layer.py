"""A transaction layer stepped by hand, with everything round it recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import parse
from pbx.sipcore.transactions import (
    Cause,
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
        return [short(message) for message in self.taken()]

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


def short(message: Request | Response) -> str:
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
