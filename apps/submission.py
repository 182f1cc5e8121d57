"""From what a program hands to SubmitEMail to a MIME message (RFC 5322, RFC 2045), and voice messages to delivery.

Not here: delivery itself. A program's text never becomes a header line of its own: line breaks are taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from apps.ports import Post, Wave
from apps.spool import Spool, SpoolNote
from base.entropy import Entropy
from base.values.kinds import Dictionary, Value, octets
from directory.model import Account
from mail.voice import build_voice_message

_PLAIN_HEADERS = ("Subject", "From", "To", "Cc", "Reply-To", "X-Priority", "Importance", "In-Reply-To", "References")
# Limit: parts of one message, and characters of one header field.
MAX_PARTS = 50
MAX_FIELD = 2000


def compose(headers: Mapping[str, str], content: Value, *, domain: str, now: float, entropy: Entropy) -> bytes:
    """The message. Raises ValueError for a content that is none, or an address field that cannot be written."""
    message = EmailMessage(policy=SMTP)
    for name in _PLAIN_HEADERS:
        if headers.get(name):
            message[name] = one_line(headers[name])
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{entropy.token(16)}@{domain}>"
    _fill(message, content)
    if message.is_multipart():
        message.set_boundary(f"part-{entropy.token(12)}")
    return message.as_bytes()


def one_line(text: str) -> str:
    """The text without anything that could begin another header field, also decoded (RFC 2047)."""
    clean = "".join(character if character.isprintable() else " " for character in text[:MAX_FIELD])
    return clean.encode("utf-8", "replace").decode("utf-8").strip().replace("=?", "= ?")


def _fill(message: EmailMessage, content: Value) -> None:
    parts = content if isinstance(content, list) else [content]
    if len(parts) > MAX_PARTS:
        raise ValueError("too many parts")
    for index, part in enumerate(parts):
        body, kind, subtype, filename = _part(part)
        if index == 0 and isinstance(body, str):
            message.set_content(body, subtype=subtype if kind == "text" else "plain")
        elif isinstance(body, str):
            message.add_attachment(body, subtype=subtype if kind == "text" else "plain", filename=filename)
        else:
            message.add_attachment(body, maintype=kind, subtype=subtype, filename=filename)


def _part(value: Value) -> tuple[str | bytes, str, str, str | None]:
    body, kind, subtype, filename = value, "", "", None
    if isinstance(value, Dictionary):
        body = value.get("body")
        kind, subtype = _word(value.get("Content-Type")), _word(value.get("Content-Subtype"))
        name = value.get("filename")
        filename = one_line(name) if isinstance(name, str) else None
    if isinstance(body, bytes):
        return body, kind or "application", subtype or "octet-stream", filename
    if isinstance(body, str):
        return octets(body).decode("utf-8", "replace"), kind or "text", subtype or "plain", filename
    raise ValueError("a part is a string, a datablock, or a dictionary with a body")


def _word(value: Value) -> str:
    return value.lower() if isinstance(value, str) and value.replace("-", "").isalnum() and value.isascii() else ""


def sound_in(content: Value) -> bytes | None:
    """The first datablock of a content that may be an array of parts."""
    for part in content if isinstance(content, list) else [content]:
        body = part.get("body") if isinstance(part, Dictionary) else part
        if isinstance(body, bytes):
            return body
    return None


class VoicePost:
    """Sends recordings as voice messages: exactly once each, however often it is tried."""

    def __init__(self, post: Post, spool: Spool, wave: Wave) -> None:
        self._post = post
        self._spool = spool
        self._wave = wave

    async def send(self, note: SpoolNote, sound: bytes, to: Account, seconds: float) -> None:
        """Deliver, then forget the recording. Raises Failure; the recording stays then."""
        message = build_voice_message(
            to=to.address,
            caller_name=note.caller_name,
            caller_uri=note.caller_uri,
            started=datetime.fromtimestamp(note.started, UTC),
            seconds=seconds,
            wav=sound,
            domain=to.domain,
        )
        await self._post.submit("", [to.address], message, queue_id=f"voice-{note.id}", voice=True)
        await self._spool.discard(note)


def seconds_of(sound: bytes) -> float:
    """The length of a recording of ours: 8 kHz mono 16-bit WAV."""
    return max(0, len(sound) - 44) / 16000
