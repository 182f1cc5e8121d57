"""Session timers (RFC 4028), stepped by hand in both roles."""

from __future__ import annotations

from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, response_to
from pbx.sipcore.parser import parse
from pbx.sipcore.session import Session
from pbx.sipcore.session_ports import SessionTimers
from pbx.sipcore.session_timer import Expires, too_small
from pbx.sipcore.session_uac import MOST_ASKED, OutgoingInvite
from pbx.sipcore.session_uas import IncomingInvite
from tests.pbx.sipcore.test_session import CONTACT, FLOW, PEER, Play, calling

SDP = b"v=0\r\n"
HOUR = 3600


def said(*headers: tuple[str, str]) -> Request:
    """The peer's INVITE."""
    request = Request("INVITE", "sip:us@10.0.0.1")
    fields = (
        ("Via", "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKfirst;rport"),
        ("From", "<sip:them@example.org>;tag=them"),
        ("To", "<sip:us@example.org>"),
        ("Call-ID", "one"),
        ("CSeq", "1 INVITE"),
        ("Contact", PEER),
    )
    for name, value in (*fields, *headers):
        request.add(name, value)
    return request


def called(*headers: tuple[str, str]) -> tuple[Play, Session]:
    """The peer's INVITE is answered and acknowledged."""
    play = Play()
    play.layer.receive(parse(said(*headers).encode()), FLOW)
    invite = IncomingInvite(play.clock, play, play.transactions[0], CONTACT, play, SessionTimers())
    play.session = session = invite.accept(SDP)
    play.peer("ACK", 1, tag=session.dialog.local_tag)
    play.news.clear()
    return play, session


def answered(*headers: tuple[str, str]) -> tuple[Play, OutgoingInvite, Session]:
    """The peer has answered our INVITE."""
    play, invite = calling()
    answer(play, play.requests("INVITE")[-1], 200, *headers)
    assert play.session is not None
    play.session.acknowledge(invite.number)
    return play, invite, play.session


def answer(play: Play, request: Request, status: int, *headers: tuple[str, str]) -> None:
    response = response_to(request, status, to_tag="them", headers=(("Contact", PEER), *headers))
    play.layer.receive(parse(response.encode()), Flow("udp", FLOW.local, FLOW.remote))


def test_values_are_read_and_hostile_ones_are_not() -> None:
    """RFC 4028 §4."""
    for text, expected in (
        ("1800", Expires(1800)),
        ("90 ; refresher=UAS", Expires(90, "uas")),
        ("4294967295;refresher=uac;x", Expires(86_400, "uac")),
        ("", None),
        ("-5", None),
        ("٣٣", None),
        ("9" * 500, None),
    ):
        assert Expires.of(said(("Session-Expires", text))) == expected


def test_too_small_an_interval_is_refused_only_to_those_who_know_timers() -> None:
    """RFC 4028 §9: 422 only when the UAC supports timers."""
    assert too_small(said(("Session-Expires", "60"), ("Supported", "timer")))
    assert not too_small(said(("Session-Expires", "60")))
    assert not too_small(said(("Session-Expires", "90"), ("Supported", "timer")))


def test_a_caller_who_refreshes_is_awaited_and_missed() -> None:
    """RFC 4028 §9 keeps his choice, §10: BYE 32 s before the end when no refresh has come."""
    play, _session = called(("Session-Expires", "300;refresher=uac"), ("Supported", "timer"))
    ok = play.responses(200)[-1]
    assert ok.get("Session-Expires") == "300;refresher=uac"
    assert ok.get("Require") == "timer"
    play.clock.advance(267)
    assert not play.news
    play.clock.advance(2)
    assert play.news == [("ended", "session expired")]
    assert play.requests("BYE")


def test_his_refresh_keeps_the_call() -> None:
    play, session = called(("Session-Expires", "300;refresher=uac"), ("Supported", "timer"))
    for number in range(2, 40):
        play.clock.advance(150)
        update = said(("Session-Expires", "300;refresher=uac"), ("Supported", "timer"))
        update.set("CSeq", f"{number} UPDATE")
        update.set("Via", f"SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKu{number};rport")
        update.set("To", f"<sip:us@example.org>;tag={session.dialog.local_tag}")
        wire = update.encode().replace(b"INVITE sip:", b"UPDATE sip:", 1)
        play.layer.receive(parse(wire), FLOW)
        assert play.responses(200)[-1].get("Session-Expires") == "300;refresher=uac"
    assert not play.news


def test_we_refresh_by_update_for_hours_and_find_a_dead_peer() -> None:
    """RFC 4028 §9 (we choose ourselves), §10 (half of the interval; 408 ends the session)."""
    play, _session = called(("Supported", "timer"), ("Allow", "INVITE, ACK, BYE, UPDATE"))
    assert play.responses(200)[-1].get("Session-Expires") == "1800;refresher=uas"
    for _half in range(8):
        before = len(play.requests("UPDATE"))
        play.clock.advance(900)
        asked = play.requests("UPDATE")[before]
        assert asked.get("Session-Expires") == "1800;refresher=uac"
        assert not asked.body
        answer(play, asked, 200, ("Session-Expires", "1800;refresher=uac"), ("Supported", "timer"))
    assert not play.news
    play.clock.advance(900 + 33)
    assert play.news == [("ended", "no answer")]


def test_a_peer_without_update_is_sent_our_last_description() -> None:
    """RFC 4028 §7.4: a re-INVITE that changes nothing."""
    play, _session = called(("Supported", "timer"), ("Allow", "INVITE, ACK, BYE"))
    play.clock.advance(900)
    asked = play.requests("INVITE")[0]
    assert asked.body == SDP
    answer(play, asked, 200, ("Session-Expires", "1800;refresher=uac"))
    assert [ack.cseq.number for ack in play.requests("ACK")] == [asked.cseq.number]
    play.clock.advance(900)
    assert play.requests("INVITE")[-1].cseq.number > asked.cseq.number


def test_a_refused_refresh_is_tried_again_by_other_means() -> None:
    play, _session = called(("Supported", "timer"), ("Allow", "INVITE, ACK, BYE, UPDATE"))
    play.clock.advance(900)
    answer(play, play.requests("UPDATE")[0], 405)
    play.clock.advance(5)
    assert play.requests("INVITE")[0].body == SDP


def test_a_caller_without_timers_is_left_alone() -> None:
    play, _session = called()
    assert not play.responses(200)[-1].has("Session-Expires")
    play.clock.advance(5 * HOUR)
    assert not play.news
    assert not play.requests("BYE")


def test_our_invite_asks_and_the_answer_decides() -> None:
    """RFC 4028 §7.1, §7.2."""
    play, _invite, _session = answered(("Session-Expires", "600;refresher=uas"), ("Require", "timer"))
    asked = play.requests("INVITE")[0]
    assert (asked.get("Supported"), asked.get("Session-Expires"), asked.get("Min-SE")) == ("timer", "1800", "90")
    play.clock.advance(569)
    assert play.news[-1] == ("ended", "session expired")


def test_an_answer_without_an_interval_sets_none() -> None:
    play, _invite, session = answered()
    play.clock.advance(5 * HOUR)
    assert session.timer.seconds == 0
    assert not play.requests("BYE")


def test_422_is_asked_again_with_the_larger_interval() -> None:
    """RFC 4028 §7.3."""
    play, invite = calling()
    answer(play, play.requests("INVITE")[0], 422, ("Min-SE", "3600"))
    again = play.requests("INVITE")[-1]
    assert (again.cseq.number, again.get("Session-Expires"), again.get("Min-SE")) == (2, "3600", "3600")
    answer(play, again, 200, ("Session-Expires", "3600;refresher=uac"))
    assert play.news == [("answered", "them")]
    assert invite.number == 2


def test_who_wants_longer_and_longer_is_not_asked_for_ever() -> None:
    play, _invite = calling()
    for least in range(2000, 2010):
        answer(play, play.requests("INVITE")[-1], 422, ("Min-SE", str(least)))
    assert len(play.requests("INVITE")) == 1 + MOST_ASKED
    assert play.news == [("failed", 422)]


def test_422_without_a_reason_is_a_refusal() -> None:
    play, _invite = calling()
    answer(play, play.requests("INVITE")[0], 422, ("Min-SE", "60"))
    assert play.news == [("failed", 422)]


def test_hanging_up_stops_the_timer() -> None:
    play, session = called(("Supported", "timer"))
    session.bye()
    count = len(play.sent)
    play.clock.advance(40)
    play.sent = play.sent[:count]
    play.clock.advance(HOUR)
    assert len(play.sent) == count
