"""A Signal whose call is not taken one way goes the next: those of a list, and those that were looked up."""

from __future__ import annotations

from directory.model import Address, ForeignRoute
from pbx.signal.answer import Answer
from pbx.signal.branch import Foreign
from pbx.signal.port import Limits
from tests.pbx.signal.stage import CAROL, Play


def test_a_call_that_is_not_taken_goes_the_next_way_and_only_the_last_word_counts() -> None:
    play = Play()
    play.way.phones[CAROL.id] = ["sip:c"]
    play.call("listed@else.net")
    for number in range(3):
        play.signal.answer(play.way.started[number], Answer(480, elsewhere=True))
    assert [str(b.target.route.address) for b in play.way.started if isinstance(b.target, Foreign)] == [
        "listed@else.net", "two@b.net", "three@c.net",
    ]  # fmt: skip
    assert [b.instead for b in play.way.started] == [False, True, True, False]
    play.says(3, 404)
    assert play.statuses == [404]


def test_a_callee_s_refusal_ends_the_ways() -> None:
    play = Play().call("listed@else.net")
    play.says(0, 486)
    assert play.statuses == [486]
    assert len(play.way.started) == 1


def test_a_caller_who_gives_up_ends_the_ways() -> None:
    play = Play().call("listed@else.net")
    play.signal.cancel()
    play.signal.answer(play.way.started[0], Answer(503, elsewhere=True))
    assert play.statuses == [487]
    assert len(play.way.started) == 1


def test_what_was_looked_up_goes_before_the_other_ways() -> None:
    play = Play().call("listed@else.net")
    play.signal.lead(
        play.way.started[0], [ForeignRoute(Address("found", "a.net")), ForeignRoute(Address("f2", "a.net"))]
    )
    play.signal.answer(play.way.started[1], Answer(503, elsewhere=True))
    play.signal.answer(play.way.started[2], Answer(503, elsewhere=True))
    found = [str(b.target.route.address) for b in play.way.started if isinstance(b.target, Foreign)]
    assert found == ["listed@else.net", "found@a.net", "f2@a.net", "two@b.net"]
    play.says(3, 200)
    assert play.statuses == [200]


def test_looking_up_in_a_circle_ends() -> None:
    play = Play(Limits(redirects=3)).call("x@else.net")
    for number in range(4):
        play.signal.lead(play.way.started[number], [ForeignRoute(Address("x", "else.net"))])
    assert play.statuses == [482]
