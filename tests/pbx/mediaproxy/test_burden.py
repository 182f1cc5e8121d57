"""When the media worker has room for new calls: hysteresis and cost, by hand; and what a worker says of itself."""

from __future__ import annotations

import asyncio

from pbx.mediaproxy.burden import FIRST_COST, TRANSLATION, Burden
from tests.pbx.mediaproxy.desk import Ear, FakePhone, engine, settings, sine


def reports(burden: Burden, busy: float, late: float = 0.0, count: int = 5) -> list[bool]:
    """Whether it was full after each of so many seconds."""
    full = []
    for _ in range(count):
        burden.measured(busy, late, 0.0, 0)
        full.append(burden.full)
    return full


def test_it_is_full_after_two_heavy_seconds_and_has_room_after_two_light_ones() -> None:
    burden = Burden()
    assert reports(burden, 0.79) == [False] * 5
    assert reports(burden, 0.85, count=3) == [False, True, True]
    assert reports(burden, 0.7) == [True] * 5  # between the marks nothing changes
    assert reports(burden, 0.5, count=3) == [True, False, False]
    assert reports(burden, 0.7) == [False] * 5


def test_one_heavy_second_is_no_load() -> None:
    burden = Burden()
    for _ in range(5):
        assert not any(reports(burden, 0.95, count=1) + reports(burden, 0.5, count=1))


def test_a_late_beat_counts_only_for_a_worker_at_work() -> None:
    burden = Burden()
    assert reports(burden, 0.1, late=200.0) == [False] * 5
    assert reports(burden, 0.4, late=25.0, count=2) == [False, True]
    assert reports(burden, 0.4, late=15.0) == [True] * 5
    assert reports(burden, 0.4, late=5.0, count=2) == [True, False]


def test_a_change_is_told_once_and_a_new_worker_has_room() -> None:
    burden = Burden()
    assert [burden.measured(0.9, 0.0, 0.0, 0) for _ in range(4)] == [False, True, False, False]
    burden.forget()
    assert not burden.full
    assert burden.translates(0)


def test_translations_are_limited_by_a_guess_and_then_by_their_cost() -> None:
    burden, most = Burden(), round(TRANSLATION / FIRST_COST) - 1
    assert burden.translates(most - 1)
    assert not burden.translates(most + 1)
    burden.measured(0.2, 0.0, 0.1, 20)  # ten calls, a hundredth each
    assert burden.translates(38)
    assert not burden.translates(40)
    burden.measured(0.5, 0.0, 0.395, 4)  # whoever they are: the time is used up
    assert not burden.translates(0)


def test_nothing_is_translated_by_a_full_worker() -> None:
    burden = Burden()
    assert burden.translates(0)
    reports(burden, 0.9)
    assert not burden.translates(0)


async def test_the_worker_tells_what_translating_costs() -> None:
    async with engine() as media:
        near, far = await FakePhone.make(), await FakePhone.make()
        one, two = await media.open(Ear()), await media.open(Ear())
        one.configure(settings(near.address))
        two.configure(settings(far.address, 9, payload_types={9: "G722/8000", 101: "TELEPHONE-EVENT/8000"}))
        one.connect(two)
        async with asyncio.timeout(10):
            while not media.burden.translation:
                await near.speak(one.local, sine(440, 0.2))
        assert 0.0 < media.burden.translation < media.burden.busy
        assert media.room()
        near.close()
        far.close()
