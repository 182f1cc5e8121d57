"""UPDATE stepped by hand: offers before and after the answer, glare, refreshes (RFC 3311)."""

from __future__ import annotations

import pytest

from pbx.sipcore.message import Response
from pbx.sipcore.session import Session
from tests.pbx.sipcore.test_reliable import ANSWER, MORE, OFFER, REQUIRED, SUPPORTED, reliable, rseq
from tests.pbx.sipcore.test_session import Play, called, calling

UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")


def ringing() -> tuple[Play, Session]:
    """The caller has our answer already, and has said so."""
    play, invite = called(SUPPORTED, UPDATES, body=OFFER)
    invite.provisional(183, body=ANSWER)
    tag = invite.session.dialog.local_tag
    play.peer("PRACK", 2, ("RAck", f"{rseq(play.responses(183)[0])} 1 INVITE"), tag=tag)
    play.sent.clear()
    return play, invite.session


def talking() -> tuple[Play, Session]:
    play, invite = called(UPDATES, body=OFFER)
    session = invite.accept(ANSWER)
    play.peer("ACK", 1, tag=session.dialog.local_tag)
    play.news.clear()
    play.sent.clear()
    return play, session


def answered(play: Play, session: Session, status: int = 200) -> None:
    """We answer the offer that came."""
    assert play.offered is not None
    response = session.response(play.offered, status)
    if status == 200:
        response.set_body(ANSWER, "application/sdp")
    session.answer_offer(play.offered, response)


def refusals(play: Play, status: int) -> list[Response]:
    return [each for each in play.responses(status) if each.cseq.method == "UPDATE"]


@pytest.mark.parametrize("state", [ringing, talking])
def test_an_offer_by_update_is_answered_in_its_200(state: object) -> None:
    play, session = ringing() if state is ringing else talking()
    play.peer("UPDATE", 3, tag=session.dialog.local_tag, body=MORE)
    assert play.news == [("offer", "UPDATE")]
    answered(play, session)
    final = refusals(play, 200)[0]
    assert (final.body, final.has("Contact")) == (ANSWER, True)
    assert "UPDATE" in (final.get("Allow") or "")


@pytest.mark.parametrize("state", [ringing, talking])
def test_our_offer_by_update(state: object) -> None:
    play, session = ringing() if state is ringing else talking()
    assert session.changes.may_update
    session.changes.update(MORE, "application/sdp", play)
    asked = play.requests("UPDATE")[0]
    assert asked.body == MORE
    session.changes.update(MORE, "application/sdp", play)
    assert play.news == [("not renewed", 491)]
    play.reply(asked, 200, body=ANSWER)
    assert play.news[-1] == ("renewed",)
    assert not play.requests("ACK")
    assert session.changes.may_update


def test_glare_of_updates() -> None:
    """RFC 3311 §5.2: 491 while ours waits for its answer, 500 with Retry-After while we owe one."""
    play, session = talking()
    session.changes.update(MORE, "application/sdp", play)
    play.peer("UPDATE", 3, tag=session.dialog.local_tag, body=MORE)
    assert refusals(play, 491)
    play.reply(play.requests("UPDATE")[0], 200, body=ANSWER)

    play.peer("UPDATE", 4, tag=session.dialog.local_tag, body=MORE)
    play.peer("UPDATE", 5, tag=session.dialog.local_tag)
    later = refusals(play, 500)[0].get("Retry-After") or ""
    assert 0 <= int(later) <= 10
    play.peer("INVITE", 6, tag=session.dialog.local_tag, body=MORE)
    assert [each.status for each in play.sent if isinstance(each, Response) and each.cseq.method == "INVITE"] == [500]


def test_no_update_offers_before_the_first_answer() -> None:
    """RFC 3311 §5.1, §5.2: our answer to the INVITE is still owed."""
    play, invite = called(REQUIRED, UPDATES, body=OFFER)
    invite.provisional(180)
    tag = invite.session.dialog.local_tag
    play.peer("UPDATE", 2, tag=tag, body=MORE)
    assert refusals(play, 500)
    play.peer("UPDATE", 3, tag=tag)
    assert refusals(play, 200)
    assert not invite.session.changes.may_update


def test_our_early_offer_waits_for_the_prack() -> None:
    """RFC 3311 §5.1."""
    _play, invite = called(SUPPORTED, UPDATES, body=OFFER)
    invite.provisional(183, body=ANSWER)
    assert not invite.session.changes.may_update


def test_the_called_phone_offers_while_it_rings() -> None:
    play, invite = calling(OFFER)
    play.reply(play.requests("INVITE")[0], 183, *reliable(1), body=ANSWER)
    play.session = early = invite.sessions[0]
    play.peer_in("two", "UPDATE", 1, early, MORE)
    assert play.news[-1] == ("offer", "UPDATE")


def test_a_refused_change_leaves_the_session_as_it_was() -> None:
    """RFC 3261 §14.1: a refresh repeats what was agreed, not what was refused."""
    play, session = talking()
    session.changes.reinvite(MORE, "application/sdp", play)
    play.reply(play.requests("INVITE")[0], 488)
    session.changes.updates = False
    session.changes.refresh()
    assert play.requests("INVITE")[-1].body == ANSWER


def test_a_peer_that_only_seemed_to_know_update() -> None:
    play, session = talking()
    session.changes.update(MORE, "application/sdp", play)
    play.reply(play.requests("UPDATE")[0], 405)
    assert play.news == [("not renewed", 405)]
    assert not session.changes.updates


def test_a_refresh_tells_headers() -> None:
    """By UPDATE without a body where that is taken, else by a re-INVITE that changes nothing."""
    play, session = talking()
    session.changes.refresh([("P-Asserted-Identity", "<sip:carol@example.org>")])
    asked = play.requests("UPDATE")[0]
    assert (asked.body, asked.get("P-Asserted-Identity")) == (b"", "<sip:carol@example.org>")
    session.changes.updates = False
    session.changes.refresh([("P-Asserted-Identity", "<sip:carol@example.org>")])
    again = play.requests("INVITE")[0]
    assert (again.body, again.get("P-Asserted-Identity")) == (ANSWER, "<sip:carol@example.org>")
    play.reply(again, 200, body=OFFER)
    assert play.requests("ACK")


def test_a_bye_ends_an_update_that_waits() -> None:
    """RFC 3261 §15.1.2."""
    play, session = talking()
    play.peer("UPDATE", 3, tag=session.dialog.local_tag, body=MORE)
    play.peer("BYE", 4, tag=session.dialog.local_tag)
    assert refusals(play, 487)
    assert play.news[-1] == ("ended", "BYE")


def test_an_update_about_something_else_is_refused() -> None:
    play, session = talking()
    play.peer("UPDATE", 3, tag=session.dialog.local_tag, body=b"hello", content_type="text/plain")
    assert refusals(play, 415)
    assert not play.news
