"""Bodies: a session description alone, as a part of several, or none that we can read."""

from __future__ import annotations

import pytest

from pbx.b2bua.bodies import MOST_PARTS, read_description, unreadable
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Request

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def invite(body: bytes, content_type: str, disposition: str = "") -> Request:
    request = Request("INVITE", "sip:bob@example.net")
    request.set_body(body, content_type)
    if disposition:
        request.add("Content-Disposition", disposition)
    return request


def parts(*some: tuple[str, bytes], boundary: str = "b1") -> bytes:
    made = [f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n" for kind, content in some]
    return b"".join(made) + f"--{boundary}--\r\n".encode()


@pytest.mark.parametrize("kind", ["multipart/mixed;boundary=b1", 'Multipart/Mixed; charset=x; boundary="b1"'])
def test_a_description_among_other_parts_is_found(kind: str) -> None:
    """RFC 5621 §3: a telephone exchange sends its own signalling beside the session description."""
    request = invite(parts(("application/isup;version=x", b"\0\1\2"), ("Application/SDP", SDP)), kind)
    description = read_description(request)
    assert description is not None
    assert description.media[0].port == 4000
    assert not unreadable(request)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<audio/>", "application/unknownformat"),
        (parts(("application/isup", b"\0")), "multipart/mixed;boundary=b1"),
        (parts(("application/sdp", SDP)), "multipart/mixed"),
        (parts(("application/sdp", SDP)), "multipart/mixed;boundary=other"),
        (parts(*[("text/plain", b"x")] * MOST_PARTS, ("application/sdp", SDP)), "multipart/mixed;boundary=b1"),
    ],
)
def test_what_cannot_be_read_is_told_from_no_body(body: bytes, kind: str) -> None:
    """RFC 3261 §8.2.3: unless it may be passed over (§20.11)."""
    assert unreadable(invite(body, kind))
    assert not unreadable(invite(body, kind, "session ; handling = optional"))
    assert not unreadable(Request("INVITE", "sip:bob@example.net"))


def test_a_broken_part_is_a_fault_of_the_sender() -> None:
    with pytest.raises(SipSyntaxError):
        read_description(invite(parts(("application/sdp", b"nonsense")), "multipart/mixed;boundary=b1"))
