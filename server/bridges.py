"""Where rooms that must not know each other meet: the mailbox and the lamp on the telephone.

Only translation; no decision is taken here.
"""

from __future__ import annotations

from collections.abc import Callable

from mail.store import Change, MailStore
from mail.store.feed import Subscription


def lamp(store: MailStore, changed: Callable[[int], None]) -> Subscription:
    """Tell the telephones (message-waiting) when an account's voice messages change (decision 20)."""

    def take_note(change: Change) -> None:
        if change.voice:
            changed(change.account_id)

    return store.feed.subscribe(None, take_note)
