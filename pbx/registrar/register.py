"""What one REGISTER means: a decision made from the request, where it came from, and the bindings there are.

Pure: it changes nothing and stores nothing; `server.py` does. Authentication is done before.

RFC 3261 §10.3, RFC 3327 §5.3 (Path), RFC 5626 §6 (instances), RFC 3581.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pbx.nat.detection import behind_nat, numeric
from pbx.registrar import outbound
from pbx.registrar.bindings import Binding, same_device
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.uri import NameAddress, Uri
from pbx.workarounds.kinds import NOTHING, Workaround

OFTEN = 120
"""Seconds that a registration lasts whose device has the workaround `register-often`."""
_EXPIRES = re.compile(r"\s*;\s*expires\s*=\s*(?:\"[^\"]*\"|[^;\s]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and contacts for each account.

    Limit: 10 contacts as CommuniGate's MaxSignalContacts; 423 below a minute (RFC 3261 §10.3 allows up to an hour).
    """

    shortest: int = 60
    longest: int = 3600
    default: int = 3600
    contacts: int = 10
    header: int = 1024
    paths: int = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer's status, and the bindings to put and drop before it goes out.

    `lasting` is true when the store must have the change before the answer; `fresh` when a contact (re)appears.
    """

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    put: tuple[Binding, ...] = ()
    drop: tuple[Binding, ...] = ()
    lasting: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """A REGISTER read: what every contact of it shares."""

    request: Request
    flow: Flow
    account_id: int
    now: float
    limits: Limits
    away: frozenset[str] = frozenset()
    """Keys of bindings whose connection is gone."""
    silent: frozenset[str] = frozenset()
    """Keys of bindings that do not answer OPTIONS any more."""
    workarounds: frozenset[Workaround] = NOTHING
    is_gruu: Callable[[Uri], bool] = lambda _uri: False


def decide(registration: Registration, known: Sequence[Binding]) -> Decision:
    """RFC 3261 §10.3 steps 5 to 8 for an authenticated REGISTER of this account."""
    request = registration.request
    values = request.get_all("Contact")
    if "*" in values:
        return _remove_all(registration, values, known)
    if not _paths_fit(request, registration.limits):
        return Decision(400, "Path cannot be used")
    if len(values) > registration.limits.contacts:
        return Decision(403, "Too many contacts")
    return _update(registration, values, {binding.key: binding for binding in known})


def _paths_fit(request: Request, limits: Limits) -> bool:
    """A way that we could not go as a whole is none."""
    paths = request.get_all("Path")
    try:
        return len(paths) <= limits.paths and all(NameAddress.parse(path).uri.is_sip for path in paths)
    except SipSyntaxError:
        return False


def _remove_all(registration: Registration, values: Sequence[str], known: Sequence[Binding]) -> Decision:
    if len(values) != 1 or registration.request.number("Expires") != 0:
        return Decision(400, "Contact * needs Expires 0 and no other contact")  # RFC 3261 §10.3 step 6
    if any(_out_of_order(registration.request, binding) for binding in known):
        return Decision(500, "Out of order")
    return Decision(200, drop=tuple(known), lasting=bool(known))


def _update(registration: Registration, values: Sequence[str], known: dict[str, Binding]) -> Decision:
    put: dict[str, Binding] = {}
    drop: dict[str, Binding] = {}
    for value in values:
        try:
            address = NameAddress.parse(value)
        except SipSyntaxError as error:
            return Decision(400, error.reason)
        if not address.uri.is_sip or len(value) > registration.limits.header:
            return Decision(400, "Contact cannot be used")
        if registration.is_gruu(address.uri):
            return Decision(403, "Contact is a GRUU")  # RFC 5627 §5.1
        seconds = _lifetime(registration, address)
        if 0 < seconds < registration.limits.shortest:
            return Decision(423, headers=(("Min-Expires", str(registration.limits.shortest)),))
        binding = _binding(registration, value, address, seconds)
        if binding.reg_id and outbound.lacks_first_hop(registration.request):
            return Decision(439)  # RFC 5626 §6
        if binding.reg_id and len(values) > 1:
            return Decision(400, "One contact with a reg-id at a time")  # RFC 5626 §4.2
        before = known.get(binding.key)
        if before is not None:
            same = before.call_id == binding.call_id
            first = before.first_cseq if same else binding.cseq
            binding = replace(binding, registered_at=before.registered_at, first_cseq=first)
        if before is not None and _out_of_order(registration.request, before):
            return Decision(500, "Out of order")  # RFC 3261 §10.3 step 7
        if seconds:
            put[binding.key] = binding
        elif before is not None:
            drop[binding.key] = before
    return _settle(registration, known, put, drop)


def same_registration(former: Binding, binding: Binding) -> bool:
    """Whether one phone made both: by the key, or by the Call-ID, which a phone keeps for all that it registers until
    it starts anew (RFC 3261 §10.2.4), and the contact as sent (a router between us may have got another address)."""
    if former.key == binding.key or (former.call_id, former.contact) == (binding.call_id, binding.contact):
        return True
    return _moved(former, binding)


def _settle(
    registration: Registration, known: dict[str, Binding], put: dict[str, Binding], drop: dict[str, Binding]
) -> Decision:
    """Make room by dropping the oldest: a phone that changes its port at each start must not lock its owner out."""
    for key, lost in known.items():
        # A phone that comes back replaces what it lost, also under a new address
        if key in put or lost.reg_id:
            continue
        over = key in registration.away and any(same_device(lost, binding) for binding in put.values())
        silent = key in registration.silent
        if over or any(same_registration(lost, new) or (silent and _again(lost, new)) for new in put.values()):
            drop[key] = lost
    kept = [binding for key, binding in known.items() if key not in put and key not in drop]
    surplus = len(kept) + len(put) - registration.limits.contacts
    for binding in sorted(kept, key=lambda one: one.expires_at)[: max(0, surplus)]:
        drop[binding.key] = binding
    fresh = any(key not in known or key in registration.away for key in put)
    changed = any(not _same_but_expiry(binding, known.get(key)) for key, binding in put.items())
    headers = outbound.answer_headers(registration.flow) if any(one.reg_id for one in put.values()) else ()
    return Decision(
        200,
        headers=headers,
        put=tuple(put.values()),
        drop=tuple(drop.values()),
        lasting=changed or bool(drop),
        fresh=fresh,
    )


def _moved(before: Binding, now: Binding) -> bool:
    """Whether a telephone goes on with its registration under another address (a new port, another network).

    Deviation: RFC 3261 §10.2.1.1 lets a telephone add contacts under one Call-ID; those that say who they are, are
    named alike and use the same transport are taken for one that has moved, and whose old address is dead.
    """
    if before.instance or now.instance or not now.user_agent:
        return False
    alike = (before.call_id, before.user_agent, before.flow.transport) == (
        now.call_id,
        now.user_agent,
        now.flow.transport,
    )
    return alike and before.cseq < now.cseq and _user(before.contact) == _user(now.contact)


def _again(before: Binding, now: Binding) -> bool:
    """Whether a telephone seems to have been started again: all as before, but for the port that it says."""
    return same_device(before, now) and _named(before.contact) == _named(now.contact)


def _user(contact: str) -> str:
    return _named(contact)[0]


def _named(contact: str) -> tuple[str, str]:
    """User and host of a contact."""
    try:
        uri = Uri.parse(contact)
    except SipSyntaxError:
        return contact, ""
    return uri.user, uri.host.lower()


def _out_of_order(request: Request, binding: Binding) -> bool:
    return binding.call_id == request.call_id and request.cseq.number <= binding.cseq


def _same_but_expiry(binding: Binding, before: Binding | None) -> bool:
    return before is not None and (binding.contact, binding.flow, binding.path, binding.header) == (
        before.contact,
        before.flow,
        before.path,
        before.header,
    )


def _lifetime(registration: Registration, address: NameAddress) -> int:
    """RFC 3261 §10.2.1.1: the parameter, else the header, else our own; a malformed one counts as absent."""
    value = address.params.get("expires")
    if value is not None and value.isascii() and value.isdigit() and len(value) <= 10:
        seconds: int | None = int(value)
    else:
        seconds = registration.request.number("Expires")
    longest = registration.limits.longest
    if Workaround.REGISTER_OFTEN in registration.workarounds:
        longest = min(longest, OFTEN)
    return min(registration.limits.default if seconds is None else seconds, longest)


def _binding(registration: Registration, value: str, address: NameAddress, seconds: int) -> Binding:
    request = registration.request
    instance = address.params.get("+sip.instance") or ""
    reg_id = outbound.reg_id(request, address)
    return Binding(
        account_id=registration.account_id,
        key=contact_key(address, registration.flow, reg_id),
        contact=address.text or str(address.uri),
        header=without_expires(value),
        flow=registration.flow
        if Workaround.SOURCE_PORT in registration.workarounds
        else way_back(request, address.uri, registration.flow),
        expires_at=registration.now + seconds,
        call_id=request.call_id,
        cseq=request.cseq.number,
        path=tuple(request.get_all("Path")),
        user_agent=(request.get("User-Agent") or "")[:128],
        instance=instance[:256],
        q=_preference(address.params.get("q")),
        registered_at=registration.now,
        reg_id=reg_id,
        first_cseq=request.cseq.number,
    )


def contact_key(address: NameAddress, flow: Flow, reg_id: int = 0) -> str:
    """What makes two contacts the same: instance and reg-id (RFC 5626 §6; 0 without outbound: one phone is one), else
    the address (RFC 3261 §19.1.4).

    Deviation: a private address seen through a NAT counts together with the NAT's address, as two homes both have a
    192.168.1.2.
    """
    instance = address.params.get("+sip.instance")
    if instance:
        return f"i:{instance[:256]}|{reg_id or ''}"
    uri = address.uri
    key = f"u:{uri.scheme}:{uri.user}@{uri.host.lower()}:{uri.port or ''};{(uri.params.get('transport') or '').lower()}"
    return f"{key}|{flow.remote[0]}" if behind_nat(uri.host, flow.remote[0]) else key


def way_back(request: Request, contact: Uri, flow: Flow) -> Flow:
    """Where requests for this contact go.

    A connection is always used again. For UDP: the source, or the port that the contact names there when the phone did
    not ask for symmetric answers (RFC 3581).

    Deviation: RFC 3261 §10.2 lets a contact be anywhere. What we send goes to where a REGISTER came from, so that
    nobody has us flood another one with questions and calls, and a wrong guess of STUN does no harm.
    """
    if flow.reliable or request.has("Path") or "rport" in request.top_via.params:
        return flow
    if numeric(contact.host) != numeric(flow.remote[0]):
        return flow
    return Flow(flow.transport, flow.local, (flow.remote[0], contact.port or 5060))


def without_expires(value: str) -> str:
    """A Contact value less its `expires`, all else byte for byte."""
    start = value.rfind(">") + 1
    return value[:start] + _EXPIRES.sub("", value[start:])


def _preference(text: str | None) -> float:
    try:
        return min(1.0, max(0.0, float(text))) if text else 1.0
    except ValueError:
        return 1.0
