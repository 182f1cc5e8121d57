"""What an event package is to the notifier: documents, the view that one subscriber has, and the package itself.

Values and contracts only. RFC 6665 §5 (what a package must say), §4.2.2 (full and partial state).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from directory.model import Account, Caller, Resolution
from pbx.sipcore.flow import Flow


@dataclass(frozen=True, slots=True)
class Document:
    """The body of a NOTIFY."""

    content_type: str
    body: bytes


class View(Protocol):
    """What one subscriber is shown. It remembers what it gave out, so that versions rise and changes are told once."""

    @property
    def accounts(self) -> Collection[int]:
        """The accounts whose news concern this view."""

    def prepare(self) -> None:
        """Full state will be wanted: begin to gather what is not at hand. `changed` follows when it is."""

    def full(self) -> Document | None:
        """The whole state; None while it is being gathered."""

    def news(self) -> Document | None:
        """What changed since the last document given out; None when nothing did."""


class News(Protocol):
    """The notifier, as packages see it."""

    def changed(self, event: str, account_id: int) -> None:
        """Something of this account may have changed."""

    def flows(self, event: str, account_id: int) -> Collection[Flow]:
        """Where the account's subscribers are reached."""


class Package(Protocol):
    """One event package. `gap`: seconds between two NOTIFYs of news to one subscriber (RFC 6665 §5.4.10)."""

    @property
    def event(self) -> str: ...

    @property
    def content_type(self) -> str: ...

    @property
    def gap(self) -> float: ...

    @property
    def lists(self) -> bool:
        """Whether a group may be watched as a whole (RFC 4662)."""

    def attach(self, news: News) -> None: ...

    def whose(self, caller: Caller, resolution: Resolution) -> Account | None:
        """The account that is meant; None when it is none, or may not be asked for."""

    def permits(self, caller: Caller, account: Account) -> bool: ...

    def open(self, caller: Caller, account: Account, version: int = 0) -> View:
        """`version`: of its first document, for packages whose documents have one."""

    async def close(self) -> None: ...
