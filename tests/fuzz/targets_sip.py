"""What the signalling makes of octets: messages, streams, addresses, descriptions, credentials, WebSocket frames.

Each target takes any octets and raises nothing: what a reader documents is expected here, everything else is a finding.
"""

from __future__ import annotations

import contextlib

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.b2bua.bodies import info_digit, read_description, unreadable
from pbx.sipcore import digest, parser
from pbx.sipcore.dialog import Dialog, next_hop
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.offer_answer import agree, answer, make_offer
from pbx.sipcore.passing import Outlet, numbers_of, passed_answer, passed_offer
from pbx.sipcore.sdp import Origin, SessionDescription
from pbx.sipcore.sdp_security import browserly, control_address, cryptos
from pbx.sipcore.section_guard import Circumstances, MediaSecurity, SectionGuard
from pbx.sipcore.uri import NameAddress, Uri
from pbx.transport.handshakes import HandshakeLimits, Handshakes
from pbx.transport.network import Endpoint, Stream
from pbx.transport.websocket import LARGEST, WebSocketStream

ORIGIN = Origin("-", 1, 1, "10.0.0.1")
GOOD = SessionDescription.parse(
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)


def sip_message(data: bytes) -> None:
    """A datagram: parsed, read as the server reads it, answered."""
    try:
        message = parser.parse(data)
    except SipSyntaxError as error:
        _answerable(error)
        return
    _read(message)
    if isinstance(message, Request) and parser.screen(message) is None:
        _ = Uri.parse(message.uri), message.contacts
        with contextlib.suppress(SipSyntaxError):
            next_hop(message)
        with contextlib.suppress(SipSyntaxError):
            read_description(message)
        _ = unreadable(message), info_digit(message)
        dialog = Dialog.uas(message, "local", "<sip:us>")
        _read(parser.parse(_with_via(dialog.new_request("BYE"))))
        _read(response_to(message, 200, to_tag="t"))


def _read(message: Request | Response) -> None:
    """What the server reads of each message that was let in: none of it may raise."""
    _ = message.call_id, message.cseq, message.from_.uri, message.to, message.from_tag, message.to_tag
    _ = message.top_via.branch, message.top_via.sent_by, message.content_type, message.tokens("Supported")
    for name in ("Max-Forwards", "Expires", "Min-SE", "Content-Length"):
        message.number(name)
    again = parser.parse(message.encode())
    assert again.encode() == message.encode()


def _answerable(error: SipSyntaxError) -> None:
    """What comes with enough to answer it can be answered."""
    if error.request is not None:
        assert response_to(error.request, error.code, error.reason, to_tag="t").encode().startswith(b"SIP/2.0 ")
        assert error.request.top_via.stamped(("192.0.2.9", 5060)).sent_by


def _with_via(request: Request) -> bytes:
    request.insert_first("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx")
    return request.encode()


def sip_stream(data: bytes) -> None:
    """A stream says the same however it is cut; the first octet tells how."""
    size, stream = 1 + (data[0] if data else 0), data[1:]
    expected = [_said(event) for event in parser.StreamFramer().feed(stream)]
    framer, found = parser.StreamFramer(), list[str]()
    for at in range(0, len(stream), size):
        found += [_said(event) for event in framer.feed(stream[at : at + size])]
    assert found == expected


def _said(event: object) -> str:
    match event:
        case Request() | Response():
            return event.encode().decode("latin-1")
        case parser.Broken():
            return "Broken"
        case SipSyntaxError():
            _answerable(event)
            return f"refused {event.code}"
        case _:
            return type(event).__name__


def address(data: bytes) -> None:
    """A name and an address; what is written is read as the same."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(SipSyntaxError):
        found = NameAddress.parse(text)
        assert NameAddress.parse(str(found)).uri.equivalent(found.uri)


def description(data: bytes) -> None:
    """A session description: offered, answered, passed on, with its keys and certificates."""
    try:
        theirs = SessionDescription.parse(data)
    except SipSyntaxError:
        return
    _ = theirs.origin, theirs.on_hold, theirs.with_direction("sendonly"), theirs.restrict(lambda name: name == "PCMU")
    outlets = {at: Outlet("10.0.0.1", 61_000 + 2 * at, media.protocol) for at, media in enumerate(theirs.media)}
    passed = passed_offer(theirs, ORIGIN, outlets, more=("PCMU/8000", "PCMA/8000"), used=numbers_of(GOOD))
    assert len(SessionDescription.parse(passed.encode()).media) == len(theirs.media)
    for offer, found in ((theirs, GOOD), (GOOD, theirs), (passed, theirs)):
        answered = SessionDescription.parse(
            passed_answer(offer, found, ORIGIN, outlets, speaks=("PCMU/8000",)).encode()
        )
        _nothing_new(offer, answered)
    with contextlib.suppress(NotAcceptable):
        ours, agreed = answer(theirs, ORIGIN, "10.0.0.1", 61_000)
        _nothing_new(theirs, SessionDescription.parse(ours.encode()))
        assert 0 <= agreed.remote[1] < 65_536
    with contextlib.suppress(NotAcceptable):
        agree(make_offer(ORIGIN, "10.0.0.1", 61_000), theirs)
    _protected(theirs)


def _nothing_new(offer: SessionDescription, answered: SessionDescription) -> None:
    """RFC 3264 §6: as many sections, and no format that was not offered."""
    assert len(answered.media) == len(offer.media)
    for asked, got in zip(offer.media, answered.media, strict=True):
        if got.port:
            assert set(got.formats) <= set(asked.formats), (asked.formats, got.formats)


def _protected(theirs: SessionDescription) -> None:
    for media in theirs.media:
        _ = cryptos(media), browserly(theirs, media), control_address(theirs, media)
        about = Circumstances(SeededEntropy(1), MediaSecurity.OPTIONAL, True, False, lambda: "sha-256 AA:BB")
        guard = SectionGuard(about)
        with contextlib.suppress(NotAcceptable):
            guard.answer(theirs, media, ("10.0.0.1", 61_000))
            guard.settle(theirs, media)
        guard = SectionGuard(about)
        guard.offer(("10.0.0.1", 61_000))
        with contextlib.suppress(NotAcceptable):
            guard.settle(theirs, media)


def credentials(data: bytes) -> None:
    """Digest headers, of those who ask and of those who answer."""
    text = data.decode("utf-8", "replace")
    server = digest.DigestServer(ManualClock(), SeededEntropy())
    with contextlib.suppress(SipSyntaxError):
        given = digest.parse_authorization(text)
        assert server.verify(given, "REGISTER", "0" * 32) != "ok"
        assert server.verify(given, "REGISTER", None) != "ok"
    with contextlib.suppress(SipSyntaxError):
        digest.respond(digest.parse_challenge(text), username="a", password="b", method="X", uri="sip:x", cnonce="c")


_UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
)


class _Below:
    """The stream under a WebSocket; it takes everything."""

    local: Endpoint = ("10.0.0.1", 8088)
    remote: Endpoint = ("10.0.0.9", 40_000)
    unsent = 0

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class _Page:
    """Who is given whole messages; now and then it answers."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def received(self, data: bytes) -> None:
        assert len(data) <= LARGEST
        sip_message(data)
        self._stream.write(b"SIP/2.0 200 OK\r\n\r\n")

    def ended(self) -> None: ...


def web_socket(data: bytes) -> None:
    """Frames behind an upgrade (an even first octet), or an upgrade itself; the second octet tells how they are cut."""
    metrics = Metrics()
    under_way = Handshakes(ManualClock(), metrics, HandshakeLimits()).begin("10.0.0.9", lambda: None)
    assert under_way is not None
    stream = WebSocketStream(_Below(), _Page, under_way, metrics, lambda origin: origin is None)
    first, size, rest = data[:1], 1 + (data[1] if len(data) > 1 else 0), data[2:]
    if not first or first[0] % 2 == 0:
        stream.received(_UPGRADE)
    for at in range(0, len(rest), size):
        stream.received(rest[at : at + size])
    stream.close()
    stream.ended()
