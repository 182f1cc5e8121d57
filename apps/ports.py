"""What the host of programs needs from the floors below, as narrow contracts; `server/compose.py` hands them in.

Not here: any implementation. The real ones are the directory, the mail store, delivery and the media engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from base.values.kinds import Value
from directory.model import Account, Address, Caller, Resolution, Right
from pbx.records.log import LogEntry

T = TypeVar("T")


class RightsOfAccounts(Protocol):
    """What accounts may administer (`directory.rights`)."""

    def of(self, account_id: int) -> frozenset[Right]: ...


class NumbersOfAccounts(Protocol):
    """Telephone numbers (`directory.telnums`)."""

    def of(self, account_id: int) -> Sequence[str]: ...


class People(Protocol):
    """The part of the directory that programs see."""

    @property
    def main_domain(self) -> str: ...

    @property
    def rights(self) -> RightsOfAccounts: ...

    @property
    def telnums(self) -> NumbersOfAccounts: ...

    def local_domain(self, host: str) -> str | None: ...

    def account(self, account_id: int) -> Account | None: ...

    def find_account(self, domain: str, local: str) -> Account | None: ...

    def aliases(self, account_id: int) -> Sequence[str]: ...

    def setting(self, account_id: int, key: str) -> Value: ...

    async def set_setting(self, account_id: int, key: str, value: Value) -> None: ...

    def has_pin(self, account_id: int) -> bool: ...

    def check_pin(self, account_id: int, pin: str) -> bool: ...

    def resolve(self, address: Address, *, caller: Caller | None, services: bool = True) -> Resolution: ...


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What a listing of a mailbox tells of one message. Flags are IMAP's (`\\Seen`, `$Media`), as stored."""

    uid: int
    flags: frozenset[str]
    voice: bool
    received: datetime


class CallLog(Protocol):
    """Accounts' own lists of calls (`pbx.records.book`)."""

    async def log(self, account: int, limit: int) -> Sequence[LogEntry]:
        """The last ones, the newest first."""


class Letters(Protocol):
    """The part of the mail store that programs see. An absent mailbox raises Failure("not-found")."""

    async def listing(self, account_id: int, mailbox: str) -> Sequence[MessageFacts]:
        """All messages by ascending UID."""

    async def message(self, account_id: int, mailbox: str, uid: int) -> bytes | None: ...

    async def change_flags(
        self, account_id: int, mailbox: str, uids: Sequence[int], *, add: Sequence[str], remove: Sequence[str]
    ) -> None: ...

    async def move(self, account_id: int, mailbox: str, uids: Sequence[int], target: str) -> None: ...

    async def copy(self, account_id: int, mailbox: str, uids: Sequence[int], target: str) -> None: ...

    async def expunge(self, account_id: int, mailbox: str) -> None: ...


class Post(Protocol):
    """The way into delivery."""

    async def submit(
        self,
        sender: str,
        recipients: Sequence[str],
        message: bytes,
        *,
        queue_id: str | None = None,
        voice: bool = False,
    ) -> object:
        """Deliver once per (queue id, recipient); returns after the commit. Raises Failure."""


@dataclass(frozen=True, slots=True)
class Wave:
    """What may be done with WAV files: repair the lengths in the header, and tell the duration in seconds."""

    repair: Callable[[Path], object] = field(default=lambda path: None)
    duration: Callable[[Path], float] = field(default=lambda path: max(0, path.stat().st_size - 44) / 16000)
