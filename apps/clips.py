"""Sounds that a program holds in memory, laid down as files for the time in which they may be played.

Not here: prompts, which are files already (`apps.environment`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from base.failures import Failure
from base.work import Run
from pbx.mediaproxy.engine import Clip

# Limit: octets that one program may play from memory.
MAX_CLIP = 64 * 1024 * 1024


class Clips:
    """Files named by their content's hash, shared by the Tasks that play them, gone with the last one."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder = folder
        self._run = run
        self._users: Counter[str] = Counter()

    async def clear(self) -> None:
        """Remove what an earlier run left behind."""
        await self._run(self._clear)

    async def lay(self, sound: bytes) -> Clip:
        """The sound as a file; `release` it once for each call. Raises Failure("invalid" | "full")."""
        if len(sound) > MAX_CLIP:
            raise Failure("invalid", "too long to be played")
        digest = hashlib.sha256(sound).hexdigest()
        clip = Clip(self._folder / f"{digest}.wav", digest)
        self._users[digest] += 1
        try:
            await self._run(lambda: self._write(clip.path, sound))
        except OSError as problem:
            await self.release(clip)
            raise Failure("full", "no room to play", private=str(problem), temporary=True) from problem
        return clip

    async def release(self, clip: Clip) -> None:
        """One user less; the last one's going removes the file."""
        self._users[clip.digest] -= 1
        if self._users[clip.digest] <= 0:
            del self._users[clip.digest]
            await self._run(lambda: clip.path.unlink(missing_ok=True))

    def _write(self, path: Path, sound: bytes) -> None:
        if path.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_bytes(sound)
        beside.replace(path)

    def _clear(self) -> None:
        for file in self._folder.glob("*.*") if self._folder.is_dir() else []:
            file.unlink(missing_ok=True)
