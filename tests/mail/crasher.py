"""A process that delivers mail until it is killed. Run as `python -m tests.mail.crasher FOLDER STEP`.

It writes `ok N` to standard output after each delivery that was acknowledged. STEP names where it kills itself in its
third delivery: before the transaction, inside it, or after the commit and before the acknowledgement; `run`: it goes on
until somebody else kills it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path

from mail.store import delivered, messages
from tests.mail.rooms import ALICE, delivery, disk_store

SIZE = 600_000
STEPS = ("start", "blob", "row", "noted", "committed")


def message(number: int) -> bytes:
    return b"Subject: message %d\r\n\r\n" % number + (b"%d " % number) * (SIZE // 4) + b"\r\nthe end\r\n"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _plant(step: str) -> None:
    """Replace one function of the store by one that does its work and then dies."""
    if step == "blob":
        messages.touch = lambda connection, mailbox: _die() or 0  # type: ignore[assignment]
    elif step == "row":
        messages._insert = lambda *words: _die()  # type: ignore[assignment]
    elif step == "noted":
        note = delivered.note

        def noted(connection: sqlite3.Connection, *words: object) -> None:
            note(connection, *words)  # type: ignore[arg-type]
            _die()

        delivered.note = noted  # type: ignore[assignment]


async def main(folder: Path, step: str) -> None:
    async with disk_store(folder) as store:
        mail = delivery(store)
        for number in range(100_000):
            if number == 2 and step == "start":
                _die()
            if number == 2:
                _plant(step)
            if number == 2 and step == "committed":
                store.feed.subscribe(None, lambda change: _die())
            await mail.submit("", [ALICE.address], message(number), queue_id=f"q{number}", voice=True)
            print("ok", number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
