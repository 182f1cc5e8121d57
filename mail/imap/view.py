"""The mailbox as one client knows it: sequence numbers, what is recent, and what has to be told next.

Pure. A client's numbers change only by the EXPUNGE and EXISTS it is sent (RFC 3501 §7.4.1), so what the store says is
taken in here first and told when it may be.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from mail.store.model import Changes, Mailbox, Message, Snapshot


class View:
    """One selected mailbox."""

    def __init__(self, snapshot: Snapshot, *, read_only: bool, recent_from: int) -> None:
        self.mailbox: Mailbox = snapshot.mailbox
        self.read_only = read_only
        self.modseq = snapshot.mailbox.modseq
        # What was committed while the snapshot was on its way is looked for once.
        self.dirty = True
        self.uids: list[int] = list(snapshot.uids)
        self.recent: set[int] = {uid for uid in snapshot.uids if uid >= recent_from}
        self.keywords: tuple[str, ...] = snapshot.mailbox.keywords
        self._told: dict[int, int] = {}
        self._gone: set[int] = set()

    def __len__(self) -> int:
        return len(self.uids)

    def sequence(self, uid: int) -> int | None:
        """The client's number for a UID."""
        at = bisect_left(self.uids, uid)
        return at + 1 if at < len(self.uids) and self.uids[at] == uid else None

    def told(self, messages: Iterable[Message]) -> None:
        """The client has been told these flags: they are no news when the store reports them."""
        self._told.update((message.uid, message.modseq) for message in messages)

    def take(self, changes: Changes) -> tuple[list[Message], list[Message]]:
        """What is new since: (messages that arrived, messages whose flags the client does not know yet)."""
        last = self.uids[-1] if self.uids else 0
        arrived = [message for message in changes.changed if message.uid > last]
        flagged = [
            message
            for message in changes.changed
            if message.uid <= last and self._told.get(message.uid) != message.modseq
        ]
        self.uids.extend(message.uid for message in arrived)
        self._gone.update(changes.expunged)
        self._told.clear()
        self.modseq = changes.modseq
        return arrived, flagged

    def replace(self, snapshot: Snapshot) -> None:
        """Compare with the whole list, when the changes are no longer known one by one."""
        present = set(snapshot.uids)
        self._gone.update(uid for uid in self.uids if uid not in present)
        last = self.uids[-1] if self.uids else 0
        self.uids.extend(uid for uid in snapshot.uids if uid > last)
        self._told.clear()
        self.modseq = snapshot.mailbox.modseq

    @property
    def has_gone(self) -> bool:
        return bool(self._gone)

    def expunge(self) -> Iterator[int]:
        """Take out what is gone; the sequence numbers to tell, highest first so that none moves another."""
        gone, self._gone = self._gone, set()
        for uid in sorted(gone, reverse=True):
            at = bisect_left(self.uids, uid)
            if at < len(self.uids) and self.uids[at] == uid:
                del self.uids[at]
                self.recent.discard(uid)
                yield at + 1

    def claim(self, first: int, uids: Sequence[int]) -> None:
        """These arrived, and those from `first` on are `\\Recent` for this client."""
        self.recent.update(uid for uid in uids if uid >= first)
