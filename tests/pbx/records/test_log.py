"""Accounts' own lists of calls: what a call leaves in whose list, and how long it stays there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from base.clock import ManualClock
from base.metrics import Metrics
from base.storage.inline import InlineDatabase, InlineDatabases
from pbx.records.book import CallBook
from pbx.records.log import LogEntry, Offered, entries
from pbx.records.outlets import RecordKeeper
from tests.pbx.records.test_outlets import CALL

ALICE, BOB, CAROL = 3, 4, 5
TO_TEAM = replace(CALL, dialled="sip:team@example.org", answered=None, status=487, outcome="cancelled")
FROM_ALICE = Offered("sip:alice@example.org", "Alice", frozenset({BOB, CAROL}))
Told = tuple[int, str, str, str]


def told(call: object, offered: Offered = FROM_ALICE, keep: int = 9) -> list[Told]:
    assert isinstance(call, type(CALL))
    return [(each.account, each.kind, each.party, each.note) for each in entries(call, offered, lambda account: keep)]


def test_who_answered_talked_and_the_others_of_the_group_have_missed_it() -> None:
    answered = replace(TO_TEAM, answered=CALL.answered, status=200, outcome="answered")
    assert told(answered) == [
        (ALICE, "placed", "team@example.org", ""),
        (BOB, "answered", "alice@example.org", ""),
        (CAROL, "missed", "alice@example.org", "answered elsewhere: bob@example.org"),
    ]
    found = {each.account: each for each in entries(answered, FROM_ALICE, lambda account: 9)}
    assert (found[BOB].name, found[BOB].seconds, found[CAROL].seconds) == ("Alice", answered.duration, 0.0)


@pytest.mark.parametrize(
    ("outcome", "note"),
    [("cancelled", "caller gave up"), ("busy", "busy"), ("no-answer", "no answer"), ("failed", "failed")],
)
def test_when_nobody_talked_all_have_missed_it(outcome: str, note: str) -> None:
    call = replace(TO_TEAM, outcome=outcome, callee_account=None)
    assert told(call) == [
        (ALICE, "placed", "team@example.org", note),
        (BOB, "missed", "alice@example.org", note),
        (CAROL, "missed", "alice@example.org", note),
    ]


def test_what_voicemail_took_is_missed_and_what_the_attendant_took_is_not() -> None:
    taken = replace(CALL, program="voicemail")
    assert told(taken)[1] == (BOB, "missed", "alice@example.org", "voicemail")
    assert told(taken)[2] == (CAROL, "missed", "alice@example.org", "answered elsewhere: bob@example.org")
    assert told(replace(CALL, program="pbx"))[1][1] == "answered"


def test_who_hides_himself_is_nobody_and_ones_own_number_is_no_call_to_oneself() -> None:
    assert told(CALL, Offered("", "", frozenset({BOB})))[1] == (BOB, "answered", "", "")
    own = replace(CALL, caller_account=BOB, callee_account=BOB, program="service")
    assert [each[:2] for each in told(own, Offered("sip:bob@x", "", frozenset()))] == [(BOB, "placed")]


def test_strangers_have_no_list_and_who_keeps_none_gets_none() -> None:
    assert [each[0] for each in told(replace(CALL, caller_account=None))] == [BOB, CAROL]
    assert told(CALL, keep=0) == []


@pytest.fixture
async def database() -> AsyncIterator[InlineDatabase]:
    databases = InlineDatabases()
    yield await databases.main()
    databases.discard()


def entry(number: int, account: int = BOB, keep: int = 3) -> LogEntry:
    return LogEntry(account, f"c{number}", CALL.started + number, "missed", "alice@example.org", keep=keep)


async def test_a_list_is_bounded_and_ends_with_its_account(database: InlineDatabase) -> None:
    book = CallBook(database, ManualClock(), Metrics())
    await book.start()
    for number in range(5):
        book.write(replace(CALL, id=f"c{number}"), [entry(number), entry(number, CAROL, keep=9)])
    assert [each.call for each in await book.log(BOB, 2)] == ["c4", "c3"], "also before it is on disk"
    await book.close()
    again = CallBook(database, ManualClock(), Metrics())
    await again.start()
    assert [each.call for each in await again.log(BOB)] == ["c4", "c3", "c2"]
    assert (await again.log(BOB))[0] == replace(entry(4), keep=100)
    assert len(await again.log(CAROL)) == 5
    await again.forget(BOB)
    assert await again.log(BOB) == []
    assert len(await again.log(CAROL)) == 5
    await again.close()


async def test_old_calls_leave_the_lists_as_they_leave_the_records(database: InlineDatabase) -> None:
    book = CallBook(database, ManualClock(), Metrics())
    await book.start()
    for number in (0, 1, 86_400):
        book.write(replace(CALL, id=f"c{number}", started=CALL.started + number), [entry(number)])
    await book.close()
    keeper = RecordKeeper(database, ManualClock(CALL.started + 86_402), Metrics(), [], 1)
    await keeper.prune()
    assert [each.call for each in await book.log(BOB)] == ["c86400"]
