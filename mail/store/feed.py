"""The change feed: who wants to know is told after the commit. Readers: IMAP IDLE, the message-waiting lamp, the web.

Not a log: nobody is told what happened before he asked.
"""

from __future__ import annotations

from collections.abc import Callable

from base.log import get_logger
from mail.store.model import Change

Listener = Callable[[Change], None]

_log = get_logger("mail.feed")


class Subscription:
    """One reader's place in the feed."""

    __slots__ = ("_feed", "_key", "listener")

    def __init__(self, feed: Feed, key: int | None, listener: Listener) -> None:
        self._feed = feed
        self._key = key
        self.listener = listener

    def close(self) -> None:
        """Hear no more; harmless twice."""
        self._feed._remove(self._key, self)


class Feed:
    """Hands each committed change to its readers, on the loop's thread; a reader only takes note and returns."""

    def __init__(self) -> None:
        self._readers: dict[int | None, dict[Subscription, None]] = {}

    def subscribe(self, account_id: int | None, listener: Listener) -> Subscription:
        """Call `listener` at each change of that account's mail (None: of everybody's)."""
        subscription = Subscription(self, account_id, listener)
        self._readers.setdefault(account_id, {})[subscription] = None
        return subscription

    def publish(self, change: Change) -> None:
        for key in (change.account_id, None):
            for subscription in tuple(self._readers.get(key, ())):
                self._tell(subscription, change)

    def _tell(self, subscription: Subscription, change: Change) -> None:
        # The message is committed: a reader's fault must not turn into a failed delivery.
        try:
            subscription.listener(change)
        except Exception:
            _log.exception("a reader of the feed failed", account=change.account_id)

    def _remove(self, key: int | None, subscription: Subscription) -> None:
        readers = self._readers.get(key)
        if readers is not None:
            readers.pop(subscription, None)
            if not readers:
                del self._readers[key]
