"""The first look at a request, before anybody asks who sent it: is it one that this server could serve at all. Pure.

RFC 3261 §8.2.1 (methods), §8.2.2 (Require), §16.3 (Max-Forwards, loops).
"""

from __future__ import annotations

from dataclasses import dataclass

from pbx.policy.settings import REGISTERED, PolicySettings
from pbx.sipcore import parser
from pbx.sipcore.message import Request


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final answer without a body."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


SPIRALS = 1
"""Limit: how often a request may come back to another address of ours by way of others. RFC 3261 §6 calls that a
spiral, and no error; with forks each pass multiplies (RFC 5393)."""


_SERVED_HERE = frozenset({"REGISTER", "OPTIONS", "SUBSCRIBE", "PUBLISH"})
"""Anything else may be for a telephone, and Require is none of a proxy's business (RFC 3261 §16.3 step 5). Calls that
we serve ourselves look at it in `pbx.b2bua` and `pbx.sipcore.session`."""


def screen(request: Request, settings: PolicySettings, *, from_ourselves: bool, passes: int) -> Refusal | None:
    """The first fault found, or None. After it the headers that policy reads can be parsed without fear."""
    if request.method not in settings.allowed:
        # RFC 3261 §8.2.1 and §21.5.2: 405 for what we know and do not do, 501 for what we have never heard of
        return Refusal(405 if request.method in REGISTERED else 501, headers=(("Allow", ", ".join(settings.allowed)),))
    fault = parser.screen(request)
    if fault is not None:
        return Refusal(*fault)
    required = request.tokens("Proxy-Require")
    if request.method in _SERVED_HERE:
        required |= request.tokens("Require")
    unknown = required - settings.extensions
    if unknown:
        return Refusal(420, headers=(("Unsupported", ", ".join(sorted(unknown))),))
    if request.number("Max-Forwards") == 0 and request.method not in ("OPTIONS", "REGISTER"):
        return Refusal(483)
    if from_ourselves or passes > SPIRALS:  # RFC 3261 §16.3 step 4
        return Refusal(482)
    return None
