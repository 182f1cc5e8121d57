"""What bodies of messages say to a call: session descriptions, alone or as a part of several, and digits in INFO.

RFC 3261 §7.4 and §20.11, RFC 2046 §5.1 (multipart), RFC 5621 (multipart in SIP).
`application/dtmf-relay` and `application/dtmf` have no RFC; the forms are those that phones send.
"""

from __future__ import annotations

import re

from pbx.sipcore.message import Message, Request
from pbx.sipcore.sdp import CONTENT_TYPE, SessionDescription

_RELAY_DIGIT = re.compile(rb"^\s*Signal\s*=\s*([0-9A-D*#]|1[0-5])\s*$", re.IGNORECASE | re.MULTILINE)
_BARE_DIGIT = re.compile(rb"^\s*([0-9A-D*#]|1[0-5])\s*$", re.IGNORECASE)
_EVENTS = "0123456789*#ABCD"
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_TYPE = re.compile(rb"^content-type\s*:\s*application/sdp\s*(?:;|\r?$)", re.IGNORECASE | re.MULTILINE)
MOST_PARTS = 16
"""Limit: parts of a body that are looked at; a call from a telephone exchange has two or three."""


def read_description(message: Message) -> SessionDescription | None:
    """The session description of a message; None when it has none. Raises SipSyntaxError."""
    found = _described(message)
    return None if found is None else SessionDescription.parse(found)


def unreadable(message: Message) -> bool:
    """Whether its body must be understood and cannot be (RFC 3261 §20.11): no session description is in it."""
    if not message.body or _described(message) is not None:
        return False
    handling = (message.get("Content-Disposition") or "").lower().replace(" ", "")
    return "handling=optional" not in handling


def _described(message: Message) -> bytes | None:
    body, content_type = message.body, message.content_type
    if not body or content_type in ("", CONTENT_TYPE):
        return body or None
    boundary = _BOUNDARY.search(message.get("Content-Type") or "") if content_type.startswith("multipart/") else None
    if boundary is None:
        return None
    line = b"\r\n--" + (boundary[1] or boundary[2]).encode()
    for part in (b"\r\n" + body).split(line, MOST_PARTS)[1:]:
        head, empty, content = part.partition(b"\r\n\r\n")
        if empty and _PART_TYPE.search(head):
            return content
    return None


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
