"""The voice message as any mail program reads it; what a stranger calls himself cannot break it."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

from hypothesis import given
from hypothesis import strategies as st

from mail.voice import build_voice_message

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WAV = b"RIFF" + bytes(range(256)) * 10


def build(name: str = "Bob", uri: str = "sip:bob@x.example", seconds: float = 61.4) -> bytes:
    return build_voice_message(
        to="alice@x.example",
        caller_name=name,
        caller_uri=uri,
        started=WHEN,
        seconds=seconds,
        wav=WAV,
        domain="x.example",
    )


def test_it_is_what_was_agreed() -> None:
    message = message_from_bytes(build("Bob Bäcker"), policy=policy.default)
    assert message["Subject"] == "Voice message from Bob Bäcker (bob) (1:01)"
    assert message["From"].addresses[0].addr_spec == "bob@x.example"
    assert message["Message-Context"] == "voice-message"
    text, audio = message.iter_parts()
    assert "Length:  1:01" in text.get_content()
    assert "Time:    2026-01-02 03:04:05 +0000" in text.get_content()
    assert audio["Content-Duration"] == "61"
    assert audio.get_content() == WAV
    assert build() == build(), "the same recording gives the same message"


@given(st.text(max_size=120), st.text(max_size=120))
def test_nothing_that_a_caller_says_breaks_it(name: str, uri: str) -> None:
    octets = build(name, uri)
    message = message_from_bytes(octets, policy=policy.default)
    assert message.keys() == [
        "Date",
        "From",
        "To",
        "Subject",
        "Message-ID",
        "MIME-Version",
        "Message-Context",
        "Content-Duration",
        "Content-Type",
    ]
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "audio/wav"]
    assert parts[1].get_content() == WAV
    assert octets.count(b"\n") == octets.count(b"\r\n")
