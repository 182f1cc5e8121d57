"""Where a call has been on its way to a phone: Diversion (RFC 5806) and History-Info (RFC 7044). Pure.

What a phone or a stranger says of earlier diversions is not believed. Circles end by Max-Forwards and by the limit of
redirects of `pbx.signal`, which counts those of trusted peers as well.

Deviation: of telephones only the one that rings has an entry (RFC 7044 §10.3 wants all that were tried): what else an
account has is nobody's business. The indexes show where entries are left out. Responses carry no History-Info.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from directory.model import Account, Caller
from pbx.b2bua.asserted import NOBODY
from pbx.signal.branch import Branch, Device
from pbx.signal.cause import Cause
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.headers import is_token
from pbx.sipcore.message import Request
from pbx.sipcore.uri import NameAddress, Uri, parse_params

MOST = 10
"""Limit: Diversion and History-Info values of a caller that are read, and of our own that are written."""

Headers = tuple[tuple[str, str], ...]

_REASONS = {
    Cause.ALWAYS: ("unconditional", 302),
    Cause.NO_ANSWER: ("no-answer", 408),
    Cause.BUSY: ("user-busy", 486),
    Cause.NO_DEVICE: ("unavailable", 480),
    Cause.FAILURE: ("out-of-service", 500),
    Cause.TELEPHONE: ("deflection", 302),
    Cause.PROGRAM: ("unknown", 302),
    Cause.FORK: ("follow-me", 0),
}
"""The reason of RFC 5806 §9.2, and the status that stands for it in a Reason header (RFC 7044 §10.2)."""

_HIDING = frozenset({"history", "header", "session"})
"""RFC 7044 §10.1.2: values of Privacy by which entries are not shown outside the trust domain."""


def earlier(request: Request, caller: Caller) -> Headers:
    """What a request says of where the call has been, as far as it is believed, and whether it is to be hidden."""
    wishes = {word.strip().lower() for value in request.get_all("Privacy") for word in value.split(";")}
    found = [("Privacy", "history")] if wishes & _HIDING or caller.private else []
    if caller.trusted:
        for name in ("Diversion", "History-Info"):
            found += [(name, value) for value in request.get_all(name)[:MOST] if _readable(value)]
    return tuple(found)


def times(said: Headers) -> int:
    """How often a call has been diverted before it came to us (RFC 5806 §9.3: a value may stand for several)."""
    return sum(_counter(value) for name, value in said if name == "Diversion")


def headers_for(branch: Branch, place: str, dialled: str, said: Headers, *, trusted: bool) -> Headers:
    """Both headers of an INVITE to `place`; `said` is `earlier`'s, `trusted` whether the peer there is."""
    own = tuple(("Diversion", value) for value in _diversions(branch))
    before = tuple((name, value) for name, value in said if name == "Diversion")
    history = [value for name, value in said if name == "History-Info"]
    history += _history(branch, place, dialled, history[-1] if history else "")
    entries = (*own, *before, *(("History-Info", value) for value in history))
    hidden = any(name == "Privacy" for name, _ in said)
    if trusted:
        return (*entries, ("Privacy", "history")) if hidden else entries
    return tuple((name, _shown(name, value, hidden=hidden)) for name, value in entries)


def put(request: Request, headers: Headers) -> None:
    """Into a request that is proxied, in the place of what it said."""
    request.remove("Diversion")
    request.remove("History-Info")
    for name, value in headers:
        request.add(name, value)


# --- Diversion


def _diversions(branch: Branch) -> list[str]:
    """One value for each account that sent the call on, the last one on top (RFC 5806 §5)."""
    found: list[str] = []
    told: set[int] = set()
    for cause, account in _steps(branch):
        if account.id not in told and len(found) < MOST:
            told.add(account.id)
            address = NameAddress(account.real_name, Uri(user=account.name, host=account.domain))
            found.append(f"{address};reason={_REASONS[cause][0]};counter=1")
    return found


def _steps(branch: Branch) -> list[tuple[Cause, Account]]:
    """Whose rule, program or telephone moved the call on, and why; the last step first."""
    found: list[tuple[Cause, Account]] = []
    below = branch.cause
    for node in branch.node.lineage():
        if node.account is not None and below in _REASONS:
            found.append((below, node.account))
        below = node.cause if node.account is not None or below not in _REASONS else below
    return found


def _counter(value: str) -> int:
    text = _params(value).get("counter") or "1"
    return min(int(text), 100) if text.isascii() and text.isdigit() and len(text) < 6 else 1


# --- History-Info


def _history(branch: Branch, place: str, dialled: str, last: str) -> list[str]:
    """Our entries: what was dialled, each address that it was led to, and the place that the INVITE goes to."""
    base = _index(last)
    entries: list[tuple[Uri, str, str, Cause | None]] = [] if base else [(_uri(dialled), "1", "", None)]
    base = base or "1"
    for node in reversed(list(branch.node.lineage())):
        if node.cause is not None and node.account is not None:
            uri = Uri(user=node.account.name, host=node.account.domain)
            entries.append((uri, _under(base, node.index), f";mp={_under(base, node.index[:-1])}", node.cause))
    parent = _under(base, branch.node.index)
    kind = "rc" if isinstance(branch.target, Device) else "np" if branch.cause is None else "mp"
    entries.append((_uri(place), _under(base, branch.index), f";{kind}={parent}", branch.cause))
    causes = [entry[3] for entry in entries[1:]] + [None]
    told = zip(entries, causes, strict=True)
    return [f"<{_with_reason(uri, why)}>;index={index}{params}" for (uri, index, params, _), why in told]


def _under(base: str, index: Sequence[int]) -> str:
    return ".".join((base, *map(str, index[1:])))


def _with_reason(uri: Uri, why: Cause | None) -> str:
    """RFC 7044 §10.2: why an address was left, in its own URI."""
    status = _REASONS[why][1] if why in _REASONS else 0
    bare = uri.replace(headers={})
    return f"{bare}?Reason={quote(f'SIP;cause={status}', safe='')}" if status else str(bare)


def _index(value: str) -> str:
    text = _params(value).get("index") or ""
    return text if 0 < len(text) <= 64 and all(part.isascii() and part.isdigit() for part in text.split(".")) else ""


def _shown(name: str, value: str, *, hidden: bool) -> str:
    """An entry as somebody outside the trust domain may see it (RFC 7044 §10.1.2, RFC 5806 §9.4)."""
    params = _params(value)
    own = name == "History-Info" and "privacy=" in value.partition(">")[0].lower()
    full = name == "Diversion" and (params.get("privacy") or "off").strip('"').lower() != "off"
    if not (hidden or own or full):
        return value
    kept = ("index", "rc", "mp", "np") if name == "History-Info" else ("reason", "counter")
    rest = "".join(f";{key}={params[key]}" for key in kept if _plain(params.get(key)))
    return f"<{NOBODY.uri}>{rest}"


def _plain(text: str | None) -> bool:
    return text is not None and is_token(text)


def _params(value: str) -> dict[str, str | None]:
    _, _, rest = value.partition(">")
    try:
        return dict(parse_params(rest)) if rest.strip() else {}
    except SipSyntaxError:
        return {}


def _uri(text: str) -> Uri:
    try:
        return Uri.parse(text)
    except SipSyntaxError:
        return Uri(host="invalid")


def _readable(value: str) -> bool:
    try:
        NameAddress.parse(value)
    except SipSyntaxError:
        return False
    return True
