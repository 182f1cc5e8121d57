"""The package presence: what an account publishes of itself, its telephones, and whether it is on the phone.

RFC 3856 §6 (the package), §6.10 (rate), RFC 3863 (the document), RFC 4480 §3.2 (on the phone).
Missing: watcher information (RFC 3857), as who may watch is a setting of the account (WatchedBy) and nobody is asked.
Missing: partial documents (RFC 5262), as the whole one of an account is a few hundred octets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from directory.model import Account, AccountRoute, Caller, Resolution
from pbx.presence import pidf
from pbx.presence.documents import Document, News
from pbx.presence.lines import Lines
from pbx.presence.pidf import Presence, Tuple
from pbx.presence.publications import Publications
from pbx.presence.watchers import Watchers
from pbx.registrar.bindings import Bindings

ON_THE_PHONE = "on-the-phone"


class PresencePackage:
    """Implements `Package`."""

    event = "presence"
    content_type = pidf.CONTENT_TYPE
    gap = 5.0  # RFC 3856 §6.10: no more often than once in five seconds
    lists = True

    def __init__(self, lines: Lines, bindings: Bindings, publications: Publications, watchers: Watchers) -> None:
        self._lines = lines
        self._bindings = bindings
        self._publications = publications
        self._watchers = watchers

    def attach(self, news: News) -> None:
        def changed(account_id: int) -> None:
            news.changed(self.event, account_id)

        self._lines.listen(changed)
        self._bindings.watch(changed)
        self._publications.on_change = changed

    def whose(self, caller: Caller, resolution: Resolution) -> Account | None:
        return resolution.route.account if isinstance(resolution.route, AccountRoute) else None

    def permits(self, caller: Caller, account: Account) -> bool:
        return self._watchers.may_watch(caller, account)

    def open(self, caller: Caller, account: Account, version: int = 0) -> PresenceView:
        return PresenceView(account, self.state)

    async def close(self) -> None:
        self._publications.close()

    def state(self, account: Account) -> Presence:
        """The aggregate: what is published, else whether a phone is registered; and calls in any case."""
        presence = pidf.joined(self._publications.of(account.id))
        if not presence.tuples:
            basic = "open" if self._bindings.contacts(account.id) else "closed"
            phone = Tuple("telephone", basic, f"sip:{account.address}")
            presence = Presence((phone,), presence.notes, presence.activities)
        if not self._lines.busy(account.id) or ON_THE_PHONE in presence.activities:
            return presence
        # Interop: phones that know no activities show the note
        return Presence(presence.tuples, (*presence.notes, "On the phone"), (*presence.activities, ON_THE_PHONE))


class PresenceView:
    """What one subscriber sees; always the whole document. Implements `View`."""

    def __init__(self, account: Account, state: Callable[[Account], Presence]) -> None:
        self._account = account
        self._state = state
        self._shown: Presence | None = None

    @property
    def accounts(self) -> Collection[int]:
        return (self._account.id,)

    def prepare(self) -> None: ...

    def full(self) -> Document | None:
        self._shown = self._state(self._account)
        return Document(pidf.CONTENT_TYPE, pidf.write(f"sip:{self._account.address}", self._shown))

    def news(self) -> Document | None:
        return None if self._state(self._account) == self._shown else self.full()
