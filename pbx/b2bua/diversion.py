"""Who has diverted a call on its way to a phone: Diversion (RFC 5806). Pure.

Circles end by Max-Forwards and by the limit of redirects of `pbx.signal`. History-Info (RFC 7044) is passed on, but we
add no entries.
"""

from __future__ import annotations

from directory.model import Account
from pbx.signal.branch import Branch, Device
from pbx.sipcore.uri import NameAddress, Uri

MOST = 10
"""Limit: Diversion and History-Info values of a caller that are passed on."""


def diverters(branch: Branch) -> list[Account]:
    """The accounts whose rules or phones led to a branch, the last one first."""
    last = branch.target.account.id if isinstance(branch.target, Device) else None
    found = [node.account for node in branch.node.lineage() if node.account is not None]
    return [account for account in found if account.id != last]


def headers_for(branch: Branch) -> tuple[tuple[str, str], ...]:
    """One value for each, the last one on top (RFC 5806). The Signal does not keep why: `unknown`."""
    return tuple(("Diversion", _value(account)) for account in diverters(branch)[:MOST])


def _value(account: Account) -> str:
    uri = Uri(user=account.name, host=account.domain)
    return f"{NameAddress(account.real_name, uri)};reason=unknown"
