"""Who is let in when more comes than can be served: order, patience, refusals, bounds; stepped by hand."""

from __future__ import annotations

from pbx.sipcore.flow import Flow
from pbx.transport.admission import LIFE, LONG, SHORT, TURN, Admission, AdmissionLimits, Arrival, Fate
from pbx.transport.glance import Glance, Rank

ALICE, MALLORY = "192.0.2.1", "192.0.2.66"
STEP = 0.01


def arrival(
    key: str, rank: Rank = Rank.NEW, source: str = ALICE, *, transport: str = "udp", size: int = 400
) -> Arrival:
    flow = Flow(transport, ("192.0.2.9", 5060), (source, 5060))
    return Arrival(b"x" * size, flow, Glance(rank, key or None))


def drain(admission: Admission, now: float) -> list[tuple[Fate, str | None]]:
    done = []
    while (step := admission.next(now)) is not None:
        done.append((step[0], step[1].glance.key))
    return done


def overload(admission: Admission) -> float:
    """One served every step and five offered, for two seconds; gives the time."""
    now, number = 0.0, 0
    while now < 2.0:
        for _ in range(5):
            number += 1
            admission.arrive(arrival(f"load{number}", source=MALLORY), now)
        serve(admission, now)
        now += STEP
    return now


def serve(admission: Admission, now: float) -> Arrival | None:
    """Refusals cost nothing here; one is served."""
    while (step := admission.next(now)) is not None:
        if step[0] is Fate.TAKE:
            return step[1]
    return None


def test_what_belongs_to_something_under_way_goes_first() -> None:
    admission = Admission(AdmissionLimits(), 0.0)
    for key, rank in (("invite", Rank.NEW), ("refresh", Rank.SOON), ("", Rank.WITHIN)):
        assert admission.arrive(arrival(key, rank), 0.0) is Fate.WAIT
    assert drain(admission, 0.0) == [(Fate.TAKE, None), (Fate.TAKE, "refresh"), (Fate.TAKE, "invite")]


def test_a_flood_within_dialogs_does_not_starve_new_work() -> None:
    admission = Admission(AdmissionLimits(), 0.0)
    admission.arrive(arrival("invite"), 0.0)
    for _ in range(5 * TURN):
        admission.arrive(arrival("", Rank.WITHIN, MALLORY), 0.0)
    assert (Fate.TAKE, "invite") in drain(admission, 0.0)[:TURN]


def test_sources_have_their_turns() -> None:
    admission = Admission(AdmissionLimits(), 0.0)
    for number in range(100):
        admission.arrive(arrival(f"flood{number}", source=MALLORY), 0.0)
    admission.arrive(arrival("call"), 0.0)
    assert [key for _, key in drain(admission, 0.0)].index("call") <= 1


def test_a_burst_waits_for_half_a_second_and_a_lasting_load_for_a_tenth() -> None:
    admission = Admission(AdmissionLimits(), 0.0)
    assert admission.next(0.0) is None
    admission.arrive(arrival("one"), 0.0)
    assert admission.next(LONG - STEP) == (Fate.TAKE, arrival_of("one"))
    assert not admission.overloaded(LONG)
    now = overload(admission)
    assert admission.overloaded(now)
    served = serve(admission, now)
    assert served is not None
    assert now - served.since <= SHORT


class arrival_of:
    """Equal to an arrival of that key."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arrival) and other.glance.key == self.key


def test_capacity_is_what_was_served_under_load() -> None:
    admission = Admission(AdmissionLimits(), 0.0)
    assert admission.capacity == 0.0
    overload(admission)
    assert 80 <= admission.capacity <= 110  # one each hundredth of a second


def test_others_are_served_while_one_floods() -> None:
    admission = Admission(AdmissionLimits(), 0.0)
    now = overload(admission)
    served = 0
    for number in range(100):
        for more in range(5):
            admission.arrive(arrival(f"more{number} {more}", source=MALLORY), now)
        if number % 10 == 0:
            admission.arrive(arrival(f"honest{number}"), now)
        done = serve(admission, now)
        served += done is not None and done.source == ALICE
        now += STEP
    assert served == 10


def test_the_same_request_meets_the_same_fate() -> None:
    admission = Admission(AdmissionLimits(rate=1.0), 0.0)
    assert admission.arrive(arrival("a"), 0.0) is Fate.WAIT
    assert admission.arrive(arrival("a"), 0.1) is Fate.REPEAT  # it waits already
    assert admission.arrive(arrival("b"), 0.1) is Fate.REFUSE
    assert drain(admission, 0.1) == [(Fate.TAKE, "a")]
    assert admission.arrive(arrival("a"), 0.2) is Fate.WAIT  # its transaction repeats the answer
    assert admission.arrive(arrival("b"), 5.0) is Fate.REFUSE  # never let in after it was refused
    assert admission.arrive(arrival("b"), 5.0 + LIFE) is Fate.WAIT


def test_a_cancel_waits_behind_its_invite() -> None:
    admission = Admission(AdmissionLimits(), 0.0)
    admission.arrive(arrival("call"), 0.0)
    admission.arrive(arrival("call", Rank.WITHIN), 0.0)  # the glance gives it the INVITE's key
    taken = [admission.next(0.0), admission.next(0.0)]
    assert [step and step[1].glance.rank for step in taken] == [Rank.NEW, Rank.WITHIN]


def test_beyond_the_budget_of_refusals_it_is_dropped() -> None:
    admission = Admission(AdmissionLimits(rate=1.0, refusals=20.0), 0.0)
    admission.arrive(arrival("first"), 0.0)
    fates = [admission.arrive(arrival(f"flood{number}", source=MALLORY), 0.0) for number in range(100)]
    assert fates.count(Fate.REFUSE) == 10  # half of it for one source
    assert fates.count(Fate.DROP) == 90
    assert admission.arrive(arrival("honest"), 0.0) is Fate.REFUSE


def test_all_that_it_keeps_is_bounded() -> None:
    limits = AdmissionLimits(waiting=40, octets=20_000, remembered=50)
    admission = Admission(limits, 0.0)
    for number in range(500):
        admission.arrive(arrival(f"k{number}", source=f"192.0.2.{number % 200}"), 0.0)
        admission.arrive(arrival("", Rank.WITHIN, source=f"192.0.2.{number % 200}"), 0.0)
    assert len(admission) <= 2 * limits.waiting
    assert admission.remembered <= limits.remembered
    one = Admission(limits, 0.0)
    kept = [one.arrive(arrival(str(number), size=1000), 0.0) for number in range(40)]
    assert kept.count(Fate.WAIT) == 5  # a quarter of the octets


def test_switched_off_it_only_orders() -> None:
    admission = Admission(AdmissionLimits(active=False), 0.0)
    admission.arrive(arrival("late"), 0.0)
    assert drain(admission, 30.0) == [(Fate.TAKE, "late")]


def test_what_is_stale_within_a_dialog_is_dropped_unless_it_comes_only_once() -> None:
    admission = Admission(AdmissionLimits(), 0.0)
    admission.arrive(arrival("", Rank.WITHIN), 0.0)
    admission.arrive(arrival("", Rank.WITHIN, transport="tcp"), 0.0)
    assert [fate for fate, _ in drain(admission, 10.0)] == [Fate.DROP, Fate.TAKE]
