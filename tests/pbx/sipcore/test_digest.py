"""Digest authentication: the examples of RFC 7616 §3.9 and RFC 2617 §3.5, nonces, replay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.clock import ManualClock
from base.entropy import SeededEntropy
from pbx.sipcore import digest
from pbx.sipcore.digest import Algorithm, DigestServer, expected, ha1, parse_authorization, parse_challenge, respond
from pbx.sipcore.failures import SipSyntaxError

RFC7616 = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{response}", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: Algorithm, response: str) -> None:
    given = parse_authorization(RFC7616.format(algorithm=algorithm, response=response))
    secret = ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
    assert expected(given, secret, "GET") == given.response == response


def test_the_example_of_rfc_2069_without_qop() -> None:
    """RFC 2617 §3.2.2.1: without qop the old form."""
    given = parse_authorization(
        'Digest username="Mufasa",realm="testrealm@host.com",nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
        'uri="/dir/index.html",response="670fd8c2df070c60b045671b8b24ff02"'
    )
    assert expected(given, ha1("Mufasa", "testrealm@host.com", "Circle Of Life"), "GET") == given.response


class Phone:
    """A client that knows its password, before a server of its own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.server = DigestServer(self.clock, SeededEntropy())
        self.asked = self.server.challenge("house.example")

    def credentials(self, count: int = 1, password: str = "secret", method: str = "REGISTER") -> digest.Credentials:
        text = respond(
            parse_challenge(self.asked),
            username="alice", password=password, method=method, uri="sip:house.example", cnonce="c", count=count,
        )  # fmt: skip
        return parse_authorization(text)

    def verdict(self, given: digest.Credentials, method: str = "REGISTER") -> str:
        algorithm: Algorithm = "SHA-256" if given.algorithm == "SHA-256" else "MD5"
        return self.server.verify(given, method, ha1("alice", "house.example", "secret", algorithm))


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_the_right_password_is_good_once_for_each_count(algorithm: Algorithm) -> None:
    phone = Phone()
    phone.asked = phone.server.challenge("house.example", algorithm)
    assert phone.verdict(phone.credentials(1)) == "ok"
    assert phone.verdict(phone.credentials(1)) == "stale", "RFC 7616 §5.5: a replay"
    assert phone.verdict(phone.credentials(2)) == "ok"
    assert phone.verdict(phone.credentials(9)) == "ok"
    assert phone.verdict(phone.credentials(3)) == "stale"


def test_what_is_wrong_is_bad() -> None:
    phone = Phone()
    assert phone.verdict(phone.credentials(password="guess")) == "bad"
    assert phone.verdict(phone.credentials(), "INVITE") == "bad", "the method is part of the proof"
    assert phone.server.verify(phone.credentials(), "REGISTER", None) == "bad"
    assert phone.server.verify(phone.credentials(), "REGISTER", "") == "bad"


def test_an_old_nonce_is_stale() -> None:
    phone = Phone()
    phone.clock.advance(299)
    assert phone.verdict(phone.credentials(1)) == "ok"
    phone.clock.advance(2)
    assert phone.verdict(phone.credentials(2)) == "stale"
    assert phone.verdict(phone.credentials(2, password="guess")) == "bad", (
        "stale is only told to who knows the password"
    )


@pytest.mark.parametrize("nonce", ["", "x", "0.000000000000." + "0" * 32, "1.1.1"])
def test_a_nonce_of_another_is_stale(nonce: str) -> None:
    phone = Phone()
    phone.asked = digest.challenge("house.example", nonce)
    assert phone.verdict(phone.credentials()) == "stale"


def test_without_qop_a_nonce_serves_once() -> None:
    phone = Phone()
    phone.asked = phone.asked.replace(', qop="auth"', "")
    given = phone.credentials()
    assert given.qop is None
    assert [phone.verdict(given), phone.verdict(given)] == ["ok", "stale"]


def test_forgotten_counts_make_a_nonce_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "MAX_COUNTED", 2)
    phone = Phone()
    first = phone.asked
    assert phone.verdict(phone.credentials()) == "ok"
    for _ in range(3):
        phone.clock.advance(1)
        phone.asked = phone.server.challenge("house.example")
        assert phone.verdict(phone.credentials()) == "ok"
    phone.asked = first
    assert phone.verdict(phone.credentials(1)) == "stale", "no replay by filling the table"


@pytest.mark.parametrize(
    ("old", "new"),
    [("qop=auth", "qop=auth-int"), ("MD5", "MD5-sess"), ("MD5", "SHA-512-256"), ("nc=00000001", "nc=zz")],
)
def test_what_we_do_not_do_is_not_good(old: str, new: str) -> None:
    phone = Phone()
    text = respond(
        parse_challenge(phone.asked), username="alice", password="secret", method="REGISTER", uri="sip:h", cnonce="c"
    )
    assert phone.verdict(parse_authorization(text.replace(old, new))) == "bad"


def test_a_challenge_is_read_back() -> None:
    asked = parse_challenge(digest.challenge('a "b" \\', "n", "SHA-256", stale=True))
    assert (asked.realm, asked.nonce, asked.algorithm, asked.qop, asked.stale) == (
        'a "b" \\',
        "n",
        "SHA-256",
        ("auth",),
        True,
    )


@pytest.mark.parametrize(
    "text", ["", "Basic x", "Digest", "Digest username", 'Digest username="a", username="b"', 'Digest a="']
)
def test_credentials_that_cannot_be_read(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_authorization(text)


def test_a_challenge_that_we_cannot_answer() -> None:
    for text in ('Digest realm="r", nonce="n", qop="auth-int"', 'Digest realm="r", nonce="n", algorithm=X'):
        with pytest.raises(SipSyntaxError):
            respond(parse_challenge(text), username="a", password="p", method="M", uri="sip:h", cnonce="c")


@given(st.text())
def test_reading_raises_nothing_else(text: str) -> None:
    for prefix in ("", "Digest "):
        try:
            given = parse_authorization(prefix + text)
            Phone().verdict(given)
        except SipSyntaxError:
            pass
