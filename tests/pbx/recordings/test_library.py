"""The library of recorded calls: what a killed server leaves, a full disk, and old files."""

from __future__ import annotations

import asyncio
import shutil
from collections import namedtuple
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import soundfile

from base.clock import ManualClock
from base.failures import Failure
from base.metrics import Metrics
from base.storage.database import Database
from base.storage.inline import InlineDatabases
from base.work import run_at_once
from pbx.mediaproxy.wav import header
from pbx.recordings import library as rooms
from pbx.recordings.library import CUT, FULL, LOOK_EACH, Bounds, Library, name_of
from pbx.recordings.tables import Recording

DAY = 86_400.0
Usage = namedtuple("Usage", "total used free")


class Shelf:
    """A library that can be opened again."""

    def __init__(self, folder: Path, database: Database, clock: ManualClock) -> None:
        self.folder = folder
        self.database = database
        self.clock = clock

    @asynccontextmanager
    async def open(self, bounds: Bounds | None = None) -> AsyncIterator[Library]:
        made = Library(self.database, self.clock, Metrics(), run_at_once, self.folder, bounds)
        await made.start()
        yield made
        await made.close()

    def about(self, call: str = "c1", number: int = 1) -> Recording:
        now = self.clock.wall()
        return Recording(name_of(call, now, number), call, now, "sip:alice@x", 1, "bob@x", 2)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    databases = InlineDatabases()
    yield Shelf(tmp_path / "recordings", await databases.main(), ManualClock())
    databases.discard()


def put(path: Path, seconds: float, *, said: float | None = None) -> None:
    """A file of that length, whose header may say another one."""
    octets = round(seconds * 32_000)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header(octets if said is None else round(said * 32_000), 2) + bytes(octets))


async def test_what_a_killed_server_leaves_is_mended_and_closed(shelf: Shelf) -> None:
    async with shelf.open() as library:
        first, second = shelf.about(), shelf.about("c2")
        put(await library.begin(first, lambda _: None), 2.51, said=2.0)
        await library.begin(second, lambda _: None)  # killed before there was a file
        with pytest.raises(Failure, match="being recorded"):
            await library.remove(first.name)
    async with shelf.open() as library:
        (row,) = await library.rows(limit=10)
        assert (row.name, row.seconds, row.cause) == (first.name, 2.51, CUT)
        sound, rate = soundfile.read(library.path(first.name))
        assert (rate, sound.shape) == (8000, (round(2.51 * 8000), 2))


async def test_rows_by_time_account_and_call(shelf: Shelf) -> None:
    async with shelf.open() as library:
        for call in ("c1", "c2", "c3"):
            about = shelf.about(call)
            put(await library.begin(about, lambda _: None), 1.0)
            await library.ended(about.name, 1.0, "stopped")
            shelf.clock.advance(60)
        began = shelf.clock.wall() - 180
        assert [row.call for row in await library.rows(limit=2)] == ["c3", "c2"]
        assert [row.call for row in await library.rows(began + 60, began + 120, limit=9)] == ["c2"]
        assert [row.call for row in await library.rows(call="c1", account=2, limit=9)] == ["c1"]
        assert await library.rows(account=7, limit=9) == []
        name = (await library.rows(call="c1", limit=1))[0].name
        assert await library.read(name, 0, 4) == b"RIFF"
        assert await library.read(name, 44 + 32_000, 9) == b""
        assert await library.size(name) == 44 + 32_000
        await library.remove(name)
        for refused in (library.row(name), library.read(name, 0, 4), library.remove(name)):
            with pytest.raises(Failure, match="there is no recording"):
                await refused
        assert await library.rows(call="c1", limit=9) == []


async def test_a_name_that_no_recording_has_leads_to_no_file(shelf: Shelf) -> None:
    async with shelf.open() as library:
        (shelf.folder / "secret").write_text("x")
        with pytest.raises(Failure, match="there is no recording"):
            await library.read("../../secret", 0, 10)


async def test_one_that_never_had_sound_is_forgotten(shelf: Shelf) -> None:
    async with shelf.open() as library:
        about = shelf.about()
        path = await library.begin(about, lambda _: None)
        put(path, 0.0)
        await library.ended(about.name, 0.0, "stopped")
        assert not path.exists()
        assert await library.rows(limit=9) == []


async def test_the_end_waits_for_files_that_are_being_closed(shelf: Shelf) -> None:
    async with shelf.open() as library:
        about = shelf.about()
        put(await library.begin(about, lambda _: None), 1.0)

        async def close_file() -> None:
            await asyncio.sleep(0.05)
            await library.ended(about.name, 1.0, "stopped")

        closing = asyncio.create_task(close_file())
    assert closing.done()
    async with shelf.open() as library:
        assert [row.cause for row in await library.rows(limit=9)] == ["stopped"]


async def test_a_full_disk_ends_those_that_go_on_and_refuses_new_ones(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 2000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free << 20))
    async with shelf.open(Bounds(free=1000)) as library:
        told: list[str] = []
        about = shelf.about()
        put(await library.begin(about, told.append), 1.0)
        free = 999
        await look(shelf, library)
        assert told == [FULL]
        await library.ended(about.name, 1.0, "stopped")
        with pytest.raises(Failure, match="no room"):
            await library.begin(shelf.about("c2"), told.append)
        free = 1000
        await look(shelf, library)
        await library.begin(shelf.about("c2"), told.append)
        assert told == [FULL]


async def test_a_look_that_is_under_way_at_the_end_is_the_last(shelf: Shelf) -> None:
    async with shelf.open() as library:
        shelf.clock.advance(LOOK_EACH)
        last = library._looking
        assert last is not None
        assert not last.done()
    assert last.done()
    shelf.clock.advance(LOOK_EACH)
    assert library._looking is last


async def look(shelf: Shelf, library: Library) -> None:
    shelf.clock.advance(LOOK_EACH)
    assert library._looking is not None
    await library._looking


async def test_what_is_older_than_it_may_be_is_removed_with_its_folder(shelf: Shelf) -> None:
    async with shelf.open() as library:
        for call in ("old", "new"):
            about = shelf.about(call)
            put(await library.begin(about, lambda _: None), 1.0)
            await library.ended(about.name, 1.0, "stopped")
            shelf.clock.advance(3 * DAY)
    async with shelf.open(Bounds(days=4)) as library:
        (row,) = await library.rows(limit=9)
        assert row.call == "new"
        assert [path.name for path in shelf.folder.glob("*/*")] == [row.name]
        assert len(list(shelf.folder.iterdir())) == 1


def test_a_calls_further_files_have_numbers() -> None:
    assert name_of("ab", 0.0, 2) == name_of("ab", 0.0, 1).replace(".wav", "-2.wav")
    assert rooms.CHANNELS == 2
