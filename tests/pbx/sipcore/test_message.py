"""Messages: reading, changing, framing. RFC 3261 §7, §8.2.6, §18.3, §20; RFC 3581."""

from __future__ import annotations

import pytest

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.headers import Via, split_list
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import MAX_BODY, MAX_HEAD, Broken, Ping, StreamFramer, parse, screen

INVITE = (
    b"INVITE sip:bob@biloxi.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bK776asdhds, SIP/2.0/TCP two.example\r\n"
    b"v: SIP/2.0/UDP three.example\r\n"
    b"Max-Forwards: 70\r\n"
    b'To: "Bob"   <sip:bob@biloxi.example>\r\n'
    b"f: Alice <sip:alice@atlanta.example>;tag=1928301774\r\n"
    b"Call-ID: a84b4c76e66710@pc33.atlanta.example\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Record-Route: <sip:p1.example;lr>\r\n"
    b"m: <sip:alice@pc33.atlanta.example>\r\n"
    b"Subject: one\r\n  two\r\n"
    b"Content-Type: application/sdp\r\n"
    b"l: 4\r\n\r\nv=0\r"
)


def invite() -> Request:
    message = parse(INVITE)
    assert isinstance(message, Request)
    return message


def test_headers_are_found_by_any_name() -> None:
    message = invite()
    assert message.get("from") == message.get("F") == "Alice <sip:alice@atlanta.example>;tag=1928301774"
    assert message.get("Subject") == "one two", "folding means one space"
    assert (message.from_tag, message.to_tag, message.to.display) == ("1928301774", "", "Bob")
    assert message.cseq.number == 314159
    assert message.contacts[0].text == "sip:alice@pc33.atlanta.example"
    assert message.get("Route") is None
    assert message.get_all("Via")[1:] == ["SIP/2.0/TCP two.example", "SIP/2.0/UDP three.example"]


def test_untouched_lines_come_out_as_they_came_in() -> None:
    message = invite()
    assert message.encode() == INVITE
    forwarded = message.copy()
    forwarded.insert_first("Via", "SIP/2.0/UDP us.example;branch=z9hG4bKx")
    forwarded.set("Max-Forwards", "69")
    forwarded.uri = "sip:bob@192.0.2.4"
    expected = INVITE.replace(b"Max-Forwards: 70", b"Max-Forwards: 69").replace(
        b"biloxi.example SIP", b"192.0.2.4 SIP", 1
    )
    expected = expected.replace(b"\r\nVia:", b"\r\nVia: SIP/2.0/UDP us.example;branch=z9hG4bKx\r\nVia:", 1)
    assert forwarded.encode() == expected
    assert message.encode() == INVITE, "a copy is its own"


def test_the_first_value_of_a_list_is_popped() -> None:
    message = invite()
    assert message.remove_first("Via") == "SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bK776asdhds"
    assert (message.top_via.transport, message.top_via.host) == ("TCP", "two.example")
    message.remove_first("Via")
    assert message.top_via.host == "three.example"
    message.remove_first("Via")
    assert message.remove_first("Via") is None


def test_a_new_message_has_its_headers_in_customary_order() -> None:
    request = Request("MESSAGE", "sip:bob@b.example")
    request.set_body(b"hi", "text/plain")
    for name in ("CSeq", "Contact", "User-Agent", "Call-ID", "To", "From", "Max-Forwards", "Via"):
        request.add(name, "1 MESSAGE" if name == "CSeq" else name.lower())
    names = [line.partition(b":")[0] for line in request.encode().split(b"\r\n")[1:-2]]
    assert names == (
        b"Via Max-Forwards From To Call-ID CSeq Contact User-Agent Content-Type Content-Length".split()
    )  # fmt: skip


def test_line_breaks_in_a_value_inject_nothing() -> None:
    request = invite()
    request.set("Subject", "x\r\nRoute: <sip:evil.example>\r\n\r\nbody")
    assert parse(request.encode()).get("Route") is None
    response = response_to(request, 404, "Not\r\nVia: x")
    assert b"\r\nVia: x" not in response.encode()


def test_content_length_follows_the_body() -> None:
    request = invite()
    request.body = b"longer"
    assert parse(request.encode()).body == b"longer"
    request.body = b""
    assert request.encode().endswith(b"Content-Length: 0\r\n\r\n")


def test_octets_that_are_no_utf8_survive() -> None:
    data = INVITE.replace(b"Subject: one", b"Subject: \xff\xfe")
    assert parse(data).encode() == data


def test_set_leaves_one_line() -> None:
    message = invite()
    message.set("Via", "SIP/2.0/UDP only.example")
    assert message.get_all("Via") == ["SIP/2.0/UDP only.example"]
    assert message.top_via.host == "only.example"
    message.remove("v")
    assert not message.has("Via")


def test_a_response_copies_what_it_must() -> None:
    """RFC 3261 §8.2.6.2 and §12.1.1."""
    ringing = response_to(invite(), 180, to_tag="314")
    assert ringing.get_all("Via") == invite().get_all("Via")
    assert ringing.get("To") == '"Bob"   <sip:bob@biloxi.example>;tag=314'
    assert ringing.get("Record-Route") == "<sip:p1.example;lr>"
    assert (ringing.method, ringing.reason, ringing.status) == ("INVITE", "Ringing", 180)
    assert response_to(invite(), 486, to_tag="314").get("Record-Route") is None
    assert response_to(invite(), 100, to_tag="314").to_tag == "", "RFC 3261 §8.2.6.2: no tag is needed on a 100"
    parse(ringing.encode())


def test_a_tag_of_the_peer_is_kept() -> None:
    request = invite()
    request.set("To", "<sip:bob@biloxi.example>;tag=theirs")
    assert response_to(request, 200, to_tag="ours").to_tag == "theirs"


def test_a_tag_goes_behind_a_loose_semicolon() -> None:
    request = invite()
    request.set("To", "sip:bob@biloxi.example;")
    assert response_to(request, 200, to_tag="1").get("To") == "sip:bob@biloxi.example;tag=1"


def test_a_list_that_opens_and_does_not_close_keeps_its_rest() -> None:
    assert split_list("<sip:a>, <sip:b, c, d") == ["<sip:a>", "<sip:b, c, d"]
    assert split_list('a, "b, c') == ["a", '"b, c']


@pytest.mark.parametrize(
    ("via", "source", "stamped"),
    [
        ("SIP/2.0/UDP 192.0.2.1:5060;branch=b", ("192.0.2.1", 5060), "SIP/2.0/UDP 192.0.2.1:5060;branch=b"),
        ("SIP/2.0/UDP pc.example;branch=b", ("192.0.2.1", 5060), "SIP/2.0/UDP pc.example;branch=b;received=192.0.2.1"),
        ("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=b", ("192.0.2.1", 9988),
         "SIP/2.0/UDP 10.1.1.1:4540;rport=9988;branch=b;received=192.0.2.1"),
        ("SIP/2.0/UDP 192.0.2.1;received=1.2.3.4", ("192.0.2.1", 5060), "SIP/2.0/UDP 192.0.2.1"),
    ],
)  # fmt: skip
def test_received_and_rport(via: str, source: tuple[str, int], stamped: str) -> None:
    """RFC 3261 §18.2.1, RFC 3581 §4; what the sender says in `received` is not believed."""
    assert str(Via.parse(via).stamped(source)) == stamped


def test_lists_split_outside_quotes_and_brackets() -> None:
    assert split_list('"a, b" <sip:x,y@z>, <sip:q>;p="1,2" , token') == [
        '"a, b" <sip:x,y@z>',
        '<sip:q>;p="1,2"',
        "token",
    ]
    assert split_list("") == split_list(" , ,") == []


def test_numbers() -> None:
    message = invite()
    message.set("Expires", "3600;x")
    assert message.number("Expires") == 3600
    message.set("Expires", "99999999999")
    assert message.number("Expires") is None
    message.set("Expires", "²")
    assert message.number("Expires") is None


def test_bounds() -> None:
    with pytest.raises(SipSyntaxError) as caught:
        parse(INVITE.replace(b"one", b"x" * MAX_HEAD))
    assert caught.value.code == 513
    big = INVITE.replace(b"l: 4", b"l: %d" % (MAX_BODY + 1)) + b"x" * MAX_BODY
    with pytest.raises(SipSyntaxError) as caught:
        parse(big)
    assert caught.value.code == 513


def test_screen_passes_a_good_request() -> None:
    assert screen(invite()) is None


# --- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_is_cut_by_content_length() -> None:
    """RFC 3261 §18.3, octet by octet, two messages and a keepalive between them (RFC 5626 §3.5.1)."""
    framer = StreamFramer()
    events = [event for octet in INVITE + b"\r\n\r\n" + INVITE for event in framer.feed(bytes([octet]))]
    assert [type(event) for event in events] == [Request, Ping, Request]
    assert [event.encode() for event in events if isinstance(event, Request)] == [INVITE, INVITE]


def test_a_bad_message_of_known_length_does_not_end_the_stream() -> None:
    bad = INVITE.replace(b"CSeq: 314159 INVITE", b"CSeq: x")
    events = StreamFramer().feed(bad + INVITE)
    assert [type(event) for event in events] == [SipSyntaxError, Request]
    assert isinstance(events[0], SipSyntaxError)
    assert events[0].request is not None


@pytest.mark.parametrize(
    "data",
    [
        INVITE.replace(b"l: 4\r\n", b""),
        INVITE.replace(b"l: 4", b"l: -1"),
        INVITE.replace(b"l: 4", b"l: 4\r\nContent-Length: 5"),
        INVITE.replace(b"l: 4", b"l: 999999"),
    ],
)
def test_without_a_usable_length_the_stream_is_lost(data: bytes) -> None:
    framer = StreamFramer()
    (event,) = framer.feed(data)
    assert isinstance(event, Broken)
    assert event.error.request is not None, "a 400 is owed before the connection closes"
    assert framer.feed(INVITE) == []


def test_an_endless_header_is_cut_off() -> None:
    framer = StreamFramer()
    events = [event for _ in range(100) for event in framer.feed(b"X" * 1000)]
    assert [type(event) for event in events] == [Broken]


def test_a_response_is_read() -> None:
    message = parse(response_to(invite(), 200, to_tag="1", headers=[("Contact", "<sip:b@192.0.2.4>")]).encode())
    assert isinstance(message, Response)
    assert (message.is_success, message.is_final, message.is_provisional) == (True, True, False)
