"""Recordings in progress: a WAV file and a small note beside it that outlive a killed server.

The note is on disk before the first sample, so that whoever starts next knows for whom a left-over recording was meant.
Not here: recording itself (the media engine writes the file) and delivery (`apps.recovery`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from apps.environment import replace_file
from apps.ports import Wave
from base.entropy import Entropy
from base.failures import Failure
from base.work import Run

# Limit: octets read back from one recording; an hour of 8 kHz 16-bit sound is 57.6 MB.
MAX_RECORDING = 64 * 1024 * 1024


class SpoolNote(msgspec.Struct, frozen=True):
    """Who recorded what for whom. `deliver` is true for a message that a caller leaves: it must not be lost."""

    id: str
    task: str
    account: int
    caller_uri: str
    caller_name: str
    started: float
    deliver: bool


class Spool:
    """The folder of recordings."""

    def __init__(self, folder: Path, entropy: Entropy, run: Run) -> None:
        self._folder = folder
        self._entropy = entropy
        self._run = run

    def path(self, note: SpoolNote) -> Path:
        """Where the sound of a recording lies."""
        return self._folder / f"{note.id}.wav"

    async def begin(
        self, *, task: str, account: int, caller_uri: str, caller_name: str, started: float, deliver: bool
    ) -> SpoolNote:
        """Write the note; the recording may start. Raises Failure("full")."""
        note = SpoolNote(self._entropy.token(12), task, account, caller_uri, caller_name, started, deliver)
        try:
            await self._run(lambda: self._write(note))
        except OSError as problem:
            raise Failure("full", "no room to record", private=str(problem), temporary=True) from problem
        return note

    async def read(self, note: SpoolNote) -> bytes | None:
        """The sound recorded; None when there is none. Raises Failure("full") on a disk error."""
        try:
            return await self._run(lambda: self._read(note))
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise Failure("full", "the recording cannot be read", private=str(problem)) from problem

    async def mend(self, note: SpoolNote, wave: Wave) -> float:
        """Repair what a killed recorder left open; the seconds recorded, 0 for nothing that can be played."""

        def work() -> float:
            path = self.path(note)
            if not path.exists():
                return 0.0
            wave.repair(path)
            return wave.duration(path)

        try:
            return await self._run(work)
        except (OSError, Failure, ValueError):
            return 0.0

    async def discard(self, note: SpoolNote) -> None:
        """Remove sound and note, in that order, so that no note is ever without its meaning."""
        await self._run(lambda: self._remove(note))

    async def leftovers(self) -> Sequence[SpoolNote]:
        """The notes that an earlier run left behind, oldest first. Sounds without a note are removed."""
        return await self._run(self._scan)

    def _write(self, note: SpoolNote) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._note(note), msgspec.json.encode(note))

    def _read(self, note: SpoolNote) -> bytes:
        with self.path(note).open("rb") as file:
            return file.read(MAX_RECORDING)

    def _remove(self, note: SpoolNote) -> None:
        self.path(note).unlink(missing_ok=True)
        self._note(note).unlink(missing_ok=True)

    def _note(self, note: SpoolNote) -> Path:
        return self._folder / f"{note.id}.json"

    def _scan(self) -> Sequence[SpoolNote]:
        found: list[SpoolNote] = []
        for file in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []:
            try:
                note = msgspec.json.decode(file.read_bytes(), type=SpoolNote)
            except (OSError, msgspec.DecodeError):
                continue
            if note.id == file.stem:
                found.append(note)
        known = {note.id for note in found}
        for sound in self._folder.glob("*.wav") if self._folder.is_dir() else []:
            if sound.stem not in known and not (self._folder / f"{sound.stem}.json").exists():
                sound.unlink(missing_ok=True)
        return sorted(found, key=lambda note: note.started)
