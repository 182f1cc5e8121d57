"""Messages on their way in: bounded, in order, gone when dropped; a full disk is said to the client."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from base.failures import Failure
from mail.imap import uploads
from mail.imap.uploads import SpooledUploads
from mail.store.model import MAX_MESSAGE
from tests.mail.imap.door import client, open_door


async def test_octets_come_back_in_order(tmp_path: Path) -> None:
    room = SpooledUploads(tmp_path / "not there yet", asyncio.to_thread)
    pieces = [bytes([number]) * 300_000 for number in range(10)]
    upload = room.open(3_000_000)
    for piece in pieces:
        await upload.write(piece)
    assert b"".join(upload.pieces()) == b"".join(pieces)
    assert b"".join(upload.pieces()) == b"".join(pieces), "it can be read again"
    upload.close()
    upload.close()
    assert not os.listdir(tmp_path / "not there yet"), "the file has no name and goes with its last reader"


async def test_what_is_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_TOTAL", 1000)
    room = SpooledUploads(tmp_path, asyncio.to_thread)
    with pytest.raises(Failure, match="too large"):
        room.open(MAX_MESSAGE + 1)
    first = room.open(900)
    with pytest.raises(Failure, match="on their way"):
        room.open(200)
    first.close()
    room.open(200).close()


async def test_a_cancelled_upload_waits_for_its_thread(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    async def slowly(work: object) -> None:
        def run() -> None:
            started.set()
            go_on.wait(10)
            work()  # type: ignore[operator]

        await asyncio.to_thread(run)

    upload = SpooledUploads(tmp_path, slowly).open(2_000_000)
    writing = asyncio.create_task(upload.write(bytes(2_000_000)))
    await asyncio.to_thread(started.wait, 10)
    writing.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    upload.close()


async def test_a_full_disk_is_told_and_nothing_is_kept(tmp_path: Path) -> None:
    async with open_door(tmp_path, tls=False) as door, client(door.port) as alice:
        door.server._uploads._folder = tmp_path / "main.db" / "is no folder"
        (tmp_path / "main.db").touch()
        answer = await alice.append("INBOX", b"x" * 2_500_000)
        assert answer.startswith(b"NO [UNAVAILABLE]")
        assert b"* 0 EXISTS" in await alice.ok("SELECT INBOX")
        assert (await alice.append("INBOX", b"small\r\n")).startswith(b"OK")
        assert door.metrics.value("imap.crashed") == 0
