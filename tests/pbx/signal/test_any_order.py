"""Whatever a Signal is told, and in whatever order: it gives one answer, and leaves no branch behind."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from directory.model import CallRule, Fork, Redirect, Reject, Stage
from pbx.signal.answer import Answer
from pbx.signal.branch import Foreign, Program
from pbx.signal.port import SignalState
from tests.pbx.signal.stage import OTHERS, Play

_TARGETS = st.sampled_from(
    ["alice", "bob", "carol", "team", "#voicemail", "#pbx", "x@else.net", "listed@else.net", "nobody"]
)
_ACTIONS = st.one_of(
    st.builds(Redirect, st.lists(_TARGETS, min_size=1, max_size=2).map(tuple)),
    st.builds(Fork, st.lists(_TARGETS, max_size=2).map(tuple)),
    st.builds(Reject, st.sampled_from([486, 603])),
)
_RULES = st.lists(st.builds(CallRule, st.sampled_from(Stage), _ACTIONS, st.sampled_from([0.0, 5.0, 30.0])), max_size=4)
_STATUS = st.sampled_from([100, 180, 183, 200, 302, 404, 408, 480, 486, 487, 500, 503, 600, 603])
_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.integers(0, 12), _STATUS),
        st.tuples(st.just("time"), st.sampled_from([0, 1, 3, 5, 31]), st.just(0)),
        st.tuples(st.just("cancel"), st.just(0), st.just(0)),
        st.tuples(st.just("hand"), st.integers(0, 12), st.just(0)),
        st.tuples(st.just("lead"), st.integers(0, 12), st.integers(0, 2)),
    ),
    max_size=25,
)


@settings(max_examples=400, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys((1, 2, 3), _RULES)), st.tuples(*[st.integers(0, 3)] * 3), _TARGETS, _EVENTS)
def test_any_order_of_events_ends_with_one_answer_and_no_branch(
    rules: dict[int, list[CallRule]], phones: tuple[int, int, int], target: str, events: list[tuple[str, int, int]]
) -> None:
    play = Play()
    play.way.call_rules = dict(rules)
    play.way.phones = {number + 1: [f"sip:{n}" for n in range(count)] for number, count in enumerate(phones)}
    play.call(target)
    for kind, number, status in events:
        branch = play.way.started[number] if number < len(play.way.started) else None
        match kind:
            case "answer" if branch is not None and branch in play.signal.open:
                contacts = ("carol",) if status == 302 else ()
                play.signal.answer(branch, Answer(status, contacts=contacts, elsewhere=status >= 500))
            case "lead" if branch is not None and isinstance(branch.target, Foreign):
                play.signal.lead(branch, OTHERS[status % 3 :])
            case "hand" if branch is not None and isinstance(branch.target, Program):
                play.signal.redirect(branch, ["carol", "#pbx"])
            case "time":
                play.clock.advance(number)
            case "cancel":
                play.signal.cancel()
            case _:
                pass
        assert len(play.way.finals) <= 1
    _run_out(play)
    assert len(play.way.finals) == 1
    assert not play.signal.open
    assert play.clock.pending == 0
    if play.signal.state is SignalState.ANSWERED:
        assert play.way.winner is not None
        assert play.way.winner not in play.way.discarded


def _run_out(play: Play) -> None:
    """Whoever still rings refuses; whoever was cancelled says so."""
    for _ in range(200):
        cancelled = {branch for branch, _ in play.way.cancelled}
        for branch in list(play.signal.open):
            play.signal.answer(branch, Answer(487 if branch in cancelled else 404))
        play.clock.advance(1)
        if not play.signal.open and play.way.finals:
            return
