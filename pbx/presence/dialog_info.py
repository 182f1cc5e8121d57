"""The package dialog: who of the watched is in a call, or parked at a place, as lamps on a console show it.

The state comes from `Lines`. With whom somebody speaks is told only to those who may know it.

RFC 4235 §3.10 (rate), §4.1 (dialog-info), §4.3 (full and partial, versions).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from xml.etree.ElementTree import Element

from directory.model import PARK, Account, AccountRoute, Caller, ProgramRoute, Resolution
from directory.plan import slots
from pbx.presence import xml
from pbx.presence.documents import Document, News
from pbx.presence.lines import Line, Lines, place_id
from pbx.presence.watchers import Watchers

NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"


class DialogPackage:
    """Implements `Package`."""

    event = "dialog"
    content_type = "application/dialog-info+xml"
    gap = 1.0  # RFC 4235 §3.10: no more often than once a second
    lists = True

    def __init__(self, lines: Lines, watchers: Watchers) -> None:
        self._lines = lines
        self._watchers = watchers

    def attach(self, news: News) -> None:
        self._lines.listen(lambda account_id: news.changed(self.event, account_id))

    def whose(self, caller: Caller, resolution: Resolution) -> Account | None:
        match resolution.route:
            case AccountRoute(account):
                return account
            case ProgramRoute(program, (domain, place)) if program == PARK and place in slots(place):
                return Account(place_id(f"{place}@{domain}"), domain, place)
            case _:
                return None

    def permits(self, caller: Caller, account: Account) -> bool:
        return self._watchers.may_watch(caller, account)

    def open(self, caller: Caller, account: Account, version: int = 0) -> DialogView:
        return DialogView(self._lines, account, lambda: self._watchers.may_see_peers(caller, account), version)

    async def close(self) -> None: ...


class DialogView:
    """What one subscriber knows of an account's calls. Implements `View`."""

    def __init__(self, lines: Lines, account: Account, peers: Callable[[], bool], version: int) -> None:
        self._lines = lines
        self._account = account
        self._peers = peers
        self._version = version
        self._shown: dict[str, Line] = {}

    @property
    def accounts(self) -> Collection[int]:
        return (self._account.id,)

    def prepare(self) -> None: ...

    def full(self) -> Document | None:
        self._shown = {line.id: line for line in self._lines.of(self._account.id)}
        return self._document(self._shown.values(), (), "full")

    def news(self) -> Document | None:
        now = {line.id: line for line in self._lines.of(self._account.id)}
        changed = [line for line in now.values() if self._shown.get(line.id) != line]
        gone = [line for line in self._shown.values() if line.id not in now]
        self._shown = now
        return self._document(changed, gone, "partial") if changed or gone else None

    def _document(self, lines: Iterable[Line], gone: Iterable[Line], state: str) -> Document:
        root = Element(
            "dialog-info",
            {
                "xmlns": NAMESPACE,
                "version": str(self._version),
                "state": state,
                "entity": xml.clean(f"sip:{self._account.address}"),
            },
        )
        self._version += 1
        peers = self._peers()
        for line in lines:
            self._dialog(root, line, peers, line.state)
        for line in gone:
            self._dialog(root, line, peers, "terminated", self._lines.ending(line.id))
        return Document(DialogPackage.content_type, xml.write(root))

    def _dialog(self, root: Element, line: Line, peers: bool, state: str, ending: str = "") -> None:
        dialog = xml.child(root, "dialog", id=line.id)
        if peers and line.call_id:
            dialog.set("call-id", xml.clean(line.call_id))
            for name, tag in zip(("local-tag", "remote-tag"), line.tags, strict=True):
                if tag:
                    dialog.set(name, xml.clean(tag))
        dialog.set("direction", line.direction)
        made = xml.child(dialog, "state", state)
        if ending:
            made.set("event", ending)
        own = f"sip:{self._account.address}"
        local = xml.child(dialog, "local")
        xml.child(local, "identity", own)
        xml.child(local, "target", uri=own)
        if peers and line.peer:
            remote = xml.child(dialog, "remote")
            identity = xml.child(remote, "identity", line.peer)
            if line.peer_name:
                identity.set("display", xml.clean(line.peer_name))
            xml.child(remote, "target", uri=line.peer)
