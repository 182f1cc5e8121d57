"""Scenes: programs that are broken, and stores that take nothing: it is told, and the calls of others go on."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.phone import TestPhone
from tests.scenes.peer import alive
from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_voicemail import messages, skip_greeting, wait_messages
from tests.tones import make_tone, seconds_heard

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]

# --- programs

BROKEN = """entry Main is
  if AcceptCall() != null then return; end if;
  x = NewArray();
  x[7] = Length(x) / 0;
end entry;
"""
ENDLESS = """entry Main is
  if AcceptCall() != null then return; end if;
  n = 0;
  loop
    n = n + 1;
  end loop;
end entry;
"""


def install(site: Site, name: str, text: str) -> None:
    folder = site.data / "environment" / "server"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


async def hear_failure(site: Site, tone: Tone, tmp_path: Path, program: str, seconds: float) -> tuple[float, float]:
    """bob is in the echo, alice calls the program: seconds of the failure prompt that she hears, and of her call."""
    await site.tandem("prompts", "put", "failure.wav", str(make_tone(tmp_path / "sorry.wav", 700, seconds=2.0)))
    install(site, "pbx.sppr", program)
    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"))
    async with alice, bob:
        await bob.play(tone(440))
        other = await bob.call(f"sip:600@{DOMAIN}")
        await bob.wait_state("confirmed", other)
        await bob.listen(0.3, other)
        await bob.record(tmp_path / "bob.wav")
        await alice.record(tmp_path / "alice.wav")
        call = await alice.call(f"sip:200@{DOMAIN}")
        began = time.monotonic()
        ended = asyncio.create_task(alice.wait_state("disconnected", call, timeout=seconds + 30))
        while not ended.done():
            await alive(site)
            await asyncio.wait([ended], timeout=0.1)
        await ended
        lasted = time.monotonic() - began
        await bob.stop_record()
        assert seconds_heard(tmp_path / "bob.wav", 440) > 0.8 * lasted - 0.5
        await bob.hangup(other)
        await alice.stop_record()
    return seconds_heard(tmp_path / "alice.wav", 700), lasted


async def test_a_broken_program_fails_alone(site: Site, tone: Tone, tmp_path: Path) -> None:
    heard, _ = await hear_failure(site, tone, tmp_path, BROKEN, 5)
    assert heard > 1.5
    (line,) = [line for line in site.log().splitlines() if "program_failed" in line]
    assert "pbx.sppr" in line
    assert "line=4" in line


async def test_a_program_that_never_ends_is_stopped(site: Site, tone: Tone, tmp_path: Path) -> None:
    heard, lasted = await hear_failure(site, tone, tmp_path, ENDLESS, 60)
    assert heard > 1.5
    assert lasted < 45
    (line,) = [line for line in site.log().splitlines() if "program_failed" in line]
    assert "pbx.sppr" in line


async def test_a_program_that_does_not_compile_is_named(site: Site, tone: Tone, tmp_path: Path) -> None:
    heard, _ = await hear_failure(site, tone, tmp_path, "entry Main is\n  x = = 1;\nend entry;\n", 5)
    assert heard > 1.5
    (line,) = [line for line in site.log().splitlines() if "program_invalid" in line]
    assert "line=2" in line


# --- full disks


@contextlib.contextmanager
def full_disk(site: Site, left: int) -> Iterator[None]:
    """No file of the server grows beyond the largest one and `left` octets more: its writes then fail as on a full disk
    (RLIMIT_FSIZE: no privilege is needed for it). The log of the database is emptied first: it is the largest file."""
    with contextlib.closing(sqlite3.connect(site.data / "main.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    most = max(path.stat().st_size for path in site.data.rglob("*") if path.is_file())
    resource.prlimit(site.pid, resource.RLIMIT_FSIZE, (most + left, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(site.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.proof
async def test_a_full_disk_while_recording_is_told_and_leaves_nothing(site: Site, tone: Tone, tmp_path: Path) -> None:
    password = await site.password("bob")
    await site.tandem("prompts", "put", "failure.wav", str(make_tone(tmp_path / "sorry.wav", 700, seconds=2.0)))
    alice = await site.phone("alice", await site.password("alice"))
    async with alice:
        await alice.play(tone(440))
        await alice.record(tmp_path / "alice.wav")
        call = await alice.call(f"sip:202@{DOMAIN}")
        await alice.wait_state("confirmed", call)
        await skip_greeting(alice, call)
        with full_disk(site, 16_384):
            await alice.wait_state("disconnected", call, timeout=60)
        await alice.stop_record()
        assert seconds_heard(tmp_path / "alice.wav", 700) > 1.5
        assert await messages(site, "bob", password) == []
        assert list((site.data / "spool").glob("*")) == []
        await leave_after_beep(alice)
        await wait_messages(site, "bob", password, 1)


async def leave_after_beep(alice: TestPhone) -> None:
    call = await alice.call(f"sip:202@{DOMAIN}")
    await alice.wait_state("confirmed", call)
    await skip_greeting(alice, call)
    await alice.listen(5.0, call)
    await alice.hangup(call)
    await alice.wait_state("disconnected", call)


@pytest.mark.proof
async def test_a_mail_store_that_takes_nothing_keeps_the_recording(site: Site, tone: Tone) -> None:
    """Somebody else holds bob's mailbox locked: delivery fails whole; after the next start the message is there."""
    password = await site.password("bob")
    assert await messages(site, "bob", password) == []
    (mailbox,) = (site.data / "mail").glob("*.db")
    alice = await site.phone("alice", await site.password("alice"))
    with contextlib.closing(sqlite3.connect(mailbox, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        async with alice:
            await alice.play(tone(440))
            await leave_after_beep(alice)
            async with asyncio.timeout(30):
                while "recording" not in site.log():
                    await asyncio.sleep(0.2)
        assert await site.stop() == 0
        holder.execute("ROLLBACK")
    assert len(list((site.data / "spool").glob("*.wav"))) == 1
    await site.start()
    (message,) = await wait_messages(site, "bob", password, 1)
    assert int(message["Content-Duration"]) >= 2
    assert list((site.data / "spool").glob("*.wav")) == []
