"""Acts on trunks: two administrators at once, what is refused, and what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from admin.acts import Acts, Desk
from admin.ports import Json
from admin.rights import LOCAL
from admin.table import all_acts
from base.clock import ManualClock
from base.failures import Failure
from pbx.trunk.trunks import Trunks
from tests.admin.configuration.house import server
from tests.admin.test_acts import House, Prompts


@dataclass
class Stage:
    acts: Acts
    trunks: Trunks

    async def put(self, **arguments: Json) -> Json:
        return await self.acts.perform("trunk.put", {"name": "home", **arguments}, LOCAL)

    async def shown(self) -> dict[str, Json]:
        rows = await self.acts.perform("trunk.list", {}, LOCAL)
        assert isinstance(rows, list)
        (row,) = rows
        assert isinstance(row, dict)
        return row


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with server() as made:
        house, trunks = House(), made.rooms.trunks
        desk = Desk(made.directory, Prompts(), house, house, house, ManualClock(), trunks=trunks)
        stage = Stage(all_acts(desk), trunks)
        await stage.put(domain="provider.example", user="4930", password="secret-1")
        yield stage


async def test_of_two_changes_at_once_both_are_there(stage: Stage) -> None:
    changes: list[dict[str, Json]] = [
        {"target": "alice"}, {"country": "DE", "numbers": "plus"}, {"options": 120}, {"shows": "caller"},
    ]  # fmt: skip
    await asyncio.gather(*(stage.put(**change) for change in changes))
    row = await stage.shown()
    assert all(change.items() <= row.items() for change in changes)
    assert stage.trunks.line("home").password == "secret-1"


async def test_a_change_of_what_was_just_removed_leaves_one_or_the_other(stage: Stage) -> None:
    done = await asyncio.gather(
        stage.acts.perform("trunk.remove", {"name": "home"}, LOCAL), stage.put(target="alice"), return_exceptions=True
    )
    assert isinstance(done[1], Failure)  # it has no domain any more, so it would be a new trunk
    assert await stage.acts.perform("trunk.list", {}, LOCAL) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [({"options": 5}, "10 to 3600"), ({"options": 4000}, "10 to 3600"), ({"inbound": "never"}, "auto, contact")],
)
async def test_what_is_refused_changes_nothing(stage: Stage, change: dict[str, Json], why: str) -> None:
    before = await stage.shown()
    with pytest.raises(Failure, match=why):
        await stage.put(**change)
    assert await stage.shown() == before
    assert before["options"] == 60
