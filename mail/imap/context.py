"""What the handlers of one session share, and how they refuse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from base.failures import Failure
from directory.model import Account
from mail.imap.fetching import Fetcher, Structures
from mail.imap.ports import Channel, Uploads
from mail.imap.sets import SequenceSet
from mail.imap.view import View
from mail.store import MailStore

# Limit: messages looked at between two waits, so that a large mailbox neither fills memory nor stops others.
CHUNK = 200


class Refused(Exception):
    """NO to a command that is understood: a response code (may be empty) and words for the user."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


# RFC 5530 response codes for failures of the store.
_CODES = {
    "not-found": "NONEXISTENT",
    "exists": "ALREADYEXISTS",
    "invalid": "CANNOT",
    "denied": "NOPERM",
    "full": "LIMIT",
    "busy": "INUSE",
    "unavailable": "UNAVAILABLE",
}


def refused(failure: Failure) -> Refused:
    """How this door says that failure."""
    return Refused(_CODES.get(failure.code, "SERVERBUG"), failure.public)


@dataclass(slots=True)
class Context:
    """One logged-in session."""

    store: MailStore
    structures: Structures
    channel: Channel
    uploads: Uploads
    account: Account
    view: View | None = None
    condstore: bool = False

    @property
    def selected(self) -> View:
        """The selected mailbox; the session has checked that there is one."""
        assert self.view is not None
        return self.view

    @property
    def fetcher(self) -> Fetcher:
        return Fetcher(self.store, self.structures, self.channel, self.account.id)

    def writable(self) -> View:
        """The selected mailbox for a change. Raises Refused when it was opened by EXAMINE."""
        if self.selected.read_only:
            raise Refused("READ-ONLY", "The mailbox was opened for reading only")
        return self.selected

    def uids(self, chosen: SequenceSet, by_uid: bool) -> list[int]:
        """The UIDs meant, ascending; numbers that nobody has mean nobody."""
        view = self.selected
        if by_uid:
            return chosen.among(view.uids)
        return [view.uids[number - 1] for number in chosen.among(range(1, len(view) + 1))]


def chunks(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(uids), CHUNK):
        yield uids[start : start + CHUNK]
