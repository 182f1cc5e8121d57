"""The health of a trunk with a set clock: when it is asked, and what its answers, or none, mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from base.clock import ManualClock
from base.entropy import SeededEntropy
from pbx.sipcore.message import Request, response_to
from pbx.trunk.health import FIRST_WAIT, LONGEST_WAIT, Health, State
from pbx.trunk.model import Trunk

TRUNK = Trunk("gate", "gate.example", registers=False, options=60)


class Gate:
    """The driver, and the far end of it."""

    def __init__(self, trunk: Trunk = TRUNK) -> None:
        self.trunk = trunk
        self.ready = True
        self.clock = ManualClock()
        self.asked = 0
        self.news: list[State] = []
        self.health = Health(self.clock, SeededEntropy(1), self)

    def ask(self) -> None:
        self.asked += 1

    def judged(self, state: State, said: str, *, news: bool) -> None:
        if news:
            self.news.append(state)

    def says(self, status: int, *headers: tuple[str, str]) -> None:
        request = Request("OPTIONS", "sip:gate.example")
        for name, value in (("From", "<sip:a@b.c>;tag=1"), ("To", "<sip:d>"), ("Call-ID", "x"), ("CSeq", "1 OPTIONS")):
            request.add(name, value)
        request.add("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
        self.health.answered(response_to(request, status, to_tag="g", headers=list(headers)))

    def waits(self) -> float:
        """Seconds until it is asked again."""
        before, since = self.asked, self.clock.now()
        while self.asked == before:
            self.clock.advance(1)
            assert self.clock.now() - since < 4000
        return self.clock.now() - since


@pytest.mark.parametrize("status", [200, 401, 403, 404, 405, 486, 500, 501])
def test_whoever_answers_is_there(status: int) -> None:
    gate = Gate()
    gate.health.start()
    assert gate.health.state is State.UNKNOWN
    gate.says(status)
    assert gate.news == [State.UP]
    assert str(status) in gate.health.steps[-1]
    assert 54 <= gate.waits() <= 60


@pytest.mark.parametrize("status", [0, 408, 502, 503, 504])
def test_who_is_down_is_asked_ever_more_seldom(status: int) -> None:
    gate = Gate()
    gate.health.start()
    waits = []
    for _ in range(9):
        if status:
            gate.says(status)
        else:
            gate.health.unanswered("timeout")
        waits.append(gate.waits())
    assert gate.news == [State.DOWN]
    assert gate.health.said
    for wait, whole in zip(waits, (15, 30, 60, 120, 240, 480, 600, 600, 600), strict=True):
        assert whole / 2 - 1 <= wait <= whole + 1
    gate.says(200)
    assert gate.news == [State.DOWN, State.UP]
    assert gate.health.said == ""
    gate.waits()
    gate.health.unanswered("timeout")
    assert gate.waits() <= 15


def test_retry_after_is_obeyed_and_bounded() -> None:
    gate = Gate()
    gate.health.start()
    gate.says(503, ("Retry-After", "100"))
    assert 99 <= gate.waits() <= 101
    gate.says(503, ("Retry-After", "99999"))
    assert gate.waits() <= LONGEST_WAIT + 1


def test_a_call_without_an_answer_is_a_reason_to_ask() -> None:
    gate = Gate()
    gate.health.start()
    gate.says(200)
    gate.health.doubt()
    gate.health.doubt()
    assert (gate.health.state, gate.asked) == (State.DOWN, 2)  # the second call asks no second time
    gate.says(200)
    assert gate.news == [State.UP, State.DOWN, State.UP]


def test_the_silence_of_a_registered_trunk_counts_once_it_has_answered() -> None:
    gate = Gate(replace(TRUNK, registers=True, user="4930"))
    gate.ready = False
    gate.health.start()
    assert gate.asked == 0
    gate.ready = True
    gate.waits()
    gate.health.unanswered("timeout")
    gate.health.doubt()
    assert gate.news == []
    gate.waits()
    gate.says(200)
    gate.waits()
    gate.health.unanswered("timeout")
    assert gate.news == [State.UP, State.DOWN]
    gate.ready = False  # it has lost its registration
    gate.clock.advance(60)
    assert gate.health.state is State.UNKNOWN


def test_a_trunk_that_is_not_to_be_asked_is_asked_by_hand_only() -> None:
    gate = Gate(replace(TRUNK, options=0))
    gate.health.start()
    gate.health.doubt()
    assert (gate.asked, gate.clock.pending, gate.health.state) == (0, 0, State.UNKNOWN)
    gate.health.ask()
    gate.says(200)
    assert (gate.health.state, gate.clock.pending) == (State.UP, 0)


def test_the_silence_of_a_trunk_that_is_asked_by_hand_is_forgotten() -> None:
    """Nobody would ask it again: it would be the last choice for ever."""
    gate = Gate(replace(TRUNK, options=0))
    gate.health.start()
    gate.health.ask()
    gate.health.unanswered("timeout")
    assert gate.health.state is State.DOWN
    gate.clock.advance(FIRST_WAIT)
    assert (gate.asked, gate.clock.pending, gate.health.state) == (1, 0, State.UNKNOWN)


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    gate = Gate()
    gate.health.start()
    gate.health.stop()
    gate.says(200)
    gate.health.unanswered("timeout")
    assert (gate.news, gate.clock.pending) == ([], 0)
