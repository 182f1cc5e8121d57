"""Fuzz targets: SIP messages and streams, session descriptions, digest headers. Only documented errors come out."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from base.clock import ManualClock
from base.entropy import SeededEntropy
from pbx.sipcore import digest, parser
from pbx.sipcore.dialog import Dialog, next_hop
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.offer_answer import agree, answer, make_offer
from pbx.sipcore.passing import Outlet, passed_answer, passed_offer
from pbx.sipcore.sdp import Origin, SessionDescription
from pbx.sipcore.uri import NameAddress, Uri
from tests.fuzz.mutations import spoilt

TORTURE = Path(__file__).resolve().parents[1] / "torture"
MESSAGES = [path.read_bytes() for path in sorted(TORTURE.glob("*/*.dat")) if path.stat().st_size < 4000]
INVITE = (
    b"INVITE sip:202@tandem.test;services=no SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK1;rport\r\n"
    b"Record-Route: <sip:10.0.0.2;lr>, <sip:10.0.0.3;lr>\r\nRoute: <sip:10.0.0.1;lr>\r\nMax-Forwards: 70\r\n"
    b'From: "Al \\"x\\" ice" <sip:alice@tandem.test>;tag=1\r\nTo: <sip:202@tandem.test>\r\nCall-ID: a@b\r\n'
    b"CSeq: 1 INVITE\r\nContact: <sip:alice@10.0.0.9>;q=0.5;expires=60\r\nSupported: timer, replaces\r\n"
    b"Expires: 30\r\nContent-Length: 0\r\n\r\n"
)
OK = INVITE.replace(b"INVITE sip:202@tandem.test;services=no SIP/2.0", b"SIP/2.0 200 OK")
WORDS = [b"Via: ", b"Route: <", b";tag=", b"sip:", b"tel:+1;phone-context=", b"Content-Length: 5", b";lr", b"[::1]"]
SDP = [
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n",
    b"v=0\r\no=x 2 3 IN IP6 ::1\r\ns= \r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nm=audio 9 RTP/SAVPF 111 0\r\n"
    b"c=IN IP4 0.0.0.0\r\na=rtpmap:111 opus/48000/2\r\na=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\na=inactive\r\n",
]
GOOD = SessionDescription.parse(SDP[0])
SDP_WORDS = [b"m=audio ", b"a=rtpmap:", b"c=IN IP4 ", b"/127/3", b"a=ptime:0", b"-1", b"65536", b"RTP/AVP"]
CREDENTIALS = [
    b'Digest username="alice", realm="tandem.test", nonce="5", uri="sip:x", response="0123", algorithm=MD5, qop=auth, '
    b'nc=00000001, cnonce="c"',
    b'Digest realm="tandem.test", nonce="5", algorithm=SHA-256, qop="auth,auth-int", stale=FALSE',
]


def look_at(message: Request | Response) -> None:
    """What the server reads of each message that was let in: none of it may raise."""
    _ = message.call_id, message.cseq, message.from_.uri, message.to, message.from_tag, message.to_tag
    _ = message.top_via.branch, message.top_via.sent_by, message.content_type, message.tokens("Supported")
    for name in ("Max-Forwards", "Expires", "Min-SE", "Content-Length"):
        message.number(name)
    again = parser.parse(message.encode())
    assert again.encode() == message.encode()


@given(spoilt([*MESSAGES, INVITE, OK], WORDS))
def test_sip_messages(data: bytes) -> None:
    try:
        message = parser.parse(data)
    except SipSyntaxError as error:
        _answered(error)
        return
    look_at(message)
    if isinstance(message, Request) and parser.screen(message) is None:
        _ = Uri.parse(message.uri), message.contacts
        with contextlib.suppress(SipSyntaxError):
            next_hop(message)
        dialog = Dialog.uas(message, "local", "<sip:us>")
        look_at(parser.parse(_with_via(dialog.new_request("BYE"))))
        look_at(response_to(message, 200, to_tag="t"))


def _answered(error: SipSyntaxError) -> None:
    """What comes with enough to answer it can be answered."""
    if error.request is not None:
        assert response_to(error.request, error.code, error.reason, to_tag="t").encode().startswith(b"SIP/2.0 ")
        assert error.request.top_via.sent_by


def _with_via(request: Request) -> bytes:
    request.insert_first("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx")
    return request.encode()


@given(st.lists(spoilt([*MESSAGES, INVITE, OK, b"\r\n\r\n"], WORDS), min_size=1, max_size=3), st.data())
def test_a_stream_says_the_same_however_it_is_cut(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    whole, pieces = parser.StreamFramer(), parser.StreamFramer()
    expected = [_said(event) for event in whole.feed(stream)]
    found: list[str] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += [_said(event) for event in pieces.feed(stream[start:end])]
        if found and found[-1].startswith("Broken"):
            break
    assert found == expected


def _said(event: object) -> str:
    match event:
        case Request() | Response():
            return event.encode().decode("latin-1")
        case parser.Broken():
            return "Broken"
        case SipSyntaxError():
            return f"refused {event.code}"
        case _:
            return type(event).__name__


@given(spoilt([b'"A" <sip:a@b:5060;transport=tcp?x=y>;tag=1', b"sip:a@b;tag=1", b"<tel:+1-2>", b"sips:[::1]:1"], WORDS))
def test_addresses(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(SipSyntaxError):
        address = NameAddress.parse(text)
        assert NameAddress.parse(str(address)).uri.equivalent(address.uri)


@given(spoilt(SDP, SDP_WORDS))
def test_session_descriptions(data: bytes) -> None:
    try:
        theirs = SessionDescription.parse(data)
    except SipSyntaxError:
        return
    origin = Origin("-", 1, 1, "10.0.0.1")
    _ = theirs.origin, theirs.on_hold, theirs.with_direction("sendonly"), theirs.restrict(lambda name: name == "PCMU")
    outlets = {at: Outlet("10.0.0.1", 61_000 + 2 * at, media.protocol) for at, media in enumerate(theirs.media)}
    passed = passed_offer(theirs, origin, outlets, more=("PCMU/8000", "PCMA/8000"))
    assert len(SessionDescription.parse(passed.encode()).media) == len(theirs.media)
    for offer, found in ((theirs, GOOD), (GOOD, theirs), (passed, theirs)):
        answered = passed_answer(offer, found, origin, outlets, speaks=("PCMU/8000",))
        assert len(SessionDescription.parse(answered.encode()).media) == len(offer.media)
    with contextlib.suppress(NotAcceptable):
        ours, agreed = answer(theirs, origin, "10.0.0.1", 61_000)
        SessionDescription.parse(ours.encode())
        assert 0 <= agreed.remote[1] < 65_536
    with contextlib.suppress(NotAcceptable):
        agree(make_offer(origin, "10.0.0.1", 61_000), theirs)


@given(spoilt(CREDENTIALS, [b"qop=", b"algorithm=MD5-sess", b'nonce="', b"username*=UTF-8''x"]))
def test_digest_headers(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    server = digest.DigestServer(ManualClock(), SeededEntropy())
    with contextlib.suppress(SipSyntaxError):
        given_ = digest.parse_authorization(text)
        assert server.verify(given_, "REGISTER", "0" * 32) != "ok"
        assert server.verify(given_, "REGISTER", None) != "ok"
    with contextlib.suppress(SipSyntaxError):
        digest.respond(digest.parse_challenge(text), username="a", password="b", method="X", uri="sip:x", cnonce="c")
