"""Left-over recordings: delivered once, at whatever moment the server died; greetings and hang-ups are not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from apps.recovery import latest
from apps.spool import Spool, SpoolNote
from base.entropy import SeededEntropy
from base.failures import Failure
from base.work import run_at_once
from tests.apps.stage import Stage, perform
from tests.apps.stage_leg import tone_file


async def left_over(
    stage: Stage, seconds: float, *, task: str = "t1", deliver: bool = True, account: int = 0, started: float = 1.7e9
) -> SpoolNote:
    spool = stage.services.spool
    note = await spool.begin(
        task=task,
        account=account or stage.account("bob").id,
        caller_uri="sip:alice@tandem.test",
        caller_name="Alice",
        started=started,
        deliver=deliver,
    )
    if seconds:
        spool.path(note).write_bytes(tone_file(seconds))
    return note


def spooled(stage: Stage) -> list[Path]:
    return sorted((stage.folder / "spool").iterdir())


def test_a_recording_of_a_killed_server_is_delivered_once() -> None:
    async def play(stage: Stage) -> None:
        note = await left_over(stage, 5)
        sound = stage.services.spool.path(note).read_bytes()
        assert await stage.host.recover() == 1
        assert spooled(stage) == []
        # Killed after delivery and before the recording was removed: the next start finds it again.
        stage.services.spool._write(note)
        stage.services.spool.path(note).write_bytes(sound)
        await stage.host.recover()
        assert len(await stage.inbox("bob")) == 1
        assert await stage.lamp("bob") == (1, 0)

    perform(play)


def test_what_is_not_delivered() -> None:
    async def play(stage: Stage) -> None:
        await left_over(stage, 0.5, task="short")
        await left_over(stage, 0, task="nothing recorded")
        await left_over(stage, 5, task="greeting", deliver=False)
        await left_over(stage, 5, task="account gone", account=999)
        (stage.folder / "spool" / "stray.wav").write_bytes(tone_file(3))
        assert await stage.host.recover() == 0
        assert spooled(stage) == []
        assert await stage.inbox("bob") == []

    perform(play)


def test_of_one_call_only_the_newest() -> None:
    async def play(stage: Stage) -> None:
        await left_over(stage, 5, started=1.7e9)
        await left_over(stage, 6, started=1.7e9 + 30)
        await left_over(stage, 7, task="t2")
        assert await stage.host.recover() == 2
        lengths = [octets.split(b"Content-Duration: ")[1][:1] for _, octets in await stage.inbox("bob")]
        assert sorted(lengths) == [b"6", b"7"]

    perform(play)


def test_a_full_store_keeps_the_recording_for_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(stage: Stage) -> None:
        await left_over(stage, 5)

        async def full(*args: object, **more: object) -> None:
            raise Failure("full", "no room", temporary=True)

        with monkeypatch.context() as patch:
            patch.setattr(stage.delivery, "submit", full)
            assert await stage.host.recover() == 0
        assert len(spooled(stage)) == 2
        assert await stage.host.recover() == 1

    perform(play)


def test_a_failing_program_does_not_lose_the_message() -> None:
    async def play(stage: Stage) -> None:
        stage.program(
            "voicemail.sppr",
            "entry Main is Void(AcceptCall()); message = Record(60); ClearDTMF(); y = 1 / 0; end;",
        )
        caller = stage.call("voicemail", "bob")
        await caller.told("= records")
        await asyncio.sleep(4)
        caller.press("1")
        await caller.hears("failure")
        await caller.ended()
        await asyncio.sleep(1)
        assert len(await stage.inbox("bob")) == 1
        assert spooled(stage) == []

    perform(play)


async def test_a_spool_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "spool", SeededEntropy(), run_at_once)
    with pytest.raises(Failure, match="no room to record"):
        await spool.begin(task="t", account=1, caller_uri="", caller_name="", started=0.0, deliver=True)
    assert await spool.leftovers() == []


async def test_a_broken_note_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"{half")
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    assert await Spool(tmp_path, SeededEntropy(), run_at_once).leftovers() == []
    assert (tmp_path / "x.wav").exists()


def test_latest_of_each_task() -> None:
    notes = [SpoolNote(str(n), f"t{n % 2}", 1, "", "", float(n), True) for n in range(5)]
    assert sorted(note.id for note in latest(notes)) == ["3", "4"]
