"""Requests that are sent once, and who waits for their answers."""

from __future__ import annotations

import pytest

from base.entropy import SeededEntropy
from pbx.sipcore.message import Request, Response, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.questions import Final, lone_request
from pbx.sipcore.uri import Uri

VIA = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"


def asked() -> Request:
    return lone_request(
        SeededEntropy(1),
        "OPTIONS",
        "sip:bob@192.0.2.7",
        sender="sip:pbx.example",
        to="sip:bob@pbx.example",
        contact=Uri.parse("sip:192.0.2.1:5060"),
        path=["<sip:edge.example;lr>"],
    )


def test_a_request_outside_dialogs_says_what_each_must_say() -> None:
    """RFC 3261 §8.1.1."""
    request = asked()
    assert (request.from_tag != "", request.to_tag, request.cseq.number) == (True, "", 1)
    assert (str(request.from_.uri), str(request.to.uri)) == ("sip:pbx.example", "sip:bob@pbx.example")
    for name in ("Call-ID", "Max-Forwards", "Contact", "Route"):
        assert request.has(name), name
    request.add("Via", VIA)  # by the transaction
    assert isinstance(parse(request.encode()), Request)


@pytest.mark.parametrize("status", [200, 302, 404, 503, 603])
def test_who_waits_is_told_the_final_answer_only(status: int) -> None:
    told: list[Response | None] = []
    waiting, request = Final(told.append), asked()
    request.add("Via", VIA)
    waiting.on_response(response_to(request, 100))
    waiting.on_response(response_to(request, 183, to_tag="b"))
    assert not told
    waiting.on_response(response_to(request, status, to_tag="b"))
    assert [None if each is None else each.status for each in told] == [status]


def test_who_waits_is_told_that_no_answer_will_come() -> None:
    told: list[Response | None] = []
    Final(told.append).on_failure("timeout")
    assert told == [None]
