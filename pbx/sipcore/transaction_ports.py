"""What the transaction machines ask of the world round them. Contracts only.

RFC 3261 §17 (the borders to the transport and to the transaction user), §18.1.1 (sent-by).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from base.clock import Clock
from base.entropy import Entropy
from base.metrics import Metrics
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.timers import Timers

if TYPE_CHECKING:
    from pbx.sipcore.client_transaction import ClientTransaction
    from pbx.sipcore.server_transaction import ServerTransaction

Cause = Literal["timeout", "transport"]


class TransportPort(Protocol):
    """Where bytes leave."""

    def send(self, flow: Flow, data: bytes) -> None:
        """Send one message; a failure is told later through `TransactionLayer.transport_error`."""

    def sent_by(self, flow: Flow) -> str:
        """Our `host:port` for the Via of requests that leave by this flow."""


class CorePort(Protocol):
    """The transaction user of what comes in."""

    def on_request(self, transaction: ServerTransaction) -> None:
        """A new request, neither ACK nor CANCEL. It is answered with `transaction.respond`."""

    def on_ack(self, request: Request, flow: Flow) -> None:
        """An ACK of a 2xx, or one that belongs to nothing."""

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        """A response that matches no transaction of ours."""


class ClientUser(Protocol):
    """The transaction user of one request that we sent."""

    def on_response(self, response: Response) -> None:
        """Each provisional; the final; of an INVITE each 2xx again, also a repeated one (RFC 6026 §7.2)."""

    def on_failure(self, cause: Cause) -> None:
        """No final response will come. Called at most once, and never after a final response."""


class Host(Protocol):
    """What the layer is to its transactions."""

    clock: Clock
    entropy: Entropy
    metrics: Metrics
    timers: Timers

    def send(self, flow: Flow, data: bytes) -> None: ...

    def send_cancel(self, invite: ClientTransaction, cancel: Request) -> None: ...

    def on_ack(self, request: Request, flow: Flow) -> None: ...

    def client_ended(self, transaction: ClientTransaction) -> None: ...

    def server_answered(self, transaction: ServerTransaction, answer: bytes) -> None: ...

    def server_ended(self, transaction: ServerTransaction) -> None: ...
