"""The body of the message-summary event package: which lamp to light and how many messages. Pure.

RFC 3842 §5.2, RFC 3458 (Voice-Message context class).
"""

from __future__ import annotations

from dataclasses import dataclass

CONTENT_TYPE = "application/simple-message-summary"
EVENT = "message-summary"


@dataclass(frozen=True, slots=True)
class Counts:
    """Voice messages not yet heard, and heard."""

    new: int
    old: int


def body(counts: Counts, mailbox: str) -> bytes:
    """`mailbox` is the address that the phone's message key dials."""
    waiting = "yes" if counts.new else "no"
    return (
        f"Messages-Waiting: {waiting}\r\n"
        f"Message-Account: {mailbox}\r\n"
        f"Voice-Message: {counts.new}/{counts.old} (0/0)\r\n"
    ).encode()
