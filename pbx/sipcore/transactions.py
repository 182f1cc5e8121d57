"""The transaction layer: matches what comes in to its transaction, and starts new ones.

One dictionary look-up per message; bounded tables; no sockets and no clock of its own. What a request means is the
core's business.

RFC 3261 §17 and §18.2 (where answers go), RFC 6026, RFC 3581 (rport), RFC 3261 §17.2.3 (matching, RFC 2543 peers too).
"""

from __future__ import annotations

from collections.abc import Callable

from base.clock import Clock
from base.entropy import Entropy
from base.metrics import Metrics
from pbx.sipcore.by_flow import ByFlow
from pbx.sipcore.client_transaction import ClientState, ClientTransaction
from pbx.sipcore.flow import Flow
from pbx.sipcore.headers import MAGIC
from pbx.sipcore.message import Message, Request, Response, response_to
from pbx.sipcore.questions import Unheard
from pbx.sipcore.server_transaction import ServerState, ServerTransaction
from pbx.sipcore.spent_answers import Key, SpentAnswers
from pbx.sipcore.timers import Timers
from pbx.sipcore.transaction_ports import Cause, ClientUser, CorePort, TransportPort

MOST_OCTETS = 256 * 1024 * 1024
"""Limit: octets of all requests that wait for the end of their transactions, with their answers. Usual ones are bounded
by their number long before."""
_OVERHEAD = 1024
RETRY_AFTER = "10"
"""Seconds that a refused sender is asked to wait when the table is full."""


class TransactionLayer:
    """All transactions of one SIP stack.

    Limit: server transactions `limit`, or `octets` of them in all, and four times as many answers kept. Beyond, a
    request gets 503 with Retry-After.

    `mark` stands behind the magic cookie of our branches, so that policy can see our own Via below the top one and tell
    a loop (RFC 3261 §16.3 step 4).
    """

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        transport: TransportPort,
        core: CorePort,
        metrics: Metrics,
        timers: Timers | None = None,
        *,
        limit: int = 50_000,
        octets: int = MOST_OCTETS,
        mark: str = "",
    ) -> None:
        self.clock = clock
        self.entropy = entropy
        self.metrics = metrics
        self.timers = timers or Timers()
        self._transport = transport
        self._core = core
        self._limit = limit
        self._most_octets = octets
        self._octets = 0
        self._cookie = MAGIC + mark
        self._servers: dict[Key, ServerTransaction] = {}
        self._spent = SpentAnswers(clock, self.timers.give_up, 4 * limit)
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers_by_flow: ByFlow[ServerTransaction] = ByFlow()
        self._clients_by_flow: ByFlow[ClientTransaction] = ByFlow()
        self.to_source: Callable[[Request, Flow], bool] = lambda _request, _flow: False
        """Whether answers go to where a request came from, against RFC 3261 §18.2.2."""

    @property
    def server_count(self) -> int:
        """Server transactions, without those that only keep an answer (`spent_count`)."""
        return len(self._servers)

    @property
    def spent_count(self) -> int:
        return len(self._spent)

    @property
    def client_count(self) -> int:
        return len(self._clients)

    # --- what the core asks ------------------------------------------------------------------------------------------

    def request(self, request: Request, flow: Flow, user: ClientUser) -> ClientTransaction:
        """Send a copy of `request` with our Via on top; any method but ACK and CANCEL (those have their own ways)."""
        if request.method in ("ACK", "CANCEL"):
            raise ValueError(f"{request.method} is no request of its own")
        branch = self._cookie + self.entropy.token(12)
        sent = request.copy()
        sent.insert_first("Via", self.via(flow, branch))
        return self._start(ClientTransaction(self, (branch, request.method), sent, flow, user))

    def _start(self, transaction: ClientTransaction) -> ClientTransaction:
        self._clients[transaction.key] = transaction
        self._clients_by_flow.add(transaction.flow, transaction)
        transaction.start()
        return transaction

    def via(self, flow: Flow, branch: str | None = None) -> str:
        """A Via of ours for this flow; with a new branch for what is sent outside transactions (ACK of a 2xx)."""
        branch = branch or self._cookie + self.entropy.token(12)
        return f"SIP/2.0/{flow.transport.upper()} {self._transport.sent_by(flow)};branch={branch};rport"

    # --- what the transport tells ------------------------------------------------------------------------------------

    def receive(self, message: Message, flow: Flow) -> None:
        """A message that `parse` let through."""
        if isinstance(message, Request):
            self._receive_request(message, flow)
        elif isinstance(message, Response):
            client = self._clients.get((message.top_via.branch, message.cseq.method))
            if client is not None:
                client.receive(message)
            else:
                self.metrics.count("sip.responses.stray")
                self._core.on_stray_response(message, flow)

    def transport_error(self, flow: Flow, *, answerable: bool = False) -> None:
        """Nothing can be sent by this flow any more; `answerable` when answers may find another way (§18.2.2)."""
        for client in self._clients_by_flow.of(flow):
            client.transport_failed()
        if answerable:
            return
        for server in self._servers_by_flow.of(flow):
            server.transport_failed()

    # --- what the transactions ask (transaction_ports.Host) ----------------------------------------------------------

    def send(self, flow: Flow, data: bytes) -> None:
        self._transport.send(flow, data)

    def send_cancel(self, invite: ClientTransaction, cancel: Request) -> None:
        self._start(ClientTransaction(self, (invite.key[0], "CANCEL"), cancel, invite.flow, Unheard()))

    def on_ack(self, request: Request, flow: Flow) -> None:
        self._core.on_ack(request, flow)

    def client_ended(self, transaction: ClientTransaction) -> None:
        del self._clients[transaction.key]
        self._clients_by_flow.remove(transaction.flow, transaction)

    def server_answered(self, transaction: ServerTransaction, answer: bytes) -> None:
        if not transaction.flow.reliable:  # RFC 3261 §17.2.2: Timer J is 0 on reliable transports
            self._spent.put(transaction.key, transaction.flow, answer)

    def server_ended(self, transaction: ServerTransaction) -> None:
        del self._servers[transaction.key]
        self._octets -= transaction.weight
        self._servers_by_flow.remove(transaction.flow, transaction)

    # --- requests ----------------------------------------------------------------------------------------------------

    def _receive_request(self, request: Request, flow: Flow) -> None:
        key = _key(request)
        if request.method == "ACK":
            server = self._servers.get(key)
            if server is not None:
                server.receive_ack(request)
            elif self._spent.get(key) is None:
                self._core.on_ack(request, flow)
            return
        self._stamp(request, flow)
        back = _way_back(request, flow)
        if back is not flow and self.to_source(request, flow):
            back = flow
        server = self._servers.get(key)
        if server is not None:
            self._repeated(server, back)
            return
        spent = self._spent.get(key)
        if spent is not None:
            self.metrics.count("sip.requests.repeated")
            self._transport.send(back, spent[1])
            return
        weight = _weight(request)
        if len(self._servers) >= self._limit or self._octets + weight > self._most_octets:
            self.metrics.count("sip.transactions.refused")
            busy = response_to(request, 503, to_tag=self.entropy.token(8), headers=[("Retry-After", RETRY_AFTER)])
            self._transport.send(back, busy.encode())
            return
        server = ServerTransaction(self, key, request, back, weight)
        self._servers[key] = server
        self._octets += weight
        self._servers_by_flow.add(back, server)
        server.start()
        if request.method == "CANCEL":
            self._cancel(server, key)
        else:
            self._core.on_request(server)

    def _repeated(self, server: ServerTransaction, back: Flow) -> None:
        """The same request again; the answers go to where it came from last."""
        if server.flow != back:
            self._servers_by_flow.remove(server.flow, server)
            self._servers_by_flow.add(back, server)
        server.receive_again(back)

    def _cancel(self, cancel: ServerTransaction, key: Key) -> None:
        """RFC 3261 §9.2: answered here, whatever becomes of the INVITE."""
        invite = self._servers.get((*key[:-1], "INVITE"))
        if invite is None:
            cancel.reply(481 if self._spent.get((*key[:-1], "INVITE")) is None else 200)
            return
        cancel.respond(response_to(cancel.request, 200, to_tag=invite.local_tag))
        invite.receive_cancel(cancel.request)

    def _stamp(self, request: Request, flow: Flow) -> None:
        via = request.top_via
        stamped = via.stamped(flow.remote)
        if stamped is not via:
            request.stamp_via(stamped)


def _key(request: Request) -> Key:
    """What RFC 3261 §17.2.3 compares, Call-ID and the tag of From; an ACK has the key of its INVITE, a CANCEL too but
    for the method, which comes last.

    Deviation: RFC 3261 §17.2.3 compares only branch, sent-by and method. Some telephones draw the same branches after
    each start, and who has guessed a branch shall not cancel a call, nor move its answers to himself.
    """
    via = request.top_via
    method = "INVITE" if request.method == "ACK" else request.method
    common = (via.branch, via.sent_by, request.call_id, request.from_tag)
    if via.branch.startswith(MAGIC) and len(via.branch) > len(MAGIC):
        return *common, method
    return *common, request.uri, str(request.cseq.number), method  # a peer of RFC 2543


def _weight(request: Request) -> int:
    """Octets of a request and its answer, which repeats its header."""
    return _OVERHEAD + 2 * request.head_octets + len(request.body)


def _way_back(request: Request, flow: Flow) -> Flow:
    """Where the answers go (RFC 3261 §18.2.2, RFC 3581 §4).

    Interop: behind a NAT (Via and source differ) an answer to the sent-by port would be lost, so the source is used
    even when `rport` was not asked for.
    """
    via = request.top_via
    if flow.reliable or via.rport is not None or via.received is not None:
        return flow
    port = via.port or 5060
    if port == flow.remote[1]:
        return flow
    return Flow(flow.transport, flow.local, (flow.remote[0], port), flow.connection)


__all__ = [
    "Cause",
    "ClientState",
    "ClientTransaction",
    "ClientUser",
    "CorePort",
    "ServerState",
    "ServerTransaction",
    "Timers",
    "TransactionLayer",
    "TransportPort",
]
