"""Reliable provisional responses stepped by hand, on both sides (RFC 3262)."""

from __future__ import annotations

from pbx.sipcore.message import Request, Response
from tests.pbx.sipcore.test_session import Play, called, calling

OFFER, ANSWER, MORE = b"v=0\r\ns=offer\r\n", b"v=0\r\ns=answer\r\n", b"v=0\r\ns=more\r\n"
REQUIRED = ("Require", "100rel")
SUPPORTED = ("Supported", "100rel, timer")


def prack(play: Play, response: Response, number: int, *, method: str = "INVITE", body: bytes = b"") -> Response:
    """The caller acknowledges; what we answer."""
    rack = f"{response.get('RSeq')} {response.cseq.number} {method}"
    play.peer("PRACK", number, ("RAck", rack), tag=response.to_tag, body=body)
    found = [each for each in play.sent if isinstance(each, Response) and each.cseq.method == "PRACK"]
    return found[-1]


def rseq(response: Request | Response) -> int:
    return int(response.get("RSeq") or "0")


# --- we are called


def test_a_reliable_180_is_repeated_until_its_prack() -> None:
    """RFC 3262 §3: T1, doubling without bound."""
    play, invite = called(REQUIRED, body=OFFER)
    invite.provisional(180)
    moments, steps = [], 0
    while steps < 80:
        before = len(play.responses(180))
        play.clock.advance(0.25)
        steps += 1
        if len(play.responses(180)) > before:
            moments.append(steps / 4)
    assert moments == [0.5, 1.5, 3.5, 7.5, 15.5]
    ringing = play.responses(180)
    assert {(rseq(each), each.get("Require")) for each in ringing} == {(rseq(ringing[0]), "100rel")}
    assert 0 < rseq(ringing[0]) < 2**31
    assert prack(play, ringing[0], 2).status == 200
    play.clock.advance(100)
    assert len(play.responses(180)) == len(ringing)


def test_without_a_prack_the_invite_is_refused() -> None:
    """RFC 3262 §3: 64*T1, then 5xx."""
    play, invite = called(REQUIRED, body=OFFER)
    invite.provisional(180)
    play.clock.advance(33)
    assert play.responses(504)
    assert play.news == [("unheard",)]
    assert not invite.pending


def test_the_next_one_waits_for_the_prack_of_the_former() -> None:
    play, invite = called(REQUIRED, body=OFFER)
    invite.provisional(180)
    invite.provisional(183, body=ANSWER)
    assert not play.responses(183)
    first = play.responses(180)[0]
    prack(play, first, 2)
    second = play.responses(183)[0]
    assert rseq(second) == rseq(first) + 1
    assert second.body == ANSWER


def test_a_prack_of_nothing_gets_481() -> None:
    """RFC 3262 §3."""
    play, invite = called(REQUIRED, body=OFFER)
    invite.provisional(180)
    first = play.responses(180)[0]
    assert prack(play, first, 2, method="BYE").status == 481
    assert prack(play, first, 3).status == 200
    assert prack(play, first, 4).status == 481
    play.peer("PRACK", 5, ("RAck", "x"), tag=first.to_tag)
    assert play.responses(400)


def test_the_200_waits_for_the_prack_of_a_description_and_brings_none() -> None:
    """RFC 3262 §3, §5."""
    play, invite = called(SUPPORTED, body=OFFER)
    invite.provisional(183, body=ANSWER)
    invite.accept(MORE)
    assert not play.responses(200)
    prack(play, play.responses(183)[0], 2)
    accepted = [each for each in play.responses(200) if each.cseq.method == "INVITE"]
    assert [each.body for each in accepted] == [b""]
    assert invite.settled


def test_the_200_does_not_wait_for_the_prack_of_mere_ringing() -> None:
    """RFC 3262 §3: it ends the repetition, and a late PRACK is still answered."""
    play, invite = called(REQUIRED, body=OFFER)
    invite.provisional(180)
    invite.provisional(183, body=ANSWER)
    invite.accept(ANSWER)
    assert play.responses(200)[0].body == ANSWER
    copies = len(play.responses(180))
    play.clock.advance(5)
    assert len(play.responses(180)) == copies
    assert not play.responses(183)
    assert prack(play, play.responses(180)[0], 2).status == 200


def test_what_is_reliable_is_what_the_caller_asks_for() -> None:
    """Required: all. Supported: what describes something. Neither: nothing."""
    for header, plain, described in (
        (REQUIRED, True, True),
        (SUPPORTED, False, True),
        (("Supported", "path"), False, False),
    ):
        for body, wanted in ((b"", plain), (ANSWER, described)):
            play, invite = called(header, body=OFFER)
            invite.provisional(183, body=body)
            assert play.responses(183)[0].has("RSeq") is wanted


def test_a_caller_without_an_offer_gets_it_reliably_or_not_at_all() -> None:
    """RFC 3261 §13.2.1: the offer is in the first reliable response."""
    play, invite = called()
    invite.provisional(183, body=OFFER)
    assert not play.responses(183)[0].body

    play, invite = called(REQUIRED)
    invite.provisional(180)
    assert not play.responses(180)
    invite.provisional(183, body=OFFER)
    first = play.responses(183)[0]
    assert prack(play, first, 2, body=ANSWER).status == 200
    assert play.news == [("answer", ANSWER)]
    invite.accept(OFFER)
    assert [each.body for each in play.responses(200) if each.cseq.method == "INVITE"] == [b""]


def test_a_prack_may_offer_something_else() -> None:
    """RFC 3262 §5: the answer is in the 200 of the PRACK."""
    play, invite = called(SUPPORTED, body=OFFER)
    invite.provisional(183, body=ANSWER)
    play.peer("PRACK", 2, ("RAck", f"{rseq(play.responses(183)[0])} 1 INVITE"), tag=invite.session.dialog.local_tag,
              body=MORE)  # fmt: skip
    assert play.news == [("offer", "PRACK")]
    assert play.offered is not None
    response = invite.session.response(play.offered, 200)
    response.set_body(ANSWER, "application/sdp")
    invite.session.answer_offer(play.offered, response)
    assert [each.body for each in play.responses(200)] == [ANSWER]


def test_a_long_ringing_is_told_anew_within_three_minutes() -> None:
    """RFC 3262 §3."""
    play, invite = called(REQUIRED, body=OFFER)
    invite.provisional(180)
    for number in range(2, 6):
        latest = play.responses(180)[-1]
        assert prack(play, latest, number).status == 200
        play.clock.advance(151)
    assert len({rseq(each) for each in play.responses(180)}) == 5


def test_too_many_provisionals_are_not_kept() -> None:
    play, invite = called(REQUIRED, body=OFFER)
    for _ in range(100):
        invite.provisional(180)
    for number in range(2, 40):
        prack(play, play.responses(180)[-1], number)
    assert len({rseq(each) for each in play.responses(180)}) == 11


# --- we call


def reliable(number: int) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("Require", "100rel"), ("RSeq", str(number))


def test_each_new_one_is_acknowledged_once_and_in_order() -> None:
    """RFC 3262 §4."""
    play, _invite = calling(OFFER)
    request = play.requests("INVITE")[0]
    play.reply(request, 180, *reliable(7))
    play.reply(request, 180, *reliable(7))
    play.reply(request, 183, *reliable(9))
    play.reply(request, 183, *reliable(8), body=ANSWER)
    play.reply(request, 183, *reliable(6))
    pracks = play.requests("PRACK")
    assert [each.get("RAck") for each in pracks] == ["7 1 INVITE", "8 1 INVITE"]
    assert [each.cseq.number for each in pracks] == [2, 3]
    assert {each.uri for each in pracks} == {"sip:them@10.0.0.2:5060"}
    assert play.news == [("progress", 180), ("progress", 183)]


def test_each_fork_counts_for_itself() -> None:
    play, _invite = calling(OFFER)
    request = play.requests("INVITE")[0]
    play.reply(request, 180, *reliable(7), tag="a")
    play.reply(request, 180, *reliable(1), tag="b")
    play.reply(request, 183, *reliable(8), tag="a")
    assert [(each.to_tag, each.get("RAck")) for each in play.requests("PRACK")] == [
        ("a", "7 1 INVITE"), ("b", "1 1 INVITE"), ("a", "8 1 INVITE"),
    ]  # fmt: skip


def test_an_early_offer_is_answered_in_the_prack() -> None:
    """RFC 3262 §5: our INVITE had none."""
    play, _invite = calling()
    request = play.requests("INVITE")[0]
    play.reply(request, 183, *reliable(1), body=OFFER)
    assert play.news == [("offered", 183)]
    assert play.session is not None
    assert not play.requests("PRACK")
    play.session.acknowledge_provisional(play_response(play, 183), ANSWER, "application/sdp")
    assert play.requests("PRACK")[0].body == ANSWER
    assert play.session.offers.settled


def play_response(play: Play, status: int) -> Response:
    """What the peer has said, as we saw it."""
    response = Response(status, "")
    response.add("RSeq", "1")
    response.add("CSeq", "1 INVITE")
    return response


def test_after_the_final_response_nothing_is_acknowledged() -> None:
    """RFC 3262 §4."""
    play, _invite = calling(OFFER)
    request = play.requests("INVITE")[0]
    play.reply(request, 486)
    play.reply(request, 180, *reliable(1))
    assert not play.requests("PRACK")
