"""Delivery: the one way by which mail of any origin reaches mailboxes. Start, recipients, body, commit.

Not a queue: who submits keeps the message until `commit` returns, and may try again with the same queue id.
RFC 5321 §4.4 (Return-Path, Received). Decision 15: idempotent by (queue id, recipient).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol

from base.clock import Clock
from base.entropy import Entropy
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics
from directory.model import (
    Account,
    AccountRoute,
    Address,
    Caller,
    ForeignRoute,
    GroupRoute,
    NullRoute,
    ProgramRoute,
    Resolution,
    UnknownRoute,
    Use,
)
from mail.store import MailStore
from mail.store.messages import header_length
from mail.store.model import MAX_MESSAGE
from mail.store.names import INBOX

_log = get_logger("mail.delivery")

# Limit: recipients of one message (RFC 5321 §4.5.3.1.8 asks for at least 100), and groups within groups.
MAX_RECIPIENTS = 1000
MAX_DEPTH = 8

_RETURN_PATH = re.compile(rb"^Return-Path:.*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE)
_UNSAFE = re.compile(r"[^\x21-\x7e]|[<>]")


class Names(Protocol):
    """What delivery asks of the directory."""

    @property
    def main_domain(self) -> str: ...

    def local_domain(self, host: str) -> str | None: ...

    def resolve(self, address: Address, *, caller: Caller | None, use: Use) -> Resolution: ...


@dataclass(frozen=True, slots=True)
class Placed:
    """One account's copy: for which recipient, and where it is."""

    recipient: str
    account: Account
    uid: int
    again: bool


class Transfer:
    """One message on its way in. Use once: `recipient` for each, then `commit` with the body."""

    def __init__(self, delivery: Delivery, sender: str, queue_id: str) -> None:
        self.queue_id = queue_id
        self._delivery = delivery
        self._sender = sender
        self._accounts: dict[int, tuple[Account, str]] = {}
        self._accepted = False

    def recipient(self, address: str) -> None:
        """Accept one more recipient. Raises Failure("not-found" | "denied" | "full" | "invalid")."""
        accounts = self._delivery.accounts(address)
        self._accepted = True
        for account in accounts:
            self._accounts.setdefault(account.id, (account, address))
        if len(self._accounts) > MAX_RECIPIENTS:
            raise Failure("full", "too many recipients", temporary=True)

    async def commit(self, message: bytes, *, voice: bool = False) -> tuple[Placed, ...]:
        """Put the message into every recipient's INBOX; on the disk when this returns.

        Raises Failure; some recipients may have it then, and a second try with the same queue id completes the rest.
        """
        if len(message) > MAX_MESSAGE:
            raise Failure("full", "the message is too large")
        if not self._accepted:
            raise Failure("invalid", "no recipient")
        body = _with_line_ends(_without_return_path(message))
        return tuple([await self._place(account, to, body, voice) for account, to in self._accounts.values()])

    async def _place(self, account: Account, to: str, body: bytes, voice: bool) -> Placed:
        trace = self._delivery.trace(self._sender, account, to, self.queue_id)
        appended = await self._delivery.store.append(
            account.id, INBOX, trace + body, voice=voice, queue_id=self.queue_id
        )
        self._delivery.placed(account, self.queue_id, len(body), appended.again)
        return Placed(to, account, appended.uid, appended.again)


class Delivery:
    """Starts transfers. Rules of the recipient will come between recipients and body."""

    def __init__(self, store: MailStore, names: Names, clock: Clock, entropy: Entropy, metrics: Metrics) -> None:
        self.store = store
        self._names = names
        self._clock = clock
        self._entropy = entropy
        self._metrics = metrics

    def start(self, sender: str, queue_id: str | None = None) -> Transfer:
        """Begin. `sender` is the return path, empty for a message that must not be answered by machines."""
        return Transfer(self, _safe(sender), queue_id or self._entropy.token())

    async def submit(
        self,
        sender: str,
        recipients: Sequence[str],
        message: bytes,
        *,
        queue_id: str | None = None,
        voice: bool = False,
    ) -> tuple[Placed, ...]:
        """All steps at once; nothing is delivered when one recipient is refused.

        `voice` marks it for the message-waiting lamp and is for submission from inside only: no header of a
        stranger's message can set it (decision 20).
        """
        transfer = self.start(sender, queue_id)
        for recipient in recipients:
            transfer.recipient(recipient)
        return await transfer.commit(message, voice=voice)

    def accounts(self, address: str) -> tuple[Account, ...]:
        """The accounts behind a mail address (`name@domain`, or `name` at the main domain); none where the Router
        throws mail away."""
        local, at, host = address.rpartition("@")
        if not at:
            local, host = address, self._names.main_domain
        domain = self._names.local_domain(host)
        if not local or domain is None:
            raise Failure("denied" if local else "invalid", "not a local address", private=address[:100])
        return tuple(dict.fromkeys(self._accounts(Address(local, domain), MAX_DEPTH)))

    def _accounts(self, address: Address, depth: int) -> list[Account]:
        match self._names.resolve(address, caller=None, use=Use.MAIL).route:
            case AccountRoute(account=account):
                return [account]
            case NullRoute():
                return []
            case GroupRoute(members=members) if depth and members:
                return [account for member in members for account in self._accounts(member, depth - 1)]
            case ForeignRoute():
                raise Failure("denied", "not a local address", private=str(address))
            case GroupRoute() | ProgramRoute() | UnknownRoute():
                raise Failure("not-found", "no such mailbox here", private=str(address))

    def trace(self, sender: str, account: Account, to: str, queue_id: str) -> bytes:
        """The lines that this server adds on top (RFC 5321 §4.4)."""
        now = format_datetime(datetime.fromtimestamp(self._clock.wall(), UTC))
        return (
            f"Return-Path: <{sender}>\r\n"
            f"Delivered-To: {account.address}\r\n"
            f"Received: by {self._names.main_domain} (Tandem) with LOCAL id {_safe(queue_id)}\r\n"
            f"\tfor <{_safe(to)}>; {now}\r\n"
        ).encode()

    def placed(self, account: Account, queue_id: str, size: int, again: bool) -> None:
        self._metrics.count("mail.delivered_again" if again else "mail.delivered")
        _log.info("delivered", account=account.address, queue_id=queue_id, octets=size, again=again)


def _safe(text: str) -> str:
    """An address or id for a header line: no space, no control, no bracket."""
    return _UNSAFE.sub("", text)[:320]


def _without_return_path(message: bytes) -> bytes:
    """Only the final delivery writes Return-Path (RFC 5321 §4.4)."""
    end = header_length(message)
    header = _RETURN_PATH.sub(b"", message[:end]) if b"eturn-" in message[:end] else message[:end]
    return message if len(header) == end else header + message[end:]


def _with_line_ends(message: bytes) -> bytes:
    """CRLF throughout, as RFC 5322 §2.1 wants."""
    if message.count(b"\n") == message.count(b"\r\n"):
        return message
    return message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
