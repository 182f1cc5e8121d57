"""Acts on recorded calls: whose they are, what they give out, what they refuse."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from admin.acts import Acts, Desk
from admin.ports import Json
from admin.rights import LOCAL, Actor, Right
from admin.table import all_acts
from base.clock import ManualClock
from base.failures import Failure
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.work import run_at_once
from directory.directory import Directory
from directory.settings import SETTINGS
from pbx.mediaproxy.wav import header
from pbx.recordings.library import Library, name_of
from pbx.recordings.tables import Recording
from tests.admin.test_acts import House, Prompts
from tests.directory.fixtures import demo_directory

OCTETS = 40 * 32_000  # more than one piece


class Stage:
    """Acts over a library with one recorded call of alice's."""

    def __init__(self, acts: Acts, name: str) -> None:
        self.acts = acts
        self.name = name

    async def do(self, act: str, actor: Actor = LOCAL, **arguments: Json) -> Json:
        return await self.acts.perform(f"recordings.{act}", arguments, actor)


def desk(directory: Directory, library: Library | None) -> Desk:
    house = House()
    return Desk(directory, Prompts(), house, house, house, ManualClock(), recordings=library)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    databases, clock = InlineDatabases(), ManualClock()
    async with demo_directory() as directory:
        library = Library(await databases.main(), clock, Metrics(), run_at_once, tmp_path)
        await library.start()
        alice = directory.find_account(directory.main_domain, "alice")
        assert alice is not None
        about = Recording(name_of("c1", clock.wall(), 1), "c1", clock.wall(), "sip:alice@x", alice.id, "bob@x", None)
        path = await library.begin(about, lambda _: None)
        path.parent.mkdir()
        path.write_bytes(header(OCTETS, 2) + bytes(OCTETS))
        await library.ended(about.name, 40.0, "stopped")
        yield Stage(all_acts(desk(directory, library)), about.name)
        await library.close()
    databases.discard()


async def test_one_is_listed_read_piece_by_piece_and_removed(stage: Stage) -> None:
    assert await stage.do("list", account="bob") == []
    (row,) = _rows(await stage.do("list", account="alice", call="c1"))
    assert (row["name"], row["seconds"], row["state"]) == (stage.name, 40.0, "ended")
    shown = await stage.do("show", name=stage.name)
    assert isinstance(shown, Mapping)
    assert shown["size"] == 44 + OCTETS
    whole = b""
    while piece := await _piece(stage, len(whole)):
        whole += piece
    assert whole == header(OCTETS, 2) + bytes(OCTETS)
    await stage.do("remove", name=stage.name)
    for act in ("show", "read", "remove"):
        with pytest.raises(Failure, match="there is no recording"):
            await stage.do(act, name=stage.name)


async def _piece(stage: Stage, offset: int) -> bytes:
    answer = await stage.do("read", name=stage.name, offset=offset)
    assert isinstance(answer, Mapping)
    return base64.b64decode(str(answer["data"]))


def _rows(answer: Json) -> list[Mapping[str, Json]]:
    assert isinstance(answer, list)
    return [row for row in answer if isinstance(row, Mapping)]


@pytest.mark.parametrize("act", ["list", "show", "read", "remove"])
async def test_who_may_look_at_calls_may_not_hear_them(stage: Stage, act: str) -> None:
    watcher = Actor("watcher", frozenset({Right.MONITOR, Right.USERS, Right.SETTINGS}))
    with pytest.raises(Failure, match="needs the right Recordings"):
        await stage.do(act, watcher, name=stage.name)


async def test_a_server_without_a_library_says_so() -> None:
    async with demo_directory() as directory:
        with pytest.raises(Failure, match="records no calls"):
            await all_acts(desk(directory, None)).perform("recordings.list", {}, LOCAL)


@pytest.mark.parametrize("key", ["RecordAlways", "RecordByKey", "RecordAnnounce", "MonitoredBy"])
def test_who_is_heard_is_not_for_every_administrator_to_say(key: str) -> None:
    assert SETTINGS[key].limit
