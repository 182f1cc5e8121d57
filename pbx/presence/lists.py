"""A group watched as a whole: one subscription, and in each NOTIFY the documents of those members that have news.

The members' documents come from the event package; members elsewhere are named and not watched.

Missing: lists that telephones keep by XCAP (RFC 4825, RFC 4826), as lists are the groups of the directory.

RFC 4662 §4.5 (NOTIFY of a list), §5 (RLMI), RFC 2387 (multipart/related), RFC 2392 (cid).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from base.entropy import Entropy
from directory.model import Account, AccountRoute, Address, Caller, GroupRoute, Resolution
from pbx.presence import xml
from pbx.presence.documents import Document, Package, View

NAMESPACE = "urn:ietf:params:xml:ns:rlmi"
CONTENT_TYPE = "application/rlmi+xml"
MEMBERS = 200
"""Limit: members of a list that are watched."""


@dataclass(frozen=True, slots=True)
class Member:
    """One resource of the list. Without a view it is not watched, for that reason (RFC 4662 §5)."""

    uri: str
    name: str
    view: View | None
    refusal: str = ""


class ListView:
    """Implements `View`; members keep what they have shown, the list its version."""

    def __init__(self, uri: str, name: str, members: Iterable[Member], host: str, boundary: str, version: int) -> None:
        self._uri = uri
        self._name = name
        self._members = tuple(members)
        self._host = host
        self._boundary = boundary
        self._version = version

    @property
    def accounts(self) -> Collection[int]:
        return {account for member in self._members if member.view is not None for account in member.view.accounts}

    def prepare(self) -> None:
        for member in self._members:
            if member.view is not None:
                member.view.prepare()

    def full(self) -> Document | None:
        return self._document(
            [(member, None if member.view is None else member.view.full()) for member in self._members], whole=True
        )

    def news(self) -> Document | None:
        told = [(member, member.view.news()) for member in self._members if member.view is not None]
        changed = [(member, document) for member, document in told if document is not None]
        return self._document(changed, whole=False) if changed else None

    def _document(self, shown: Iterable[tuple[Member, Document | None]], *, whole: bool) -> Document:
        """RFC 4662 §5: the RLMI part first, then one part for each instance that it names."""
        root = Element(
            "list",
            {
                "xmlns": NAMESPACE,
                "uri": xml.clean(self._uri),
                "version": str(self._version),
                "fullState": str(whole).lower(),
            },
        )
        xml.child(root, "name", self._name)
        parts: list[tuple[str, Document]] = []
        for number, (member, document) in enumerate(shown, 1):
            cid = f"{self._version}.{number}@{self._host}"
            _resource(root, member, cid if document is not None else "")
            if document is not None:
                parts.append((cid, document))
        start = f"{self._version}.list@{self._host}"
        self._version += 1
        return self._multipart(start, [(start, Document(f"{CONTENT_TYPE};charset=UTF-8", xml.write(root))), *parts])

    def _multipart(self, start: str, parts: Iterable[tuple[str, Document]]) -> Document:
        lines: list[bytes] = []
        for cid, document in parts:
            head = (
                f"--{self._boundary}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{cid}>\r\n"
                f"Content-Type: {document.content_type}\r\n\r\n"
            )
            lines += [head.encode(), document.body, b"\r\n"]
        lines.append(f"--{self._boundary}--\r\n".encode())
        kind = f'multipart/related;type="{CONTENT_TYPE}";start="<{start}>";boundary="{self._boundary}"'
        return Document(kind, b"".join(lines))


def _resource(root: Element, member: Member, cid: str) -> None:
    resource = xml.child(root, "resource", uri=member.uri)
    if member.name:
        xml.child(resource, "name", member.name)
    if cid:
        xml.child(resource, "instance", id="1", state="active", cid=cid)
    elif member.view is None:
        xml.child(resource, "instance", id="1", state="terminated", reason=member.refusal)
    else:
        xml.child(resource, "instance", id="1", state="pending")


def open_list(
    uri: str,
    route: GroupRoute,
    caller: Caller,
    package: Package,
    find: Callable[[Address], Resolution],
    entropy: Entropy,
    version: int = 0,
) -> ListView:
    """The view of a group for one subscriber; whom he may not watch is rejected one by one."""
    members = [_member(address, caller, package, find(address), version) for address in route.members[:MEMBERS]]
    return ListView(uri, route.name, members, uri.rpartition("@")[2], f"tandem-{entropy.token(12)}", version)


def _member(address: Address, caller: Caller, package: Package, resolution: Resolution, version: int) -> Member:
    match resolution.route:
        case AccountRoute(account=account):
            uri, name = f"sip:{account.address}", _display(account)
            if package.permits(caller, account):
                return Member(uri, name, package.open(caller, account, version))
            return Member(uri, name, None, "rejected")
        case _:
            return Member(f"sip:{address}", "", None, "noresource")


def _display(account: Account) -> str:
    return account.real_name or account.name
