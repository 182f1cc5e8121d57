"""Who a caller is beyond his From, and who may know: P-Asserted-Identity (RFC 3325) and Privacy (RFC 3323). Pure.

An identity is asserted only when a digest proved it, or when a trusted peer asserted it; it goes to trusted peers only.
An account may prefer to be called by one of its own names. Remote-Party-ID is read by nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from directory.model import Caller
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Message, Request, Response
from pbx.sipcore.uri import NameAddress, Uri

NOBODY = Caller("sip:anonymous@anonymous.invalid", "Anonymous")
"""RFC 3323 §4.1.1.3."""

ANONYMOUS = f'"{NOBODY.name}" <{NOBODY.uri}>'

REVEALING = frozenset({"Subject", "Call-Info", "Organization", "Referred-By"})
"""RFC 3323 §5.3: headers that a caller who wants privacy does not show."""

_ASSERTED = "P-Asserted-Identity"
_PREFERRED = "P-Preferred-Identity"
_WISHES = {"id", "user", "header"}


def complete(caller: Caller, request: Request, owns: Callable[[Uri], bool] = lambda _uri: False) -> Caller:
    """The caller with what his request asserts and wishes. An identity of an untrusted one is not believed
    (RFC 3325 §5); one that an account prefers counts when the account `owns` it (RFC 3325 §9.2)."""
    asserted = ""
    if caller.trusted:
        asserted = _first(request, _ASSERTED)
    elif caller.account is not None and (preferred := _first(request, _PREFERRED)):
        asserted = preferred if owns(NameAddress.parse(preferred).uri) else ""
    return replace(caller, private=wants_privacy(request), asserted=asserted)


def seen(caller: Caller) -> Caller:
    """The caller as those see him who are told of a call and are neither in it nor its administrator."""
    return NOBODY if caller.private else caller


def recorded(caller: Caller) -> str:
    """The caller's address for the call record, which his wish for privacy does not change."""
    if caller.account is not None and _written_anonymous(caller):
        return f"sip:{caller.account.address}"
    return caller.uri


def wants_privacy(request: Request) -> bool:
    """RFC 3323 §4.2: `id`, `user` or `header`; an anonymous From (§4.1.1.3) says the same. A callee is told nothing of
    us by other headers, so the three are one here."""
    return _wishes(request) if request.has("Privacy") else _hidden(request.from_.uri)


def _wishes(message: Message) -> bool:
    words = {word.strip().lower() for value in message.get_all("Privacy") for word in value.split(";")}
    return bool(words & _WISHES)


def from_value(caller: Caller) -> str:
    """The caller as a callee sees him: a From value without tag; the account's own address where it was proved."""
    if caller.private:
        return ANONYMOUS
    if caller.account is not None:
        return _account(caller)
    try:
        return str(NameAddress(caller.name, Uri.parse(caller.uri)))
    except SipSyntaxError:
        return ANONYMOUS


def shown_as(caller: Caller) -> NameAddress:
    """The same as an address."""
    return NameAddress.parse(from_value(caller))


def sent_by(person: Caller, speaker: Caller) -> Caller:
    """A party as the caller of a call that somebody else has it placed, and pays for."""
    said = next((value for name, value in headers_for(person, trusted=True) if name == _ASSERTED), "")
    shown = shown_as(replace(person, private=False))
    return Caller(
        str(shown.uri),
        shown.display,
        asserted=said,
        private=person.private,
        rights=speaker.payer,
        client=speaker.client,
    )


def replied(person: Caller, response: Response, *, trusted: bool) -> Caller:
    """Who has answered, with what his 2xx asserts and wishes (RFC 3325 §5, RFC 3323 §4.2)."""
    asserted = _first(response, _ASSERTED) if trusted else person.asserted
    return replace(person, asserted=asserted, private=person.private or _wishes(response))


def renewed(person: Caller, request: Request, *, from_changed: bool) -> Caller:
    """A party after a request within the call, whose sender is believed: by another asserted identity (RFC 3325 §5),
    else by another From (RFC 4916)."""
    said = _first(request, _ASSERTED) or (str(request.from_.with_tag(None)) if from_changed else "")
    if not said or said == person.asserted:
        return person
    name = NameAddress.parse(said)
    return replace(person, uri=str(name.uri), name=name.display, asserted=said, private=wants_privacy(request))


def headers_for(caller: Caller, *, trusted: bool) -> tuple[tuple[str, str], ...]:
    """What an INVITE of ours says of him besides From (RFC 3325 §6, §7)."""
    if not trusted:
        return ()
    said = _account(caller) if caller.account is not None else caller.asserted
    identity = ((_ASSERTED, said),) if said else ()
    return (*identity, ("Privacy", "id")) if caller.private else identity


def from_by_trunk(caller: Caller, identity: Uri) -> str:
    """From of a call that leaves by a trunk: our address at the provider, with the caller's name."""
    if caller.private:
        return ANONYMOUS
    name = caller.name or ("" if caller.account is None else caller.account.real_name)
    return str(NameAddress(name, identity))


def by_trunk(caller: Caller, identity: Uri) -> tuple[tuple[str, str], ...]:
    """A caller who wants privacy is told to the provider, who must know whom to bill, and to nobody beyond it."""
    return ((_ASSERTED, f"<{identity}>"), ("Privacy", "id")) if caller.private else ()


def screen(request: Request, caller: Caller, *, trusted: bool) -> None:
    """The same for a request that is proxied: no assertion of a stranger passes, and none leaves to strangers
    (RFC 3325 §5, §7)."""
    request.remove(_ASSERTED)
    request.remove(_PREFERRED)
    for name, value in headers_for(caller, trusted=trusted):
        if name == _ASSERTED:
            request.add(name, value)


def _account(caller: Caller) -> str:
    account = caller.account
    if account is None:
        raise ValueError("no account was proved")
    if caller.asserted:
        return caller.asserted
    name = "" if _written_anonymous(caller) else caller.name
    return str(NameAddress(name or account.real_name, Uri(user=account.name, host=account.domain)))


def _written_anonymous(caller: Caller) -> bool:
    try:
        return _hidden(Uri.parse(caller.uri))
    except SipSyntaxError:
        return False


def _hidden(uri: Uri) -> bool:
    return uri.host.lower().endswith("anonymous.invalid")


def _first(message: Message, name: str) -> str:
    """The first identity in that header, when it is one."""
    try:
        return str(NameAddress.parse((message.get(name) or "").strip()))
    except SipSyntaxError:
        return ""
