"""Writes the message that carries a recording: a text summary and the audio, as RFC 3801 shapes it for any client.

Not delivery. `Message-Context` is RFC 3458, `Content-Duration` RFC 3803; the type is multipart/mixed, because clients
show that and many do not know multipart/voice-message.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

# Limit: characters of a caller's name and address that are shown; both come from strangers.
_MAX_NAME = 80
_MAX_URI = 200
_LINE = 76
_MAIL_LIKE = re.compile(
    r"sips?:(?P<user>[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@(?P<host>[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*)(?=[;:?]|$)",
    re.IGNORECASE,
)


def build_voice_message(
    *,
    to: str,
    caller_name: str,
    caller_uri: str,
    started: datetime,
    seconds: float,
    wav: bytes,
    domain: str,
) -> bytes:
    """The whole message with CRLF line ends. `to` is `name@domain`; `started` must know its zone.

    The same recording always gives the same Message-ID. Costs about 10 ms for a minute of audio: not for a hot path.
    """
    name, uri = _clean(caller_name, _MAX_NAME), _clean(caller_uri, _MAX_URI)
    caller = _caller(name, uri)
    length = max(1, round(seconds))
    digest = hashlib.sha256(f"{to}\n{uri}\n{started.isoformat()}\n".encode() + wav).hexdigest()[:32]
    boundary = f"voice-{digest}"
    head = EmailMessage(policy=SMTP)
    head["Date"] = format_datetime(started)
    head["From"] = _sender(name, uri, domain)
    head["To"] = _clean(to, _MAX_URI)
    head["Subject"] = f"Voice message from {caller} ({_duration(length)})"
    head["Message-ID"] = f"<{digest}@{domain}>"
    head["MIME-Version"] = "1.0"
    head["Message-Context"] = "voice-message"
    head["Content-Duration"] = str(length)
    head["Content-Type"] = f'multipart/mixed; boundary="{boundary}"'
    text = _summary(caller, uri, started, length)
    audio = _audio(wav, length, f"voice-{started:%Y%m%d-%H%M%S}.wav")
    edge = f"--{boundary}".encode()
    return b"\r\n".join((_header(head), edge, text, edge, audio, edge + b"--", b""))


def _header(message: EmailMessage) -> bytes:
    return b"".join(SMTP.fold_binary(name, value) for name, value in message.raw_items())


def _summary(caller: str, uri: str, started: datetime, length: int) -> bytes:
    part = EmailMessage(policy=SMTP)
    lines = [
        "You have a voice message.",
        "",
        f"From:    {caller}",
        f"Address: {uri}" if uri else "Address: withheld",
        f"Time:    {started:%Y-%m-%d %H:%M:%S %z}",
        f"Length:  {_duration(length)}",
        "",
    ]
    part.set_content("\n".join(lines))
    del part["MIME-Version"]
    return part.as_bytes()


def _audio(wav: bytes, length: int, file: str) -> bytes:
    lines = (
        f'Content-Type: audio/wav; name="{file}"',
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment; filename="{file}"; voice=Voice-Message',
        f"Content-Duration: {length}",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + _in_lines(base64.b64encode(wav))


def _in_lines(text: bytes) -> bytes:
    """Lines of 76 (RFC 2045 §6.8), each with its end; much faster than `base64.encodebytes`."""
    return b"".join(text[at : at + _LINE] + b"\r\n" for at in range(0, len(text), _LINE))


def _duration(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


def _caller(name: str, uri: str) -> str:
    user = uri.partition(":")[2].partition("@")[0] or uri
    if name and user and name != user:
        return f"{name} ({user})"
    return name or user or "unknown caller"


def _sender(name: str, uri: str, domain: str) -> Address:
    """The caller as a mail address, so that a reply finds him; ours when he has none that mail can carry."""
    found = _MAIL_LIKE.match(uri)
    if found:
        return Address(name, found["user"], found["host"])
    return Address(name, "voicemail", domain)


def _clean(text: str, limit: int) -> str:
    """Nothing that could end a header line or forge one, nor an encoded word (RFC 2047) that is decoded to that."""
    plain = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text[:limit]).strip()
    return plain.replace("=?", "= ?")
