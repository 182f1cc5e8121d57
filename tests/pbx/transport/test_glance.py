"""The first look at a message, and the 503 that is made from its lines."""

from __future__ import annotations

import pytest

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import parse
from pbx.transport.glance import Preferences, Rank, glance, glance_at
from pbx.transport.refusal import Refusals

FLOW = Flow("udp", ("192.0.2.9", 5060), ("192.0.2.1", 5061))


def message(
    method: str = "INVITE",
    uri: str = "sip:bob@example.org",
    *more: str,
    to: str = "<sip:bob@example.org>",
    cseq: str = "",
) -> bytes:
    lines = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bKx1;rport",
        "Max-Forwards: 70",
        "From: <sip:alice@example.org>;tag=a",
        f"To: {to}",
        "Call-ID: c1",
        f"CSeq: 7 {cseq or method}",
        *more,
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("data", "rank"),
    [
        (b"SIP/2.0 200 OK\r\n\r\n", Rank.WITHIN),
        (message("ACK"), Rank.WITHIN),
        (message("BYE"), Rank.WITHIN),
        (message("PRACK"), Rank.WITHIN),
        (message("CANCEL"), Rank.WITHIN),
        (message(to="<sip:bob@example.org> ; Tag = b"), Rank.WITHIN),
        (message("REFER", to="<sip:bob@example.org>;tag=b"), Rank.WITHIN),
        (message("REGISTER", "sip:example.org"), Rank.NEW),
        (message("REGISTER", "sip:example.org", 'Authorization: Digest username="a"'), Rank.SOON),
        (message("INVITE", "sip:bob@example.org", 'proxy-authorization : Digest username="a"'), Rank.SOON),
        (message("INVITE", "sip:112@example.org"), Rank.SOON),
        (message("INVITE", "urn:service:sos.fire"), Rank.SOON),
        (message("MESSAGE", "sip:112@example.org"), Rank.NEW),
        (message("PUBLISH", "sip:a@example.org", "SIP-If-Match: 1"), Rank.SOON),
        (message(), Rank.NEW),
        (b"\r\n" + message(), Rank.NEW),
        (b"INVITE", Rank.NEW),
        (b"\xff\x00garbage without any end", Rank.NEW),
    ],
)
def test_ranks(data: bytes, rank: Rank) -> None:
    preferences = Preferences(emergency=lambda number: number == "112")
    assert glance(data, FLOW, preferences).rank is rank
    if b"\r\n\r\n" in data and data[:2] not in (b"\r\n", b"SI"):
        assert glance_at(parse(data), FLOW, preferences) == glance(data, FLOW, preferences)


def test_a_refresh_of_a_registered_phone_is_preferred_and_its_calls_are_not() -> None:
    preferences = Preferences(registered=lambda flow: flow == FLOW)
    assert glance(message("REGISTER"), FLOW, preferences).rank is Rank.SOON
    assert glance(message("INVITE"), FLOW, preferences).rank is Rank.NEW


def test_a_repetition_has_the_same_key_and_a_cancel_that_of_its_invite() -> None:
    preferences = Preferences()
    invite = glance(message(), FLOW, preferences).key
    assert invite == glance(message(), FLOW, preferences).key
    assert invite == glance(message("CANCEL"), FLOW, preferences).key
    assert invite != glance(message().replace(b"CSeq: 7", b"CSeq: 8"), FLOW, preferences).key
    assert invite != glance(message().replace(b"z9hG4bKx1", b"z9hG4bKx2"), FLOW, preferences).key


def test_the_refusal_finds_its_way_and_is_always_the_same() -> None:
    refusals = Refusals("5ec7e7")
    answer = refusals.of_octets(message(), FLOW, 17)
    assert answer is not None
    back, octets = answer
    response = parse(octets)
    assert isinstance(response, Response)
    assert (back, response.status, response.get("Retry-After")) == (FLOW, 503, "17")
    assert (response.top_via.received, response.top_via.rport) == FLOW.remote  # RFC 3581 §4
    assert (response.call_id, response.from_tag, str(response.cseq)) == ("c1", "a", "7 INVITE")
    again = refusals.of_octets(message(), FLOW, 9)
    assert again is not None
    assert parse(again[1]).to_tag == response.to_tag
    assert refusals.answered(message("ACK", to=f"<sip:bob@example.org>;tag={response.to_tag}"))
    assert not refusals.answered(message("ACK", to="<sip:bob@example.org>;tag=other"))


def test_without_rport_the_refusal_goes_to_the_port_of_the_via() -> None:
    data = message().replace(b";rport", b"").replace(b"192.0.2.1:5061", b"192.0.2.1:5070")
    answer = Refusals("m").of_octets(data, FLOW, 5)
    assert answer is not None
    assert answer[0].remote == ("192.0.2.1", 5070)
    natted = message().replace(b";rport", b"").replace(b"192.0.2.1:5061", b"10.0.0.4:5070")
    answer = Refusals("m").of_octets(natted, FLOW, 5)
    assert answer is not None
    assert answer[0] == FLOW
    assert parse(answer[1]).top_via.received == "192.0.2.1"


def test_what_is_no_request_gets_no_refusal() -> None:
    refusals = Refusals("m")
    for data in (b"", b"INVITE x SIP/2.0\r\n\r\n", message()[:-4], message().replace(b"Call-ID", b"X"), b"\xff" * 600):
        assert refusals.of_octets(data, FLOW, 5) is None


def test_a_request_over_a_stream_is_refused_too() -> None:
    request = parse(message())
    assert isinstance(request, Request)
    response = parse(Refusals("m").of_request(request, 8))
    assert isinstance(response, Response)
    assert (response.status, response.get("Retry-After"), response.to_tag[:1]) == (503, "8", "m")
