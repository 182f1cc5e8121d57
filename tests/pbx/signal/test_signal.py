"""The Signal stepped by hand: forking, rules, cancelling, and the one final answer."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from base.clock import ManualClock
from directory.model import (
    Account,
    AccountRoute,
    Address,
    CallRule,
    ForeignRoute,
    Fork,
    GroupRoute,
    NullRoute,
    ProgramRoute,
    Redirect,
    Reject,
    Route,
    Stage,
    UnknownRoute,
)
from pbx.signal.answer import COMPLETED_ELSEWHERE, Answer, best
from pbx.signal.branch import Branch, Device, Foreign, Program
from pbx.signal.port import Limits, SignalState
from pbx.signal.signal import Signal

ALICE = Account(1, "example.org", "alice")
BOB = Account(2, "example.org", "bob")
CAROL = Account(3, "example.org", "carol")
PEOPLE = {account.name: account for account in (ALICE, BOB, CAROL)}
OTHERS = (ForeignRoute(Address("two", "b.net")), ForeignRoute(Address("three", "c.net")), AccountRoute(CAROL))
VOICEMAIL = Redirect(("#voicemail",))


class Way:
    """A way that only writes down what it is told."""

    def __init__(self) -> None:
        self.phones: dict[int, list[str]] = {}
        self.call_rules: dict[int, list[CallRule]] = {}
        self.started: list[Branch] = []
        self.cancelled: list[tuple[Branch, str | None]] = []
        self.discarded: list[Branch] = []
        self.provisionals: list[tuple[Branch, Answer]] = []
        self.finals: list[Answer] = []
        self.winner: Branch | None = None

    def resolve(self, target: str, account: Account | None) -> Route:
        if target.startswith("#"):
            return ProgramRoute(target[1:], (), account or ALICE)
        if target == "void":
            return NullRoute(Address("void", "example.org"))
        if target == "team":
            return GroupRoute("team", tuple(Address(name, "example.org") for name in ("bob", "carol")))
        local, _, domain = target.partition("@")
        if domain not in ("", "example.org"):
            return ForeignRoute(Address(local, domain), others=OTHERS if local == "listed" else ())
        return AccountRoute(PEOPLE[local]) if local in PEOPLE else UnknownRoute(Address(local, "example.org"))

    def devices(self, account: Account) -> Sequence[str]:
        return self.phones.get(account.id, [])

    def rules(self, account: Account) -> Sequence[CallRule]:
        return self.call_rules.get(account.id, [])

    def best_way(self, route: ForeignRoute) -> ForeignRoute:
        return route

    def start_branch(self, branch: Branch) -> None:
        self.started.append(branch)

    def cancel_branch(self, branch: Branch, reason: str | None) -> None:
        self.cancelled.append((branch, reason))

    def discard(self, branch: Branch) -> None:
        self.discarded.append(branch)

    def provisional(self, branch: Branch, answer: Answer) -> None:
        self.provisionals.append((branch, answer))

    def answered(self, branch: Branch, answer: Answer) -> None:
        self.winner = branch
        self.finals.append(answer)

    def failed(self, answer: Answer) -> None:
        self.finals.append(answer)


class Play:
    """A Signal with its clock and its way."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = ManualClock()
        self.way = Way()
        self.signal = Signal(self.clock, self.way, limits)

    def bob_has(self, *phones: str, rules: Sequence[CallRule] = ()) -> Play:
        self.way.phones[BOB.id] = list(phones)
        self.way.call_rules[BOB.id] = list(rules)
        return self

    def call(self, target: str = "bob") -> Play:
        self.signal.begin(self.way.resolve(target, None))
        return self

    def says(self, index: int, status: int, *contacts: str) -> None:
        self.signal.answer(self.way.started[index], Answer(status, contacts=contacts))

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.way.finals]

    @property
    def programs(self) -> list[str]:
        return [b.target.route.program for b in self.way.started if isinstance(b.target, Program)]


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
