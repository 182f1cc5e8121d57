"""Which refusals speak of the way that a call has gone, and not of who is called."""

from __future__ import annotations

import pytest

from pbx.b2bua.elsewhere import helps, is_heard
from pbx.sipcore.message import Request, Response, response_to


def said(status: int, reason: str = "", body: bytes = b"") -> Response:
    request = Request("INVITE", "sip:1@provider.example")
    for name, value in (("From", "<sip:a@b.c>;tag=1"), ("To", "<sip:1@p.q>"), ("Call-ID", "x"), ("CSeq", "1 INVITE")):
        request.add(name, value)
    request.add("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
    response = response_to(request, status, to_tag="t", headers=[("Reason", reason)] if reason else [])
    if body:
        response.set_body(body, "application/sdp")
    return response


@pytest.mark.parametrize("status", [401, 402, 407, 430, 500, 501, 502, 503, 504, 505, 513, 580])
def test_these_speak_of_the_way(status: int) -> None:
    assert helps(said(status))
    assert not helps(said(status), heard=True)


@pytest.mark.parametrize("status", [400, 403, 404, 408, 410, 415, 480, 484, 486, 487, 488, 600, 603, 604, 607])
def test_these_speak_of_who_is_called_or_of_the_call(status: int) -> None:
    assert not helps(said(status))


@pytest.mark.parametrize(
    ("status", "reason", "another"),
    [
        (404, "Q.850;cause=34", True),
        (480, 'Q.850;cause=38;text="network out of order"', True),
        (603, "SIP;cause=603, Q.850 ; text=x ; cause = 42", True),
        (408, "q.850;cause=41", True),
        (486, "Q.850;cause=47", True),
        (503, "Q.850;cause=17", False),
        (502, "Q.850;cause=27", False),
        (500, 'SIP;cause=34, Q.850;cause=1;text="unallocated"', False),
        (503, "Q.850;cause=16", True),  # "normal clearing" says nothing: the status counts
        (503, "Q.850;cause=127", True),
        (404, "Q.850;cause=3", False),
        (404, "SIP;cause=34", False),
        (404, "Q.850;cause=3400", False),
        (404, "Q.850;because=34", False),
    ],
)
def test_the_cause_of_the_telephone_network_says_more_than_the_status(status: int, reason: str, another: bool) -> None:
    assert helps(said(status, reason)) is another


def test_no_answer_at_all() -> None:
    assert helps(None)
    assert not helps(None, heard=True)


def test_who_calls_for_help_is_let_down_by_nobody() -> None:
    assert helps(said(603), heard=True, urgent=True)
    assert helps(None, heard=True, urgent=True)


def test_what_a_caller_hears() -> None:
    assert not is_heard(said(100))
    assert not is_heard(said(183))
    assert is_heard(said(183, body=b"v=0"))
    assert is_heard(said(180))
    assert is_heard(said(182))
