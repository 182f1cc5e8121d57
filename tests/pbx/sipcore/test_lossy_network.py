"""Two transaction layers with a bad network between them: up to half of all datagrams lost, some twice, out of order.

Whatever happens, each transaction ends once with one outcome, and nothing is left behind.
RFC 3261 §17, RFC 6026; the core's part is played here (it repeats a 2xx until its ACK, RFC 3261 §13.3.1.4).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.transactions import Cause, ClientTransaction, ServerTransaction, TransactionLayer

CLIENT = ("192.0.2.1", 5060)
SERVER = ("192.0.2.2", 5060)


class Network:
    """Carries bytes with a seeded ill will."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.loss = self.random.uniform(0, 0.5)
        self.clock = ManualClock()
        self.nodes: dict[tuple[str, int], TransactionLayer] = {}

    def carry(self, flow: Flow, data: bytes) -> None:
        for _ in range(2 if self.random.random() < 0.05 else 1):
            if self.random.random() >= self.loss:
                back = Flow(flow.transport, flow.remote, flow.local)
                self.clock.call_later(self.random.uniform(0.001, 0.4), self._arrival(back, data))

    def _arrival(self, flow: Flow, data: bytes) -> Callable[[], None]:
        return lambda: self.nodes[flow.local].receive(parse(data), flow)


class Caller:
    """A client core: sends requests, acknowledges every 2xx, cancels some."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.users: list[CallerUser] = []
        self.layer = TransactionLayer(network.clock, SeededEntropy(1), self, self, Metrics())
        network.nodes[CLIENT] = self.layer

    def send(self, flow: Flow, data: bytes) -> None:
        self.network.carry(flow, data)

    def sent_by(self, flow: Flow) -> str:
        return "192.0.2.1:5060"

    def on_request(self, transaction: ServerTransaction) -> None:
        raise AssertionError("nobody calls the caller")

    def on_ack(self, request: Request, flow: Flow) -> None:
        raise AssertionError("nobody calls the caller")

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        pass

    def start(self, method: str, number: int) -> None:
        request = Request(method, "sip:bob@192.0.2.2")
        request.add("From", "<sip:alice@192.0.2.1>;tag=a")
        request.add("To", "<sip:bob@192.0.2.2>")
        request.add("Call-ID", f"call-{number}")
        request.add("CSeq", f"{number} {method}")
        user = CallerUser(self)
        self.users.append(user)
        user.transaction = self.layer.request(request, Flow("udp", CLIENT, SERVER), user)
        if method == "INVITE" and self.network.random.random() < 0.3:
            self.network.clock.call_later(self.network.random.uniform(0, 3), user.transaction.cancel)


class CallerUser:
    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.transaction: ClientTransaction | None = None
        self.finals: list[int] = []
        self.failures: list[Cause] = []

    def on_response(self, response: Response) -> None:
        if response.is_final:
            self.finals.append(response.status)
        if response.is_success and response.method == "INVITE":
            assert self.transaction is not None
            ack = Request("ACK", "sip:bob@192.0.2.2")
            ack.add("Via", self.caller.layer.via(self.transaction.flow))
            ack.copy_from(response, "From", "To", "Call-ID")
            ack.add("CSeq", f"{response.cseq.number} ACK")
            self.caller.send(self.transaction.flow, ack.encode())

    def on_failure(self, cause: Cause) -> None:
        self.failures.append(cause)

    def check(self) -> None:
        assert self.transaction is not None
        outcomes = len(self.failures) + len(self.finals)
        if self.transaction.is_invite and self.finals[:1] == [200]:
            assert set(self.finals) == {200}, "only 2xx may come again"
            assert not self.failures
        else:
            assert outcomes == 1, "one outcome, once"


class Callee:
    """A server core: rings, waits, answers or refuses."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.seen: Counter[tuple[str, str]] = Counter()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.unacknowledged: dict[str, Callable[[], None]] = {}
        self.layer = TransactionLayer(network.clock, SeededEntropy(2), self, self, Metrics())
        network.nodes[SERVER] = self.layer

    def send(self, flow: Flow, data: bytes) -> None:
        self.network.carry(flow, data)

    def sent_by(self, flow: Flow) -> str:
        return "192.0.2.2:5060"

    def on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        key = (request.call_id, request.method)
        self.seen[key] += 1
        transaction.on_end = lambda: self.ended.update([key])
        transaction.on_cancel = lambda cancel: transaction.reply(487)
        chance = self.network.random
        if request.method == "INVITE":
            self.network.clock.call_later(chance.uniform(0, 1), lambda: transaction.reply(180))
        status = chance.choice([200, 200, 486, 404])
        self.network.clock.call_later(chance.uniform(0, 4), lambda: self._answer(transaction, status))

    def _answer(self, transaction: ServerTransaction, status: int) -> None:
        if transaction.is_answered:
            return
        response = response_to(transaction.request, status)
        transaction.respond(response)
        if transaction.is_invite and status == 200:
            self._repeat(transaction, response, 0.5, self.network.clock.now() + 32)

    def _repeat(self, transaction: ServerTransaction, response: Response, delay: float, until: float) -> None:
        def again() -> None:
            if transaction.request.call_id in self.unacknowledged and self.network.clock.now() < until:
                transaction.respond(response)
                self._repeat(transaction, response, min(2 * delay, 4), until)

        self.unacknowledged[transaction.request.call_id] = again
        self.network.clock.call_later(delay, again)

    def on_ack(self, request: Request, flow: Flow) -> None:
        self.unacknowledged.pop(request.call_id, None)

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        raise AssertionError("the callee asks nothing")


@pytest.mark.parametrize("block", range(6))
def test_each_transaction_ends_once_with_one_outcome(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        network = Network(seed)
        caller, callee = Caller(network), Callee(network)
        for number in range(1, 9):
            caller.start("INVITE" if number % 2 else "OPTIONS", number)
            network.clock.advance(network.random.uniform(0, 1))
        network.clock.advance(300)
        for user in caller.users:
            user.check()
        assert all(times == 1 for times in callee.seen.values()), f"seed {seed}: a request reached the core twice"
        assert callee.ended == callee.seen, f"seed {seed}: each server transaction ends once"
        assert (
            caller.layer.client_count
            == callee.layer.server_count
            == callee.layer.spent_count
            == network.clock.pending
            == 0
        ), f"seed {seed}"
