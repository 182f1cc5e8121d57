"""RFC 4475 and RFC 5118: every message through the parser, and to a whole server, whose answer is the ledger's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Request
from pbx.sipcore.parser import parse, screen
from pbx.sipcore.uri import NameAddress, Uri
from tests.torture.ledgers import HERE, Case, cases
from tests.torture.theatre import Heard, read_out, read_out_to_one

CASES = {case.name: case for rfc in ("rfc4475", "rfc5118") for case in cases(rfc)}
ALL = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
LOGINS = {"cparam01": "watson", "cparam02": "watson", "dblreq": "j.user", "regaut01": "j.user"}


def test_the_ledgers_are_whole() -> None:
    """49 and 12 messages, each in its ledger once; RFC 4475 has no section that is left out."""
    for rfc, count in (("rfc4475", 49), ("rfc5118", 12)):
        names = [case.name for case in cases(rfc)]
        assert len(names) == len(set(names)) == count
        assert set(names) == {path.stem for path in (HERE / rfc).glob("*.dat")}
    sections = {case.section for case in cases("rfc4475")}
    for chapter, last in (("3.1.1", 13), ("3.1.2", 19), ("3.2", 1), ("3.3", 15), ("3.4", 1)):
        assert {f"{chapter}.{at}" for at in range(1, last + 1)} <= sections


@ALL
def test_the_answer_is_one_that_the_rfc_names(case: Case) -> None:
    """A departure needs its reason, and a reason its departure."""
    assert case.holds() is not bool(case.departs)


@ALL
def test_the_parser_takes_what_is_well_formed(case: Case) -> None:
    if case.verdict == "accept":
        message = parse(case.data)
        head, sent = (each.partition(b"\r\n\r\n")[0] for each in (case.data, message.encode()))
        assert sent == head or sent == head + f"\r\nContent-Length: {len(message.body)}".encode()
        assert isinstance(message, Request) is not case.data.startswith(b"SIP/2.0")
        assert case.departs or not isinstance(message, Request) or _screened(message) in (None, 501)
    elif case.verdict == "drop" and case.name != "bcast":  # which is well formed, and stray
        with pytest.raises(SipSyntaxError) as caught:
            parse(case.data)
        assert caught.value.request is None


def _screened(request: Request) -> int | None:
    fault = screen(request)
    return None if fault is None else fault[0]


# --- the whole server


def _whole(case: Case) -> Heard:
    heard = read_out(case.data, login=LOGINS.get(case.name, "user"), six=case.six)
    assert not heard.faults, heard.faults
    assert not heard.stray, heard.stray
    assert heard.alive
    return heard


@ALL
def test_a_whole_server_answers_as_the_ledger_says(case: Case) -> None:
    heard = _whole(case)
    assert tuple(heard.finals) == case.wire, [each.reason for each in heard.answers]
    if case.wire != (200,):
        assert not heard.phone
        assert not heard.neighbour
    if case.name in LOOKS:
        LOOKS[case.name](case, heard)


def test_strangers_are_told_no_more_and_reach_nobody() -> None:
    """The same messages from somebody who has not proved who he is: one server hears them all, and lives."""
    stories = read_out_to_one([(case.data, case.six) for case in CASES.values()])
    for case, heard in zip(CASES.values(), stories, strict=True):
        assert not heard.faults, (case.name, heard.faults)
        assert not heard.phone, case.name
        assert not heard.neighbour, case.name
        assert not heard.stray, case.name
        if heard.finals[:1] != list(case.wire[:1]):
            assert heard.finals in ([401], [403], [407]), (case.name, heard.finals)
    assert stories[-1].alive


@pytest.mark.parametrize(
    ("name", "finals", "closed"),
    [
        ("lwsdisp", [200], False),
        ("wsinv", [481], False),
        ("intmeth", [501], False),
        ("noreason", [], False),
        ("trws", [400], True),  # RFC 3261 does not ask for it; who sends garbage is not kept
        ("ncl", [400], True),  # RFC 4475 §3.1.2.3: the framing cannot be found again
        ("mcl01", [400], True),
        ("clerr", [], True),  # §3.1.2.2: the rest is waited for, so that nothing else is heard
        ("dblreq", [401], True),  # on a stream the second request is one; its surplus is not
    ],
)
def test_over_a_stream(name: str, finals: list[int], closed: bool) -> None:
    heard = read_out(CASES[name].data, stream=True)
    assert not heard.faults
    assert heard.alive
    assert heard.finals[:1] == finals
    assert heard.closed is closed


# --- what is looked at besides


def _wsinv(case: Case, heard: Heard) -> None:
    request = parse(case.data)
    assert request.to_tag == "1918181833n"
    assert request.from_.display == 'J Rosenberg \\"'
    assert (request.number("Max-Forwards"), request.cseq.number) == (68, 9)
    assert [Via.partition("/")[0].strip() for Via in request.get_all("Via")] == ["SIP"] * 3
    assert request.top_via.branch == "390skdjuw"
    assert request.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert isinstance(request, Request)
    assert request.contacts[0].params["q"] == "0.33"


def _intmeth(case: Case, heard: Heard) -> None:
    request = parse(case.data)
    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert request.from_.uri.user == "mundane"
    assert request.from_tag == "_token~1'+`*%!-."
    assert "INVITE" in heard.answers[0].get("Allow")


def _esc01(case: Case, heard: Heard) -> None:
    passed = heard.neighbour[0]
    assert passed.uri == "sip:sips%3Auser%40example.com@example.net"
    assert Uri.parse(passed.uri).user == "sips:user@example.com"


def _escnull(case: Case, heard: Heard) -> None:
    request = parse(case.data)
    assert request.to.uri.user == "null-\0-null"
    one, other = request.get_all("Contact")
    assert not NameAddress.parse(one).uri.equivalent(NameAddress.parse(other).uri)


def _esc02(case: Case, heard: Heard) -> None:
    request = parse(case.data)
    assert request.method == "RE%47IST%45R"
    assert len(request.get_all("Contact")) == 2
    assert request.to.display == "%Z%45"


def _longreq(case: Case, heard: Heard) -> None:
    assert parse(heard.answers[-1].octets).get_all("Via")[1:] == parse(case.data).get_all("Via")[1:]
    assert len(parse(case.data).get_all("Via")) == 34
    assert "INVITE" in [request.method for request in heard.phone]


def _semiuri(case: Case, heard: Heard) -> None:
    request = parse(case.data)
    assert isinstance(request, Request)
    assert Uri.parse(request.uri).user == "user;par=u@example.net"


def _vias_come_back(case: Case, heard: Heard) -> None:
    assert parse(heard.answers[0].octets).get_all("Via")[1:] == parse(case.data).get_all("Via")[1:]


def _mpart01(case: Case, heard: Heard) -> None:
    assert heard.neighbour[0].body == parse(case.data).body


def _escruri(case: Case, heard: Heard) -> None:
    assert heard.phone[0].method == "INVITE"
    assert "?" not in heard.phone[0].uri
    assert not heard.phone[0].has("Route")


def _bext01(case: Case, heard: Heard) -> None:
    named = {each.strip().lower() for each in heard.answers[0].get("Unsupported").split(",")}
    request = parse(case.data)
    assert named == request.tokens("Require") | request.tokens("Proxy-Require")
    assert len(named) == 4


def _invut(case: Case, heard: Heard) -> None:
    assert "application/sdp" in heard.answers[0].get("Accept")


def _regaut01(case: Case, heard: Heard) -> None:
    assert heard.answers[0].get("WWW-Authenticate").startswith("Digest ")


def _cparam01(case: Case, heard: Heard) -> None:
    kept = NameAddress.parse(heard.answers[-1].get("Contact"))
    assert kept.uri.user == "+19725552222"
    assert "unknownparam" not in kept.uri.params


def _cparam02(case: Case, heard: Heard) -> None:
    kept = NameAddress.parse(heard.answers[-1].get("Contact"))
    assert "unknownparam" in kept.uri.params


def _regescrt(case: Case, heard: Heard) -> None:
    assert (
        "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"
        in parse(heard.answers[-1].octets).get_all("Contact")[-1]
    )


def _ipv6_good(case: Case, heard: Heard) -> None:
    assert any("<sip:caller@[2001:db8::1]>" in each for each in parse(heard.answers[-1].octets).get_all("Contact"))


def _port_ambiguous(case: Case, heard: Heard) -> None:
    request = parse(case.data)
    assert isinstance(request, Request)
    uri = Uri.parse(request.uri)
    assert (uri.host, uri.port) == ("2001:db8::10:5070", None)


def _port_unambiguous(case: Case, heard: Heard) -> None:
    request = parse(case.data)
    assert isinstance(request, Request)
    uri = Uri.parse(request.uri)
    assert (uri.host, uri.port) == ("2001:db8::10", 5070)


def _ipv6_in_sdp(case: Case, heard: Heard) -> None:
    offered = heard.phone[0].body
    assert b"m=audio" in offered
    assert b"2001:db8::20" not in offered


def _asked_there(case: Case, heard: Heard) -> None:
    assert [request.method for request in heard.neighbour] == ["OPTIONS"]


LOOKS: dict[str, Callable[[Case, Heard], None]] = {
    "wsinv": _wsinv,
    "intmeth": _intmeth,
    "esc01": _esc01,
    "escnull": _escnull,
    "esc02": _esc02,
    "longreq": _longreq,
    "semiuri": _semiuri,
    "transports": _vias_come_back,
    "mult-ip-in-header": _vias_come_back,
    "mpart01": _mpart01,
    "escruri": _escruri,
    "bext01": _bext01,
    "invut": _invut,
    "regaut01": _regaut01,
    "cparam01": _cparam01,
    "cparam02": _cparam02,
    "regescrt": _regescrt,
    "ipv6-good": _ipv6_good,
    "port-ambiguous": _port_ambiguous,
    "port-unambiguous": _port_unambiguous,
    "ipv6-in-sdp": _ipv6_in_sdp,
    "ipv6-bug-abnf-3-colons": _asked_there,
    "ipv6-correct-abnf-2-colons": _asked_there,
}
