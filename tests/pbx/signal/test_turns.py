"""Groups that ring their members in turns, by the Signal with a clock set by hand."""

from __future__ import annotations

import pytest

from directory.model import Address, CallRule, GroupRoute, Ring, RingOrder, Stage
from pbx.signal.branch import Device, Foreign
from tests.pbx.signal.stage import BOB, CAROL, VOICEMAIL, Play

MEMBERS = tuple(Address(name, "example.org") for name in ("bob", "carol", "alice"))


def ringing(order: RingOrder, then: str = "", *, absent: int = 0) -> Play:
    """bob, carol and alice have a telephone each, but for the first `absent`."""
    play = Play()
    for number, account in enumerate((2, 3, 1)):
        play.way.phones[account] = [] if number < absent else [f"sip:{account}"]
    play.signal.begin(GroupRoute("team", MEMBERS, Ring(order, 20, then)))
    return play


def rung(play: Play) -> list[int]:
    """The accounts of the telephones that were rung, in their order."""
    return [branch.target.account.id for branch in play.way.started if isinstance(branch.target, Device)]


def test_together() -> None:
    assert rung(ringing(RingOrder.ALL)) == [2, 3, 1]


def test_one_more_at_each_step() -> None:
    play = ringing(RingOrder.JOIN)
    assert rung(play) == [2]
    play.clock.advance(20)
    assert rung(play) == [2, 3]
    play.clock.advance(20)
    assert rung(play) == [2, 3, 1]
    assert not play.way.cancelled
    play.says(0, 200)
    assert play.statuses == [200]
    assert [branch.number for branch, _ in play.way.cancelled] == [2, 3]


def test_one_after_the_other() -> None:
    play = ringing(RingOrder.HUNT)
    play.clock.advance(20)
    assert [branch.number for branch, _ in play.way.cancelled] == [1]
    play.says(0, 487)
    assert rung(play) == [2, 3]
    play.clock.advance(20)
    play.says(1, 487)
    play.says(2, 200)
    assert play.statuses == [200]
    assert play.clock.pending == 0


@pytest.mark.parametrize("order", [RingOrder.JOIN, RingOrder.HUNT])
@pytest.mark.parametrize("status", [486, 603, 480, 500])
def test_who_refuses_is_not_waited_for(order: RingOrder, status: int) -> None:
    play = ringing(order)
    play.clock.advance(5)
    play.says(0, status)
    assert rung(play) == [2, 3]
    play.clock.advance(19)
    assert rung(play) == [2, 3]
    play.clock.advance(1)
    if order is RingOrder.HUNT:
        play.says(1, 487)
    assert rung(play) == [2, 3, 1]


def test_who_has_no_telephone_is_passed_over() -> None:
    assert rung(ringing(RingOrder.HUNT, absent=2)) == [1]


@pytest.mark.parametrize("order", list(RingOrder))
def test_at_the_end_somebody_else_gets_the_call(order: RingOrder) -> None:
    play = ringing(order, then="zoe@else.net")
    told: set[int] = set()
    for _ in range(3):
        play.clock.advance(20)
        for branch in [branch for branch, _ in play.way.cancelled if branch.number not in told]:
            told.add(branch.number)
            play.says(branch.number - 1, 487)
    assert isinstance(play.way.started[-1].target, Foreign)
    assert not play.statuses


def test_members_are_rung_without_their_rules_and_the_last_resort_with_them() -> None:
    play = Play()
    play.way.phones[CAROL.id] = ["sip:3"]
    play.way.call_rules[BOB.id] = [CallRule(Stage.NO_DEVICE, VOICEMAIL)]
    ring = Ring(RingOrder.HUNT, 20, "bob")
    play.signal.begin(GroupRoute("team", (Address("bob", "example.org"), Address("carol", "example.org")), ring))
    assert rung(play) == [3]
    assert not play.programs
    play.says(0, 486)
    assert play.programs == ["voicemail"]


def test_nobody_answers() -> None:
    play = ringing(RingOrder.HUNT)
    for number in range(3):
        play.says(number, 486)
    assert play.statuses == [486]
    assert play.clock.pending == 0


def test_a_long_group_is_no_loop_of_diversions() -> None:
    play = Play()
    members = tuple(Address(f"x{number}", "else.net") for number in range(25))
    play.signal.begin(GroupRoute("team", members, Ring(RingOrder.HUNT, 10)))
    for number in range(24):
        play.says(number, 486)
    play.says(24, 200)
    assert play.statuses == [200]
