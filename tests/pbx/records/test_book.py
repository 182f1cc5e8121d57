"""The book of call records over a real (in-memory) database."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from base.clock import ManualClock
from base.failures import Failure
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from pbx.mediaproxy.engine import StreamStatistics
from pbx.records import book as book_module
from pbx.records.book import CUT, PULSE, CallBook
from pbx.records.record import CallRecord, LiveRecord, Side, outcome


def a_record(number: int, **changes: object) -> CallRecord:
    live = LiveRecord(f"id{number}", "call", 1000.0 + number, "sip:alice@x", 1, "sip:202@x")
    live.callee_account, live.answered, live.status = 2, 1005.0 + number, 200
    live.near = Side.of("Phone/1", StreamStatistics(10, 11, 100, 110, 1, 2.34))
    record = live.close(1065.0 + number)
    return replace(record, **changes)  # type: ignore[arg-type]


async def test_records_are_flushed_at_close_and_read_again() -> None:
    databases = InlineDatabases()
    database = await databases.main()
    book = CallBook(database, ManualClock(), Metrics())
    await book.start()
    for number in range(250):
        book.write(a_record(number))
    assert len(await book.recent(1000)) == 250
    await book.close()
    again = CallBook(database, ManualClock(), Metrics())
    await again.start()
    found = await again.recent(3)
    assert [record.id for record in found] == ["id249", "id248", "id247"]
    assert found[0] == a_record(249)
    assert found[0].duration == 60.0
    assert len(await again.recent(1000, accounts=[2])) == 250
    assert not await again.recent(1000, accounts=[7])
    await again.close()
    databases.discard()


async def test_a_record_is_written_once() -> None:
    databases = InlineDatabases()
    book = CallBook(await databases.main(), ManualClock(), Metrics())
    await book.start()
    book.write(a_record(1))
    book.write(a_record(1))
    await book.close()
    assert len(await book.recent()) == 1
    databases.discard()


async def test_a_call_cut_by_a_kill_is_closed_by_the_next_process() -> None:
    """At the last moment that the process was seen; a call that was over keeps its own end."""
    databases = InlineDatabases()
    database, clock = await databases.main(), ManualClock(wall=1000.0)
    killed = CallBook(database, clock, Metrics())
    await killed.start()
    for number in (1, 2):
        killed.opened(a_record(number, ended=1005.0 + number, cause=""))
    killed.write(a_record(2))
    await _rest()
    clock.advance(PULSE)
    await _rest()
    clock.advance(20.0)
    assert [record.id for record in await killed.recent()] == ["id2"]
    databases.crash()

    metrics = Metrics()
    again = CallBook(database, clock, metrics)
    await again.start()
    cut, over = sorted(await again.recent(), key=lambda record: record.id)
    assert cut == a_record(1, ended=1000.0 + PULSE, ended_by="server", cause=CUT)
    assert over == a_record(2)
    assert metrics.value("calls.records.cut") == 1
    await again.close()
    await killed.close()

    third = CallBook(database, clock, metrics)
    await third.start()
    assert len(await third.recent()) == 2
    await third.close()
    assert not clock.pending
    databases.discard()


async def test_one_that_only_rang_is_closed_as_well() -> None:
    databases = InlineDatabases()
    database, clock = await databases.main(), ManualClock(wall=1000.0)
    killed = CallBook(database, clock, Metrics())
    await killed.start()
    ringing = replace(a_record(1), answered=None, ended=1002.0, outcome="failed", status=0, ended_by="", cause="")
    killed.opened(ringing)
    await _rest()
    databases.crash()
    again = CallBook(database, clock, Metrics())
    await again.start()
    assert await again.recent() == [replace(ringing, ended_by="server", cause=CUT)]
    await again.close()
    await killed.close()
    databases.discard()


async def test_the_pulse_ends_with_the_last_call() -> None:
    databases = InlineDatabases()
    clock = ManualClock()
    book = CallBook(await databases.main(), clock, Metrics())
    await book.start()
    book.opened(a_record(1))
    clock.advance(PULSE)
    book.write(a_record(1))
    clock.advance(PULSE)
    assert not clock.pending
    await book.close()
    databases.discard()


async def _rest() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_overflows_while_a_batch_is_written_is_counted_and_the_rest_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book_module, "_BACKLOG", 5)
    databases, metrics = InlineDatabases(latency=0.02), Metrics()
    database = await databases.main()
    book = CallBook(database, ManualClock(), metrics)
    await book.start()

    asked, refused = asyncio.Event(), asyncio.Event()

    async def refuse(work: object) -> None:
        asked.set()
        await refused.wait()
        raise Failure("full", "the disk is full")

    write = database.write
    monkeypatch.setattr(database, "write", refuse)
    for number in range(3):
        book.write(a_record(number))
    await asked.wait()  # the batch is on its way
    for number in range(3, 7):
        book.write(a_record(number))
    refused.set()
    while not metrics.value("calls.records.refused"):
        await asyncio.sleep(0)
    monkeypatch.setattr(database, "write", write)
    await book.close()
    assert [record.id for record in await book.recent()] == ["id6", "id5", "id4", "id3", "id2"]
    assert metrics.value("calls.records.lost") == 2
    databases.discard()


def test_outcomes() -> None:
    assert outcome(200, True) == "answered"
    assert [outcome(status, False) for status in (486, 603, 408, 480, 487, 404, 503)] == [
        *("busy", "busy", "no-answer", "no-answer", "cancelled", "failed", "failed")
    ]
