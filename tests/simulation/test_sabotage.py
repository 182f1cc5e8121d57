"""The simulation finds what it must: a server broken on purpose fails within a few seeds, and the words tell how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pbx.b2bua.call import Call
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.silence import SilenceWatch
from pbx.mediaproxy.latch import Address, Latch
from pbx.presence import tables as presence_tables
from pbx.presence.subscription import Subscription
from pbx.presence.table import Table
from pbx.records.book import CallBook
from pbx.registrar import tables
from pbx.sipcore.session import Session
from tests.simulation import draws
from tests.simulation.story import run

ENOUGH = 40


def _believe_anybody(latch: Latch, source: Address, ssrc: int, now: float) -> bool:
    latch.source = source
    return True


def _predate(answered: Callable[..., None]) -> Callable[..., None]:
    def predated(call: Call, *arguments: Any) -> None:
        answered(call, *arguments)
        if call.record.answered is not None:
            call.record.answered -= 10.0

    return predated


def _lose_patience(watch: SilenceWatch) -> None:
    watch._timer = watch._clock.call_later(1000.0, watch._gone)


def _nothing(*arguments: Any, **named: Any) -> None: ...


@pytest.mark.parametrize(
    ("place", "name", "broken", "words"),
    [
        (Latch, "accept", _believe_anybody, "believes"),
        (tables, "save", _nothing, "was registered until"),
        (CallBook, "opened", _nothing, "no record of call"),
        (Exchange, "leave", _nothing, "calls left"),
        (Call, "answered", _predate(Call.answered), "the record says"),
        (Session, "bye", _nothing, "open"),
        (SilenceWatch, "_look", _lose_patience, "should have lasted"),
    ],
    ids=["latch", "store", "open records", "table of calls", "record", "BYE", "patience"],
)
def test_a_broken_server_is_found_out(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, broken: object, words: str
) -> None:
    _found_out(monkeypatch, place, name, broken, words)


@pytest.mark.parametrize(
    ("place", "name", "words"),
    [
        (Subscription, "news", "was told"),
        (presence_tables, "save", "is not there"),
        (Table, "drop", "subscriptions left"),
    ],
    ids=["news", "store", "end"],
)
def test_so_is_one_that_forgets_who_watches(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, words: str
) -> None:
    monkeypatch.setattr(draws, "WATCHING", 1.0)
    _found_out(monkeypatch, place, name, _nothing, words)


def _found_out(monkeypatch: pytest.MonkeyPatch, place: object, name: str, broken: object, words: str) -> None:
    run(1)  # founds the town while all is well
    monkeypatch.setattr(place, name, broken)
    told = ""
    for seed in range(1, ENOUGH):
        told += "\n".join(run(seed).faults)
        if words in told:
            return
    pytest.fail(f"nothing was found: {told}")
