"""The tree of places where a call has been: History-Info (RFC 7044 §9, §10). Pure.

A value for what was dialled, for each address that it was led to, for each telephone that was tried before, and for
the place that the INVITE goes to. Who may see it is `diversion`'s business.

Deviation: what was tried before is named by the account that it rang for, not by its contact (RFC 7044 §10.3): where
somebody's telephones are is nobody's business.
Missing: what callees and later servers say in their responses, where a call has a dialog on each side (RFC 7044 §9.3),
as there it ends at us, and where it goes behind a callee is his business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from directory.model import Account
from pbx.b2bua.asserted import NOBODY
from pbx.signal.branch import Branch, BranchState, Device, Program
from pbx.signal.cause import Cause
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.uri import Uri

MOST_TRIED = 10
"""Limit: places tried before that are told, the last ones."""

STATUSES = {
    Cause.ALWAYS: 302,
    Cause.NO_ANSWER: 408,
    Cause.BUSY: 486,
    Cause.NO_DEVICE: 480,
    Cause.FAILURE: 500,
    Cause.TELEPHONE: 302,
    Cause.PROGRAM: 302,
}
"""The status that stands for a diversion in a Reason header (RFC 7044 §10.2)."""

_Index = tuple[int, ...]


@dataclass(slots=True)
class _Entry:
    """`kind`: how it was found (RFC 7044 §10.4); `status`: why it was left, 0 while it is not."""

    uri: Uri
    kind: str = ""
    status: int = 0


def to(branch: Branch, place: str, tried: Iterable[Branch], dialled: str, base: str) -> list[str]:
    """Values for the INVITE of a branch to `place`, below the index `base` of a trusted peer, if any."""
    before = [each for each in tried if each.final and each is not branch][-MOST_TRIED:]
    return _written(_tree((*before, branch), dialled, {branch: _uri(place)}), base)


def so_far(branches: Iterable[Branch], dialled: str, base: str) -> list[str]:
    """Values for a response to the caller: what has refused, rings, or has answered."""
    known = [each for each in branches if each.final or each.state in (BranchState.RINGING, BranchState.WON)]
    return _written(_tree(known[-MOST_TRIED:], dialled, {}), base)


def _tree(branches: Sequence[Branch], dialled: str, places: dict[Branch, Uri]) -> dict[_Index, _Entry]:
    entries: dict[_Index, _Entry] = {(1,): _Entry(_uri(dialled))}
    for branch in branches:
        known: _Index = (1,)
        for node in reversed(list(branch.node.lineage())):
            if node.cause is not None and node.account is not None:
                entries.setdefault(node.index, _Entry(_address(node.account), f"mp={_dotted(node.index[:-1])}"))
                _leave(entries[known], node.cause)
                known = node.index
        _leave(entries[known], branch.cause)
        kind = "rc" if isinstance(branch.target, Device) else "np" if branch.cause is None else "mp"
        uri = places.get(branch) or _named(branch)
        entries[branch.index] = _Entry(uri, f"{kind}={_dotted(branch.node.index)}", branch.final)
    return entries


def _leave(entry: _Entry, cause: Cause | None) -> None:
    if cause is not None:
        entry.status = STATUSES.get(cause, entry.status)


def _written(entries: dict[_Index, _Entry], base: str) -> list[str]:
    """In the order of the tree. Under somebody else's `base` what was dialled is his last value already."""
    found = []
    for index, entry in sorted(entries.items()):
        if base and index == (1,):
            continue
        kind, _, parent = entry.kind.partition("=")
        how = f";{kind}={_under(base, parent)}" if kind else ""
        found.append(f"<{_with_reason(entry)}>;index={_under(base, _dotted(index))}{how}")
    return found


def _under(base: str, index: str) -> str:
    return f"{base}{index[1:]}" if base else index


def _dotted(index: _Index) -> str:
    return ".".join(map(str, index))


def _named(branch: Branch) -> Uri:
    """Whom a branch rings for, as others may know it."""
    if isinstance(branch.target, Program):
        return _address(branch.target.route.account)
    account = branch.target.account if isinstance(branch.target, Device) else branch.account
    return _uri(NOBODY.uri) if account is None else _address(account)


def _address(account: Account) -> Uri:
    return Uri(user=account.name, host=account.domain)


def _with_reason(entry: _Entry) -> str:
    """RFC 7044 §10.2: why an address was left, in its own URI."""
    bare = entry.uri.replace(headers={})
    return f"{bare}?Reason={quote(f'SIP;cause={entry.status}', safe='')}" if entry.status else str(bare)


def _uri(text: str) -> Uri:
    try:
        return Uri.parse(text)
    except SipSyntaxError:
        return Uri(host="invalid")
