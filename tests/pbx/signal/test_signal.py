"""The Signal stepped by hand: forking, rules, cancelling, and the one final answer."""

from __future__ import annotations

from directory.model import AccountRoute, CallRule, Fork, Redirect, Reject, Stage
from pbx.signal.answer import COMPLETED_ELSEWHERE, Answer, best
from pbx.signal.branch import Device
from pbx.signal.port import Limits
from tests.pbx.signal.stage import ALICE, BOB, CAROL, VOICEMAIL, Play

AFTER_30 = CallRule(Stage.AFTER, VOICEMAIL, 30.0)
ON_BUSY = CallRule(Stage.BUSY, VOICEMAIL)


def test_all_phones_ring_and_the_first_to_answer_wins() -> None:
    play = Play().bob_has("sip:1", "sip:2", "sip:3").call()
    assert [b.target for b in play.way.started] == [Device(BOB, f"sip:{n}") for n in (1, 2, 3)]
    play.says(1, 180)
    play.says(1, 200)
    assert play.statuses == [200]
    assert play.way.winner is play.way.started[1]
    # RFC 3326 §2: the phones that stop ringing do not show a missed call.
    assert play.way.cancelled == [
        (play.way.started[0], COMPLETED_ELSEWHERE),
        (play.way.started[2], COMPLETED_ELSEWHERE),
    ]
    play.says(0, 487)
    play.says(2, 487)
    assert play.statuses == [200]
    assert not play.signal.open
    assert play.clock.pending == 0


def test_a_second_answer_is_discarded() -> None:
    """RFC 3261 §16.7 step 5: a second 2xx is real, and somebody must hang up on it."""
    play = Play().bob_has("sip:1", "sip:2").call()
    play.says(0, 200)
    play.says(1, 200)
    assert play.way.discarded == [play.way.started[1]]
    assert play.statuses == [200]


def test_180_and_200_back_to_back_lose_nothing() -> None:
    play = Play().bob_has("sip:1").call()
    play.says(0, 180)
    play.says(0, 200)
    assert [answer.status for _, answer in play.way.provisionals] == [180]
    assert play.statuses == [200]


def test_no_answer_leads_to_voicemail_after_the_finals() -> None:
    play = Play().bob_has("sip:1", "sip:2", rules=[AFTER_30]).call()
    play.clock.advance(29.9)
    assert not play.way.cancelled
    play.clock.advance(0.2)
    assert [branch for branch, _ in play.way.cancelled] == play.way.started
    assert not play.programs
    play.says(0, 487)
    assert not play.programs
    play.says(1, 487)
    assert play.programs == ["voicemail"]
    play.says(2, 200)
    assert play.statuses == [200]
    assert play.clock.pending == 0


def test_a_deaf_phone_delays_voicemail_by_the_drain_only() -> None:
    play = Play().bob_has("sip:1", rules=[AFTER_30]).call()
    play.clock.advance(31.9)
    assert not play.programs
    play.clock.advance(0.2)
    assert play.programs == ["voicemail"]


def test_an_answer_that_crosses_the_cancel_wins_and_no_program_starts() -> None:
    """Decision 2: a crossing 200 never makes two answers."""
    play = Play().bob_has("sip:1", rules=[AFTER_30]).call()
    play.clock.advance(30.5)
    play.says(0, 200)
    assert play.statuses == [200]
    play.clock.advance(60)
    assert not play.programs


def test_an_answer_after_the_program_started_is_discarded() -> None:
    play = Play().bob_has("sip:1", rules=[AFTER_30]).call()
    play.clock.advance(33)
    play.says(0, 200)
    assert play.way.discarded == [play.way.started[0]]
    play.says(1, 200)
    assert play.statuses == [200]
    assert play.way.winner is play.way.started[1]


def test_busy_leads_to_voicemail() -> None:
    for status in (486, 600, 603):
        play = Play().bob_has("sip:1", rules=[AFTER_30, ON_BUSY]).call()
        play.says(0, status)
        assert play.programs == ["voicemail"]
        assert play.clock.pending == 0


def test_a_busy_phone_does_not_stop_the_others_but_a_decline_does() -> None:
    play = Play().bob_has("sip:1", "sip:2", rules=[ON_BUSY]).call()
    play.says(0, 486)
    assert not play.way.cancelled
    play.says(1, 603)
    assert play.programs == ["voicemail"]
    play = Play().bob_has("sip:1", "sip:2", rules=[ON_BUSY]).call()
    play.says(0, 603)
    assert [branch for branch, _ in play.way.cancelled] == [play.way.started[1]]
    play.says(1, 487)
    assert play.programs == ["voicemail"]


def test_a_decline_without_rules_is_the_final_answer() -> None:
    play = Play().bob_has("sip:1", "sip:2").call()
    play.says(0, 603)
    assert play.statuses == [603]
    assert [branch for branch, _ in play.way.cancelled] == [play.way.started[1]]


def test_no_device() -> None:
    assert Play().bob_has().call().statuses == [480]
    assert Play().bob_has(rules=[AFTER_30]).call().programs == ["voicemail"]
    assert Play().bob_has(rules=[CallRule(Stage.NO_DEVICE, VOICEMAIL)]).call().programs == ["voicemail"]
    assert Play().call("nobody").statuses == [404]
    assert Play().call("void").statuses == [480]


def test_failure_rule_only_for_failures() -> None:
    rules = [CallRule(Stage.FAILURE, VOICEMAIL)]
    play = Play().bob_has("sip:1", rules=rules).call()
    play.says(0, 500)
    assert play.programs == ["voicemail"]
    play = Play().bob_has("sip:1", rules=rules).call()
    play.says(0, 486)
    assert play.statuses == [486]


def test_at_once_rules() -> None:
    assert Play().bob_has("sip:1", rules=[CallRule(Stage.AT_ONCE, Reject(603))]).call().statuses == [603]
    play = Play().bob_has("sip:1", rules=[CallRule(Stage.AT_ONCE, Redirect(("#pbx",)))]).call()
    assert play.programs == ["pbx"]
    assert len(play.way.started) == 1
    play = Play().bob_has("sip:1", rules=[CallRule(Stage.AT_ONCE, Fork(("nobody", "x@elsewhere.net")))]).call()
    assert len(play.way.started) == 2


def test_timed_fork_adds_and_a_later_redirect_replaces() -> None:
    play = Play().bob_has("sip:1", rules=[CallRule(Stage.AFTER, Fork(("m@mobile.net",)), 10.0), AFTER_30]).call()
    play.clock.advance(10)
    assert len(play.way.started) == 2
    play.clock.advance(20)
    assert len(play.way.cancelled) == 2


def test_rules_stay_with_an_address_that_was_sent_to_another_number() -> None:
    play = Play().bob_has(rules=[CallRule(Stage.AT_ONCE, Redirect(("m@mobile.net",))), ON_BUSY]).call()
    play.says(0, 486)
    assert play.programs == ["voicemail"]


def test_a_member_of_a_group_keeps_his_voicemail_to_himself() -> None:
    """Decision 1: rules are per address of record; member branches carry `;services=no`."""
    play = Play().bob_has("sip:b", rules=[AFTER_30, ON_BUSY])
    play.way.phones[CAROL.id] = ["sip:c"]
    play.call("team")
    play.clock.advance(60)
    play.says(0, 603)
    assert not play.programs
    assert not play.way.cancelled
    play.says(1, 200)
    assert play.statuses == [200]


def test_a_group_whose_first_member_has_no_phone_rings_the_second() -> None:
    play = Play()
    play.way.phones[CAROL.id] = ["sip:c"]
    play.call("team")
    assert len(play.way.started) == 1
    assert not play.statuses


def test_caller_gives_up() -> None:
    play = Play().bob_has("sip:1", "sip:2", rules=[AFTER_30]).call()
    play.signal.cancel()
    assert len(play.way.cancelled) == 2
    assert play.statuses == [487]
    play.says(0, 200)
    play.says(1, 487)
    assert play.way.discarded == [play.way.started[0]]
    assert play.statuses == [487]
    assert play.clock.pending == 0


def test_circles_end() -> None:
    play = Play().bob_has(rules=[CallRule(Stage.AT_ONCE, Redirect(("alice",)))])
    play.way.call_rules[ALICE.id] = [CallRule(Stage.AT_ONCE, Redirect(("bob",)))]
    play.call()
    assert play.statuses == [482]


def test_branches_are_bounded() -> None:
    play = Play(Limits(branches=3)).bob_has(*(f"sip:{n}" for n in range(5))).call()
    assert len(play.way.started) == 3


def test_ring_limit_counts_as_no_answer() -> None:
    play = Play(Limits(ring=60.0)).bob_has("sip:1", rules=[CallRule(Stage.NO_ANSWER, VOICEMAIL)]).call()
    play.clock.advance(60)
    assert play.programs == ["voicemail"]


def test_a_phone_that_tells_that_it_rings_goes_on_ringing() -> None:
    """RFC 3261 §16.7 step 2: Timer C begins anew with each provisional response."""
    play = Play(Limits(ring=60.0)).bob_has("sip:1", rules=[CallRule(Stage.NO_ANSWER, VOICEMAIL)]).call()
    for _minute in range(5):
        play.clock.advance(50)
        play.says(0, 180)
    play.clock.advance(59)
    assert not play.programs
    play.clock.advance(1)
    assert play.programs == ["voicemail"]


def test_expires_ends_the_signal_without_rules() -> None:
    play = Play().bob_has("sip:1", rules=[CallRule(Stage.NO_ANSWER, VOICEMAIL)])
    play.signal.begin(AccountRoute(BOB), expires=15.0)
    play.clock.advance(15)
    assert play.statuses == [408]
    assert not play.programs


def test_a_phone_that_forwards() -> None:
    play = Play().bob_has("sip:1")
    play.way.phones[CAROL.id] = ["sip:c"]
    play.call()
    play.says(0, 302, "carol@example.org")
    assert play.way.started[1].target == Device(CAROL, "sip:c")
    play.says(1, 200)
    assert play.statuses == [200]


def test_a_program_forks_and_redirects() -> None:
    play = Play().bob_has(rules=[CallRule(Stage.AT_ONCE, Redirect(("#acd",)))])
    play.way.phones[CAROL.id] = ["sip:c"]
    play.call()
    play.signal.fork(play.way.started[0], ["carol"])
    assert len(play.way.started) == 2
    play.signal.redirect(play.way.started[0], ["nobody"])
    assert not play.statuses
    play.says(1, 486)
    assert play.statuses == [486]


def test_best_answer() -> None:
    """RFC 3261 §16.7 step 6."""
    assert best([]).status == 480
    assert best([Answer(404), Answer(603), Answer(302)]).status == 603
    assert best([Answer(500), Answer(404)]).status == 404
    assert best([Answer(408), Answer(486)]).status == 486
    assert best([Answer(404), Answer(415)]).status == 415
    assert best([Answer(503)]).status == 500
