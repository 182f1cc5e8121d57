"""Where a call has been on its way to a phone: Diversion (RFC 5806), and who may see that and History-Info (RFC 7044).
Pure.

What a phone or a stranger says of earlier diversions is not believed. Circles end by Max-Forwards and by the limit of
redirects of `pbx.signal`, which counts those of trusted peers as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from directory.model import Account, Caller
from pbx.b2bua import history
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
    Cause.ALWAYS: "unconditional",
    Cause.NO_ANSWER: "no-answer",
    Cause.BUSY: "user-busy",
    Cause.NO_DEVICE: "unavailable",
    Cause.FAILURE: "out-of-service",
    Cause.TELEPHONE: "deflection",
    Cause.PROGRAM: "unknown",
    Cause.FORK: "follow-me",
}
"""RFC 5806 §9.2."""

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


def headers_for(
    branch: Branch, place: str, dialled: str, said: Headers, tried: Sequence[Branch] = (), *, trusted: bool
) -> Headers:
    """Both headers of an INVITE to `place`; `said` is `earlier`'s, `trusted` whether the peer there is. Telephones of
    accounts and trusted peers are told what was `tried` before."""
    own = tuple(("Diversion", value) for value in _diversions(branch))
    before = tuple((name, value) for name, value in said if name == "Diversion")
    values, base = _said(said)
    told = tried if trusted or isinstance(branch.target, Device) else ()
    values += history.to(branch, place, told, dialled, base)
    entries = (*own, *before, *(("History-Info", value) for value in values))
    hidden = any(name == "Privacy" for name, _ in said)
    if trusted:
        return (*entries, ("Privacy", "history")) if hidden else entries
    return tuple((name, _shown(name, value, hidden=hidden)) for name, value in entries)


def for_caller(branches: Sequence[Branch], dialled: str, said: Headers) -> Headers:
    """What a response tells the caller of where his call has been (RFC 7044 §9.4)."""
    values, base = _said(said)
    return tuple(("History-Info", value) for value in (*values, *history.so_far(branches, dialled, base)))


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
            found.append(f"{address};reason={_REASONS[cause]};counter=1")
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


def _said(said: Headers) -> tuple[list[str], str]:
    """The values of a trusted peer, and the index below which ours stand."""
    values = [value for name, value in said if name == "History-Info"]
    return values, _index(values[-1]) if values else ""


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


def _readable(value: str) -> bool:
    try:
        NameAddress.parse(value)
    except SipSyntaxError:
        return False
    return True
