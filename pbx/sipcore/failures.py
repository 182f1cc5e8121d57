"""Faults of the peer's messages. A misuse by our own code is a plain `ValueError` instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pbx.sipcore.message import Request


class SipSyntaxError(Exception):
    """Bytes that are no SIP message, or a header that does not follow its grammar.

    `code` is the status that answers it. `request` is set when the start line and the topmost Via could be read,
    so that an answer has a way back; otherwise silence is due (RFC 3261 §8.2.6, §18.3).
    """

    def __init__(self, reason: str, *, code: int = 400, request: Request | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.request = request


class NotAcceptable(Exception):
    """A session description that is well formed and offers nothing that we can do: 488 (RFC 3261 §21.4.26)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
