"""Calls that come in by a trunk: which trunk, and who is called.

Providers write the called number into the Request-URI, or into To while the Request-URI is our own contact. A number
that the directory or the Router knows goes there; any other to the trunk's target. Nothing that comes in leads out
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from directory.model import Address, Caller, ForeignRoute, Resolution, UnknownRoute
from directory.numbers import spellings
from pbx.policy.ports import Directory
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.uri import Uri


class Origin(Protocol):
    """The part of a trunk that counts for what comes in."""

    @property
    def name(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def country(self) -> str:
        """Where its numbers are dialled: two letters, or empty."""


class Line(Protocol):
    """A trunk in use (`pbx.trunk.line`)."""

    @property
    def trunk(self) -> Origin: ...

    @property
    def contact_user(self) -> str: ...


class Lines(Protocol):
    """All trunks (`pbx.trunk.trunks`)."""

    def sending(self, request: Request, flow: Flow) -> Line | None:
        """The trunk that a request outside dialogs comes from, never by its From."""


class NoLines:
    """A server without trunks."""

    def sending(self, request: Request, flow: Flow) -> Line | None:
        return None


def from_trunk(line: Line, transaction: ServerTransaction) -> Caller:
    """Who calls by it: whom the provider names."""
    sender, source = transaction.request.from_, transaction.flow.remote
    return Caller(str(sender.uri), sender.display, trusted=True, source=source, trunk=line.trunk.name)


def called(directory: Directory, line: Line, request: Request, caller: Caller) -> Resolution:
    """Where a call of that trunk leads."""
    steps: list[str] = [f"a call by the trunk {line.trunk.name}"]
    for local in _spelled(line, request):
        found = directory.resolve(Address(local, directory.main_domain), caller=caller)
        if not isinstance(found.route, ForeignRoute | UnknownRoute):
            return Resolution(found.route, (*steps, *found.steps))
        steps.append(f"nobody here has the number {local}")
    steps.append(f"the target of the trunk is {line.trunk.target}")
    last = directory.resolve(Address(line.trunk.target, directory.main_domain), caller=caller)
    return Resolution(last.route, (*steps, *last.steps))


def concealed(directory: Directory, line: Line, request: Request) -> None:
    """Put who is called in the place of our secret contact: callees, watchers and programs are shown the Request-URI,
    and who knows the contact can call as the provider does."""
    if _user(request.uri) == line.contact_user:
        user = next(_candidates(line, request), line.trunk.target)
        request.uri = str(Uri(user=user, host=directory.main_domain))


def _candidates(line: Line, request: Request) -> Iterator[str]:
    """The numbers that may be meant, the likeliest first; the name of our own contact is none."""
    users = [_user(request.uri), request.to.uri.user]
    yield from dict.fromkeys(user for user in users if user and user != line.contact_user)


def _spelled(line: Line, request: Request) -> Iterator[str]:
    """These, as people here may have written them."""
    for number in _candidates(line, request):
        yield number
        yield from (each for each in spellings(number, line.trunk.country) if each != number)


def _user(uri: str) -> str:
    try:
        return Uri.parse(uri).user
    except SipSyntaxError:
        return ""
