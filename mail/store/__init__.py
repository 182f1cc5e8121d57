"""Mail of all accounts: mailboxes, messages, flags, UIDs, one change feed. `MailStore` is the way in."""

from mail.store.feed import Feed, Subscription
from mail.store.model import (
    Appended,
    Change,
    Changes,
    Copied,
    Flag,
    FlagAction,
    Flags,
    Kind,
    Mailbox,
    Message,
    Octets,
    Snapshot,
    Status,
)
from mail.store.store import MailStore

__all__ = [
    "Appended",
    "Change",
    "Changes",
    "Copied",
    "Feed",
    "Flag",
    "FlagAction",
    "Flags",
    "Kind",
    "MailStore",
    "Mailbox",
    "Message",
    "Octets",
    "Snapshot",
    "Status",
    "Subscription",
]
