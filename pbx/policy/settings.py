"""What an administrator may set of the doors' behaviour, and the words that we speak. Values only."""

from __future__ import annotations

from dataclasses import dataclass

ALLOWED = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "REGISTER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "INFO",
    "UPDATE", "PRACK",
)  # fmt: skip
"""Methods named in Allow. REFER is added where calls transfer by it."""

REGISTERED = frozenset({*ALLOWED, "PRACK", "REFER"})
"""Methods that SIP knows (the registry that RFC 3261 §27.4 began)."""

IN_DIALOG_ONLY = frozenset({"BYE", "INFO", "UPDATE", "NOTIFY", "PRACK", "REFER"})
"""Methods that mean nothing to us outside a dialog."""

EVENTS = ("message-summary", "dialog", "presence", "reg")
"""Event packages named in Allow-Events."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """`extensions`: option tags that a Require may name (RFC 3261 §8.2.2.3).

    Limit: refusals that are held back, `delayed` of all sources; further failures get no answer.
    """

    allowed: tuple[str, ...] = ALLOWED
    extensions: frozenset[str] = frozenset({"100rel", "gruu", "histinfo", "norefersub", "path", "replaces", "timer"})
    free_attempts: int = 5
    longest_delay: float = 8.0
    delayed: int = 1000
