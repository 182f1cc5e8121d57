"""The login of a trunk, for the requests of one call."""

from __future__ import annotations

from base.entropy import SeededEntropy
from pbx.sipcore import digest
from pbx.sipcore.message import Request, Response
from pbx.trunk.credentials import MOST_TRIES, Credentials, Login


def new(method: str = "INVITE") -> Request:
    return Request(method, "sip:112@provider.example")


def asks(status: int, nonce: str, more: str = "") -> Response:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    response = Response(status)
    response.add(name, f'Digest realm="provider", nonce="{nonce}", qop="auth"{more}')
    return response


def count(request: Request, name: str) -> tuple[str, str]:
    given = digest.parse_authorization(request.get(name) or "")
    return given.nonce, given.nc


def test_a_proxy_and_the_server_behind_it_are_counted_apart() -> None:
    """RFC 7616 §3.4: a nonce with a count that was used is refused."""
    credentials = Credentials(SeededEntropy(1), Login("line7", "s3cret"))
    request = new()
    attempt = credentials.prove(request)
    assert attempt.answer(request, asks(407, "p"))
    assert count(request, "Proxy-Authorization") == ("p", "00000001")
    assert attempt.answer(request, asks(401, "s"))
    assert count(request, "Proxy-Authorization") == ("p", "00000002")
    assert count(request, "Authorization") == ("s", "00000001")
    bye = new("BYE")
    credentials.prove(bye)
    assert count(bye, "Proxy-Authorization") == ("p", "00000003")
    assert count(bye, "Authorization") == ("s", "00000002")


def test_each_request_has_tries_of_its_own() -> None:
    credentials = Credentials(SeededEntropy(1), Login("line7", "s3cret"))
    for number in range(3):
        request = new("BYE")
        attempt = credentials.prove(request)
        assert attempt.answer(request, asks(401, f"n{number}"))
        assert not attempt.answer(request, asks(401, f"again{number}"))
        assert attempt.wrong


def test_a_carrier_that_is_never_content_is_left() -> None:
    credentials = Credentials(SeededEntropy(1), Login("line7", "s3cret"))
    request = new()
    attempt = credentials.prove(request)
    answered = sum(attempt.answer(request, asks(401, f"n{each}", ", stale=true")) for each in range(20))
    assert answered == MOST_TRIES
    assert not attempt.wrong
