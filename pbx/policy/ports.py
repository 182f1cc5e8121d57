"""What the policy needs from the rooms beside it. It owns these Protocols; `server/compose.py` hands in the rooms."""

from __future__ import annotations

from typing import Protocol

from directory.access import Mode
from directory.model import Account, AccountRoute, Address, Caller, Resolution, UnknownRoute
from pbx.policy.relaying import People
from pbx.sipcore.digest import Algorithm
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.uri import Uri


class CallControl(Protocol):
    """Calls (`pbx.b2bua.switchboard`). None of these may raise for what a peer sent."""

    def invite(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        """An INVITE outside a dialog that may go on: answer it in time."""

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        """A request with a To tag: answer it, or give False when no dialog of ours matches (it becomes 481)."""

    def ack(self, request: Request, flow: Flow) -> bool:
        """An ACK of a 2xx. False when it is not of one of our dialogs."""

    def stray_response(self, response: Response, flow: Flow) -> None:
        """A response that no client transaction waits for."""


class Subscriptions(Protocol):
    """Event packages (`pbx.presence`)."""

    def subscribe(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None: ...

    def publish(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None: ...

    def in_dialog(self, transaction: ServerTransaction) -> bool: ...


class Messages(Protocol):
    """Instant messages (`pbx.messages`)."""

    def message(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        """A MESSAGE outside a dialog to an address of ours."""


class Registrations(Protocol):
    """The registrar (`pbx.registrar`)."""

    def register(self, transaction: ServerTransaction, account: Account) -> None: ...

    def one_phone(self, uri: Uri) -> AccountRoute | UnknownRoute | None:
        """Where an address leads that means one telephone of an account (RFC 5627); None for any other address."""


class Forwarding(Protocol):
    """The proxy (`pbx.proxy`)."""

    def forward(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        """A request that is not a call: send it where the resolution leads."""

    def in_dialog(self, transaction: ServerTransaction) -> bool:
        """Forward a request whose Route proves that its dialog was set up through us; False when it does not."""

    def ack(self, request: Request, flow: Flow) -> bool: ...


class Directory(People, Protocol):
    """The part of the directory that the doors ask, all of it from memory."""

    @property
    def main_domain(self) -> str: ...

    def local_domain(self, host: str) -> str | None:
        """The domain of ours that `host` means, or None when it is foreign."""

    def login(self, local: str, host: str) -> Account | None:
        """Whose login `local@host` is."""

    def domain_setting(self, domain: str, key: str) -> object: ...

    def ha1(self, account_id: int, username: str, realm: str, algorithm: Algorithm) -> str:
        """H(username:realm:password) in lower-case hexadecimal."""

    def allows(self, account_id: int, mode: Mode) -> bool: ...

    def resolve(
        self, address: Address, *, caller: Caller | None, services: bool = True, hides: bool = False
    ) -> Resolution: ...


class Ourselves(Protocol):
    """What the policy asks of the stack."""

    def ours(self, host: str, port: int | None) -> bool:
        """True when this is one of our own sockets."""

    def passes(self, request: Request) -> int:
        """How often this request has left us already."""
