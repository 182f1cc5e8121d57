"""The torture messages of `torture/ledger.txt`, and fuzzing: no bytes make the parser raise anything undocumented."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.metrics import Metrics
from pbx.sipcore.dialog import Dialog
from pbx.sipcore.digest import parse_authorization
from pbx.sipcore.failures import NotAcceptable, SipSyntaxError
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.offer_answer import answer
from pbx.sipcore.parser import StreamFramer, parse, screen
from pbx.sipcore.passing import Outlet, passed_offer
from pbx.sipcore.sdp import Origin, SessionDescription
from pbx.sipcore.transactions import ServerTransaction, TransactionLayer
from pbx.sipcore.uri import NameAddress, Uri

TORTURE = Path(__file__).parents[2] / "torture" / "ours"


def _ledger() -> list[tuple[str, str]]:
    rows = [
        line.split("|", 2) for line in (TORTURE / "ledger.txt").read_text().splitlines() if not line.startswith("#")
    ]
    return [(name.strip(), expected.strip()) for name, expected, _ in rows]


LEDGER = _ledger()
MESSAGES = [path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))]


def test_every_file_is_in_the_ledger() -> None:
    assert {name for name, _ in LEDGER} == {path.stem for path in TORTURE.glob("*.dat")}


@pytest.mark.parametrize(("name", "expected"), LEDGER, ids=[name for name, _ in LEDGER])
def test_torture(name: str, expected: str) -> None:
    data = (TORTURE / f"{name}.dat").read_bytes()
    verdict, _, code = expected.partition(" ")
    if verdict in ("valid", "screen"):
        message = parse(data)
        _comes_out_as_it_went_in(message, data)
        asked = screen(message) if isinstance(message, Request) else None
        assert asked is None if verdict == "valid" else asked is not None and asked[0] == int(code), asked
        return
    with pytest.raises(SipSyntaxError) as caught:
        parse(data)
    if verdict == "silence":
        assert caught.value.request is None, caught.value.reason
        return
    assert caught.value.code == int(code)
    assert caught.value.request is not None, caught.value.reason
    answered = response_to(caught.value.request, caught.value.code, caught.value.reason, to_tag="t")
    assert answered.top_via == caught.value.request.top_via


def _comes_out_as_it_went_in(message: Request | Response, data: bytes) -> None:
    """RFC 3261 §16.6: what a proxy does not change it passes on; here every octet of the header and the body."""
    head, _, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    sent_head, _, sent_body = message.encode().partition(b"\r\n\r\n")
    start, _, lines = head.partition(b"\r\n")
    sent_start, _, sent_lines = sent_head.partition(b"\r\n")
    assert sent_start.lower() == start.lower()
    assert sent_lines.removesuffix(b"\r\nContent-Length: 0") == lines.removesuffix(b"\r\nContent-Length: 0")
    assert body.startswith(sent_body)
    assert sent_body == message.body


def _use(message: Request | Response) -> None:
    """Touch what every later step touches."""
    _ = message.from_tag, message.to_tag, message.top_via.sent_by, message.cseq, message.call_id, message.content_type
    _ = message.number("Expires"), message.tokens("Supported"), message.get_all("Via")
    message.encode()
    if isinstance(message, Request) and screen(message) is None:
        Uri.parse(message.uri)
        _ = message.contacts, [NameAddress.parse(route) for route in message.get_all("Route")]
        response_to(message, 200, to_tag="x").encode()


def _try(data: bytes) -> None:
    try:
        message = parse(data)
    except SipSyntaxError as error:
        if error.request is not None:
            parse_again = response_to(error.request, error.code, error.reason, to_tag="x").encode()
            assert parse_again.startswith(b"SIP/2.0 ")
    else:
        _use(message)
        assert type(parse(message.encode())) is type(message)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
@example(b"")
def test_noise(data: bytes) -> None:
    _try(data)
    StreamFramer().feed(data)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(MESSAGES),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 6), st.binary(max_size=12)), min_size=1, max_size=4),
)
def test_mutilated_messages(data: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    """Real messages with octets cut out and others put in."""
    for at, length, new in cuts:
        at %= len(data) + 1
        data = data[:at] + new + data[at + length :]
    _try(data)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(MESSAGES), max_size=4), st.lists(st.integers(1, 300), min_size=1, max_size=20))
def test_streams_of_anything(messages: list[bytes], pieces: list[int]) -> None:
    """However a stream is cut, the framer gives the same events."""
    stream = b"".join(messages)
    whole = [type(event) for event in StreamFramer().feed(stream)]
    framer = StreamFramer()
    events: list[type] = []
    at = 0
    for index in range(len(stream)):
        if at >= len(stream):
            break
        size = pieces[index % len(pieces)]
        events += [type(event) for event in framer.feed(stream[at : at + size])]
        at += size
    assert events == whole


class _Core:
    """Answers every request that passes `screen`, and opens a dialog for it, as a user agent server would."""

    def send(self, flow: Flow, data: bytes) -> None:
        parse(data)

    def sent_by(self, flow: Flow) -> str:
        return "127.0.0.1:5060"

    def on_request(self, transaction: ServerTransaction) -> None:
        fault = screen(transaction.request)
        if fault is not None:
            transaction.reply(*fault)
            return
        Dialog.uas(transaction.request, transaction.local_tag).new_request("BYE").encode()
        transaction.reply(180)
        transaction.reply(200)

    def on_ack(self, request: Request, flow: Flow) -> None:
        pass

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        pass


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(MESSAGES), st.integers(0, 2000), st.integers(0, 6), st.binary(max_size=6)), max_size=6
    )
)
def test_mutilated_messages_through_the_transactions(cuts: list[tuple[bytes, int, int, bytes]]) -> None:
    """What parses goes through transactions and dialogs without a fault, and what we send in answer parses."""
    clock, core = ManualClock(), _Core()
    layer = TransactionLayer(clock, SeededEntropy(), core, core, Metrics())
    for data, at, length, new in cuts:
        at %= len(data)
        try:
            message = parse(data[:at] + new + data[at + length :])
        except SipSyntaxError:
            continue
        layer.receive(message, Flow("udp", ("127.0.0.1", 5060), ("192.0.2.7", 5060)))
        clock.advance(0.3)
    clock.advance(100)
    assert layer.server_count == layer.spent_count == clock.pending == 0


_HEAD = b"OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n"
_HEAD += b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n"


@pytest.mark.parametrize(
    "piece",
    [b"<", b'"', b'\\"', b",", b"<,", b'",', b" ", b";", b";a", b";a=", b"a@", b"a:", b"\t", b"%",
     b"<>", b"SIP/", b"/ ", b"1", b"=", b'a="'],
)  # fmt: skip
@pytest.mark.parametrize("name", [b"Via", b"From", b"Contact", b"Route", b"Authorization", b"CSeq", b"X"])
def test_no_header_costs_more_than_its_length(name: bytes, piece: bytes) -> None:
    """No pattern may run away: the biggest header that we take, of one piece over and over."""
    value = (piece * 16000)[:15000]
    start = time.process_time()
    for front in (b"", b"<sip:a@h>;x=,", b'"', b"SIP/2.0/UDP h", b"Digest "):
        data = _HEAD + name + b": " + front + value + b"\r\n\r\n"
        _try(data.replace(b"\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1", b"", 1) if name == b"Via" else data)
        try:
            parse_authorization((front + value).decode())
        except SipSyntaxError:
            pass
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "line", ["m=audio 1 RTP/AVP", "m=", "c=IN IP4", "o=", "a=rtpmap:0", "a=ptime:", "m=audio 1 RTP/AVP 0"]
)
@pytest.mark.parametrize("piece", [" ", " 0", "1", "/", ":", " x ", "\t"])
def test_no_description_costs_more_than_its_length(line: str, piece: str) -> None:
    start = time.process_time()
    text = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 0\r\n" + line + (piece * 65000)[:65000]
    try:
        description = SessionDescription.parse(text)
        outlets = {0: Outlet("192.0.2.2", 9, "RTP/AVP")}
        passed_offer(
            description.restrict(lambda name: True), Origin("x", 1, 1, "192.0.2.2"), outlets, more=["PCMA/8000"]
        )
        answer(description, Origin("x", 1, 1, "192.0.2.2"), "192.0.2.2", 9)
    except (SipSyntaxError, NotAcceptable):
        pass
    assert time.process_time() - start < 0.5
