"""Who is kept reachable behind a router, and how often. The clock is moved by hand."""

from __future__ import annotations

from base.clock import ManualClock
from base.metrics import Metrics
from pbx.nat.keepalive import KeepAlive, Kind
from pbx.nat.surroundings import Surroundings
from pbx.registrar.bindings import Binding
from pbx.sipcore.flow import Flow


class Registered:
    def __init__(self, *bindings: Binding) -> None:
        self.bindings = list(bindings)

    def all(self) -> list[Binding]:
        return self.bindings


class Stack:
    surroundings = Surroundings()

    def __init__(self) -> None:
        self.sent: list[tuple[Flow, bytes]] = []

    def send(self, flow: Flow, data: bytes) -> None:
        self.sent.append((flow, data))


def phone(number: int, said: str, source: str, transport: str = "udp") -> Binding:
    flow = Flow(transport, ("11.22.33.10", 5060), (source, 5000 + number))
    contact = f"sip:{number}@{said}:5060"
    return Binding(number, contact, contact, f"<{contact}>", flow, 1e12, "c", 1)


def play(kind: Kind, seconds: float, *bindings: Binding) -> Stack:
    clock, stack = ManualClock(), Stack()
    keeper = KeepAlive(clock, Metrics(), stack, Registered(*bindings), kind, 20.0)
    keeper.start()
    clock.advance(seconds)
    keeper.close()
    clock.advance(100.0)
    return stack


HIDDEN = phone(1, "192.168.1.2", "11.22.33.21")


def test_only_udp_telephones_behind_a_router_are_kept():
    others = phone(2, "11.22.33.4", "11.22.33.4"), phone(3, "192.168.1.3", "11.22.33.21", "tcp")

    stack = play("crlf", 20.0, HIDDEN, *others)

    assert stack.sent == [(HIDDEN.flow, b"\r\n\r\n")]


def test_each_once_in_an_interval_spread_over_it():
    many = [phone(number, "192.168.1.2", "11.22.33.21") for number in range(100)]

    assert len(play("empty", 1.1, *many).sent) == 5
    assert len(play("empty", 60.0, *many).sent) == 300


def test_it_can_be_off():
    assert play("off", 100.0, HIDDEN).sent == []
