"""A trunk's registration, stepped by hand against a provider that says what it likes."""

from __future__ import annotations

import pytest

from base.clock import ManualClock
from base.entropy import SeededEntropy
from pbx.sipcore import digest
from pbx.sipcore.message import Request, response_to
from pbx.sipcore.uri import Uri
from pbx.trunk.credentials import Login
from pbx.trunk.model import Trunk
from pbx.trunk.registration import FIRST_WAIT, LONGEST_WAIT, REFUSED_WAITS, Registration, State, Status

TRUNK = Trunk("home", "sip.provider.example", user="4930123", login="line7")
LOGIN = Login("line7", "s3cret")
CONTACT = Uri(host="192.0.2.1", port=5060)


class Provider:
    """The driver, and the far end of it."""

    def __init__(self, trunk: Trunk = TRUNK) -> None:
        self.clock = ManualClock()
        self.connects = 0
        self.sent: list[Request] = []
        self.news: list[Status] = []
        self.reachable = True
        self.registration = Registration(self.clock, SeededEntropy(1), trunk, LOGIN, "t-0a1b", self)

    def connect(self) -> None:
        self.connects += 1
        if self.reachable:
            self.registration.connected(CONTACT)
        else:
            self.registration.unreachable("no route to host")

    def send(self, request: Request) -> None:
        self.sent.append(request)

    def changed(self, status: Status) -> None:
        self.news.append(status)

    @property
    def last(self) -> Request:
        return self.sent[-1]

    def say(self, status: int, *headers: tuple[str, str], reason: str = "") -> None:
        request = self.last.copy()
        request.insert_first("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
        self.registration.answered(response_to(request, status, reason, to_tag="p", headers=list(headers)))

    def challenge(self, nonce: str = "n1", *, stale: bool = False, status: int = 401, algorithm: str = "MD5") -> None:
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        again = ", stale=true" if stale else ""
        self.say(status, (name, f'Digest realm="provider", nonce="{nonce}", algorithm={algorithm}, qop="auth"{again}'))

    def accept(self, seconds: int = 600) -> None:
        self.say(200, ("Contact", f"<sip:other@192.0.2.9>;expires=20, {self.contact};expires={seconds}"))

    @property
    def contact(self) -> str:
        return "<sip:t-0a1b@192.0.2.1:5060>"

    @property
    def state(self) -> State:
        return self.registration.status.state

    def proves(self, request: Request, name: str = "Authorization") -> bool:
        given = digest.parse_authorization(request.get(name) or "")
        secret = digest.ha1(LOGIN.username, given.realm, LOGIN.password, given.algorithm)  # type: ignore[arg-type]
        return given.username == LOGIN.username and given.response == digest.expected(given, secret, "REGISTER")


@pytest.fixture
def provider() -> Provider:
    return Provider()


def registered(provider: Provider, seconds: int = 600) -> None:
    provider.registration.start()
    provider.challenge()
    provider.accept(seconds)
    assert provider.state is State.REGISTERED


def test_the_first_request_names_the_domain_and_no_address(provider: Provider) -> None:
    provider.registration.start()
    request = provider.last
    assert request.uri == "sip:sip.provider.example"  # RFC 3261 §10.2: no user in the Request-URI
    assert request.from_.uri == request.to.uri == Uri(user="4930123", host="sip.provider.example")
    assert request.get("Contact") == f"{provider.contact};expires=600"
    assert not request.has("Authorization")


def test_a_challenge_is_answered_and_the_count_goes_up(provider: Provider) -> None:
    provider.registration.start()
    first = provider.last
    provider.challenge()
    second = provider.last
    assert provider.proves(second)
    assert (second.call_id, second.cseq.number) == (first.call_id, first.cseq.number + 1)  # RFC 3261 §22.2
    provider.accept()
    assert provider.state is State.REGISTERED
    provider.clock.advance(600 * 0.75)
    assert provider.proves(provider.last)  # the refresh does not wait to be asked
    assert digest.parse_authorization(provider.last.get("Authorization") or "").nc == "00000002"
    provider.challenge("n2")  # a new nonce without `stale`: nonces run out, passwords do not
    assert provider.proves(provider.last)
    assert provider.state is State.REGISTERED


def test_it_is_refreshed_by_what_was_granted_to_our_contact(provider: Provider) -> None:
    registered(provider, 120)
    before = len(provider.sent)
    provider.clock.advance(89)
    assert len(provider.sent) == before
    provider.clock.advance(2)
    assert len(provider.sent) == before + 1


def test_the_strongest_challenge_is_taken(provider: Provider) -> None:
    provider.registration.start()
    provider.say(
        401,
        ("WWW-Authenticate", 'Digest realm="p", nonce="a", algorithm=MD5, qop="auth"'),
        ("WWW-Authenticate", 'Digest realm="p", nonce="b", algorithm=SHA-256, qop="auth"'),
        ("WWW-Authenticate", 'Digest realm="p", nonce="c", algorithm=SHA-512-256, qop="auth"'),
    )
    assert digest.parse_authorization(provider.last.get("Authorization") or "").nonce == "b"
    assert provider.proves(provider.last)


def test_a_proxy_in_front_is_answered_beside_the_registrar(provider: Provider) -> None:
    provider.registration.start()
    provider.challenge(status=407)
    provider.challenge("n9")
    assert provider.proves(provider.last, "Proxy-Authorization")
    assert provider.proves(provider.last, "Authorization")


def test_a_wrong_password_is_not_hammered(provider: Provider) -> None:
    provider.registration.start()
    provider.challenge()
    provider.challenge("n2")
    assert provider.state is State.REFUSED
    assert "password" in provider.registration.status.said
    for wait in (*REFUSED_WAITS, REFUSED_WAITS[-1]):
        before = len(provider.sent)
        provider.clock.advance(wait - 1)
        assert len(provider.sent) == before
        provider.clock.advance(1)
        assert len(provider.sent) == before + 1
        provider.challenge(f"n{before}")
        provider.challenge(f"m{before}")
        assert len(provider.sent) == before + 2
        assert provider.state is State.REFUSED


def test_a_stale_answer_is_given_again_but_not_for_ever(provider: Provider) -> None:
    provider.registration.start()
    for number in range(10):
        provider.challenge(f"n{number}", stale=number > 0)
    assert len(provider.sent) == 4
    assert provider.state is State.REFUSED


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_refusal_is_told_in_words(provider: Provider, status: int) -> None:
    provider.registration.start()
    provider.say(status, ("Warning", '399 provider "Account suspended"'))
    assert provider.state is State.REFUSED
    assert str(status) in provider.registration.status.said
    assert "Account suspended" in provider.registration.status.said


@pytest.mark.parametrize("answer", ["silence", "no way", "500", "486"])
def test_a_provider_that_is_down_is_asked_ever_more_seldom(provider: Provider, answer: str) -> None:
    provider.reachable = answer != "no way"
    provider.registration.start()
    waits = []
    for _ in range(12):
        if answer == "silence":
            provider.registration.unreachable("timeout")
        elif answer != "no way":
            provider.say(int(answer))
        assert provider.state is State.WAITING
        status, before = provider.registration.status, provider.connects
        waits.append(status.until - provider.clock.now())
        provider.clock.advance(waits[-1] - 0.001)
        assert provider.connects == before
        provider.clock.advance(0.01)
        assert provider.connects == before + 1
    assert FIRST_WAIT / 2 <= waits[0] <= FIRST_WAIT
    assert waits[4] > waits[0]
    assert max(waits) <= LONGEST_WAIT
    assert min(waits[-3:]) >= LONGEST_WAIT / 2
    provider.reachable = True


def test_retry_after_is_obeyed_and_bounded(provider: Provider) -> None:
    provider.registration.start()
    provider.say(503, ("Retry-After", "300"))
    assert provider.registration.status.until == pytest.approx(300)
    provider.clock.advance(300)
    provider.say(503, ("Retry-After", "9999999"))
    assert provider.registration.status.until - provider.clock.now() <= 2 * LONGEST_WAIT


def test_after_an_outage_it_begins_anew(provider: Provider) -> None:
    registered(provider)
    provider.clock.advance(450)
    provider.registration.unreachable("timeout")
    assert provider.state is State.WAITING
    provider.clock.advance(FIRST_WAIT)
    provider.accept()
    assert provider.state is State.REGISTERED


def test_a_longer_registration_is_asked_for(provider: Provider) -> None:
    provider.registration.start()
    provider.say(423, ("Min-Expires", "1800"))
    assert provider.last.number("Expires") == 1800
    assert provider.last.get("Contact") == f"{provider.contact};expires=1800"
    provider.say(423, ("Min-Expires", "60"))
    assert provider.state is State.WAITING  # it asks for less than it was given: no loop


def test_a_provider_that_wants_it_longer_each_time_is_left(provider: Provider) -> None:
    provider.registration.start()
    provider.say(423, ("Min-Expires", "601"))
    provider.say(423, ("Min-Expires", "602"))
    assert provider.state is State.WAITING
    assert len(provider.sent) == 2
    provider.clock.advance(FIRST_WAIT)
    assert provider.last.number("Expires") == 601  # the next attempt may be longer once more
    provider.say(423, ("Min-Expires", "602"))
    assert provider.last.number("Expires") == 602


def test_stopping_takes_the_registration_back(provider: Provider) -> None:
    registered(provider)
    provider.registration.stop()
    assert provider.last.number("Expires") == 0
    assert provider.proves(provider.last)
    provider.challenge("n5")
    assert provider.proves(provider.last)
    provider.say(200)
    assert provider.state is State.IDLE
    assert provider.clock.pending == 0


def test_stopping_what_never_began_sends_nothing(provider: Provider) -> None:
    provider.registration.stop()
    assert not provider.sent
    assert provider.state is State.IDLE


def test_try_now(provider: Provider) -> None:
    provider.reachable = False
    provider.registration.start()
    provider.reachable = True
    provider.registration.start()
    provider.challenge()
    provider.accept()
    assert provider.state is State.REGISTERED
    assert provider.clock.pending == 1


def test_a_grant_of_nothing_or_for_ever_is_bounded(provider: Provider) -> None:
    for seconds in (0, 5, 2**31):
        provider.registration.start()
        provider.accept(seconds)
        before = provider.connects
        provider.clock.advance(44)
        assert provider.connects == before
        provider.clock.advance(86_400)
        assert provider.connects > before
        provider.accept()


def test_an_answer_nobody_waits_for_changes_nothing(provider: Provider) -> None:
    registered(provider)
    provider.say(403)
    assert provider.state is State.REGISTERED


def test_no_password_in_the_news(provider: Provider) -> None:
    provider.registration.start()
    provider.challenge()
    provider.challenge("n2")
    assert all(LOGIN.password not in repr(status) for status in provider.news)


def test_where_requests_go() -> None:
    assert str(TRUNK.next_hop) == "sip:sip.provider.example"
    assert str(Trunk("a", "p.example", proxy="edge.example:5080", transport="tcp").next_hop) == (
        "sip:edge.example:5080;transport=tcp"
    )
