"""What bodies of messages say to a call: session descriptions, and digits in INFO.

`application/dtmf-relay` and `application/dtmf` have no RFC; the forms are those that phones send.
"""

from __future__ import annotations

import re

from pbx.sipcore.message import Message, Request
from pbx.sipcore.sdp import CONTENT_TYPE, SessionDescription

_RELAY_DIGIT = re.compile(rb"^\s*Signal\s*=\s*([0-9A-D*#]|1[0-5])\s*$", re.IGNORECASE | re.MULTILINE)
_BARE_DIGIT = re.compile(rb"^\s*([0-9A-D*#]|1[0-5])\s*$", re.IGNORECASE)
_EVENTS = "0123456789*#ABCD"


def read_description(message: Message) -> SessionDescription | None:
    """The session description of a message; None when it has none. Raises SipSyntaxError."""
    body, content_type = message.body, message.content_type
    if not body or (content_type and content_type != CONTENT_TYPE):
        return None
    return SessionDescription.parse(body)


def info_digit(request: Request) -> str | None:
    """The digit of an INFO; empty for a digit that cannot be read, None for an INFO that is about something else."""
    match request.content_type:
        case "application/dtmf-relay":
            found = _RELAY_DIGIT.search(request.body)
        case "application/dtmf":
            found = _BARE_DIGIT.match(request.body)
        case _:
            return None
    if found is None:
        return ""
    text = found.group(1).decode().upper()
    return _EVENTS[int(text)] if len(text) == 2 else text
