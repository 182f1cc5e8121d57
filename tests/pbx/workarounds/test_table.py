"""Who gets which workaround: patterns, networks, stock rows, and that changes last."""

from __future__ import annotations

import pytest

from base.failures import Failure
from base.storage.inline import InlineDatabases
from pbx.workarounds.kinds import Workaround, workaround
from pbx.workarounds.rows import REMEMBERED, Row, Workarounds, whose
from pbx.workarounds.server import MOST, WorkaroundStore
from pbx.workarounds.stock import STOCK

ONE, FEW = Workaround.ONE_CODEC, Workaround.FEW_HEADERS


@pytest.mark.parametrize(
    ("who", "agent", "address", "fits"),
    [
        ("Cisco-CP79*", "Cisco-CP7960G/8.0", "192.0.2.1", True),
        ("cisco-cp79*", "CISCO-CP7960G/8.0", "192.0.2.1", True),
        ("Cisco-CP79*", "My Cisco-CP7960G/8.0", "192.0.2.1", False),
        ("*CP7960G*", "My Cisco-CP7960G/8.0", "192.0.2.1", True),
        ("Phone [1.?]", "Phone [1.2]", "192.0.2.1", True),
        ("Phone [1.?]", "Phone 1", "192.0.2.1", False),
        ("192.0.2.0/24", "", "192.0.2.200", True),
        ("192.0.2.0/24", "192.0.2.0/24", "198.51.100.1", False),
        ("2001:db8::/32", "x", "2001:db8::1", True),
        ("192.0.2.7", "x", "192.0.2.7", True),
        ("192.0.2.7", "x", "2001:db8::1", False),
        ("192.0.2.7", "x", "no address", False),
    ],
)
def test_who_is_meant(who: str, agent: str, address: str, fits: bool) -> None:
    assert (ONE in Workarounds([Row(whose(who), ONE)]).for_(agent, address)) is fits


@pytest.mark.parametrize("who", ["", "  ", "*", "?*", "x" * 129, "a\nb"])
def test_a_pattern_for_everybody_or_nobody_is_refused(who: str) -> None:
    with pytest.raises(Failure) as caught:
        whose(who)
    assert caught.value.code == "invalid"


def test_all_rows_that_fit_count_and_changes_count_at_once() -> None:
    table = Workarounds()
    assert table.for_("Phone/1", "192.0.2.1") == frozenset()
    table.put([Row("Phone*", ONE), Row("192.0.2.1/32", FEW)])
    assert table.for_("Phone/1", "192.0.2.1") == {ONE, FEW}
    table.drop(Row("PHONE*", ONE).key)
    assert table.for_("Phone/1", "192.0.2.1") == {FEW}


def test_what_is_remembered_is_bounded() -> None:
    table = Workarounds([Row("Phone*", ONE)])
    for number in range(3 * REMEMBERED):
        assert table.for_(f"Phone/{number}", "192.0.2.1") == {ONE}
    assert len(table._known) <= REMEMBERED


def test_each_workaround_has_a_name_and_says_for_whom_it_is() -> None:
    for each in Workaround:
        assert workaround(each.value) is each
        assert len(each.meaning) > 60
    assert workaround("nothing") is None


def test_the_stock_rows_say_how_sure_they_are() -> None:
    assert len({row.key for row in STOCK}) == len(STOCK)
    for row in STOCK:
        assert row.stock
        assert row.note.partition(":")[0] in ("tried", "documented", "remembered")
        assert whose(row.who) == row.who


async def test_changes_are_there_after_a_restart() -> None:
    databases = InlineDatabases()
    try:
        store = WorkaroundStore(await databases.main())
        await store.start()
        await store.add("Phone*", "one-codec", "it changes in the middle of a call")
        await store.add("192.0.2.9/24", "few-headers")
        await store.remove("linphone*", "sha-256")
        with pytest.raises(Failure, match="has one-codec already"):
            await store.add("phone*", "One-Codec")
        with pytest.raises(Failure, match="there are sha-256, source-port"):
            await store.add("phone*", "two-codecs")
        with pytest.raises(Failure, match="has no few-headers"):
            await store.remove("Phone*", "few-headers")

        again = WorkaroundStore(await databases.main())
        await again.start()
        assert again.table.for_("Phone/1", "192.0.2.77") == {ONE, FEW}
        assert again.table.for_("Linphone/5", "198.51.100.1") == frozenset()
        assert [row.who for row in again.table.rows if row.off] == ["Linphone*"]
        await again.add("Linphone*", "sha-256")
        await again.remove("phone*", "one-codec")
        with pytest.raises(Failure):
            await again.remove("phone*", "one-codec")

        last = WorkaroundStore(await databases.main())
        await last.start()
        assert last.table.for_("Linphone/5", "198.51.100.1") == {Workaround.SHA_256}
        assert last.table.for_("Phone/1", "192.0.2.77") == {FEW}
    finally:
        databases.discard()


async def test_the_number_of_rows_is_bounded() -> None:
    databases = InlineDatabases()
    try:
        store = WorkaroundStore(await databases.main())
        await store.start()
        store.table.put(Row(f"Phone{number}*", ONE) for number in range(MOST))
        with pytest.raises(Failure) as caught:
            await store.add("One more*", "one-codec")
        assert caught.value.code == "full"
    finally:
        databases.discard()
