"""An account's file storage: a folder of files that programs read and write, `mailprompt.wav` among them.

Not here: access by web and FTP, which come later. Source: CommuniGate WebSite.html, "Account File Storage".
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from apps.environment import replace_file
from base.failures import Failure
from base.work import Run

# Limit: one file read or written by a program (CommuniGate's: 1 MB, about a minute of sound).
MAX_FILE = 1024 * 1024
# Limit: files in the storage of one account.
MAX_FILES = 1000
# Limit: folders in folders.
MAX_DEPTH = 5

_PART = re.compile(r"[^\x00-\x1f/\\:*?\"<>|]{1,100}")


class AccountFiles:
    """The storages of all accounts, one folder each below `folder`."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder = folder
        self._run = run

    async def read(self, account_id: int, name: str) -> bytes | None:
        """The file's first megabyte; None when there is no such file."""
        path = self._path(account_id, name)
        try:
            return await self._run(lambda: self._read(path))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    async def write(self, account_id: int, name: str, content: bytes) -> None:
        """Store the file whole or not at all. Raises Failure("invalid" | "full")."""
        if len(content) > MAX_FILE:
            raise Failure("full", "the file is too large")
        path = self._path(account_id, name)
        try:
            await self._run(lambda: self._write(account_id, path, content))
        except OSError as problem:
            raise Failure("full", "the file could not be stored", private=str(problem), temporary=True) from problem

    async def remove(self, account_id: int, name: str) -> None:
        """Raises Failure("not-found")."""
        path = self._path(account_id, name)
        try:
            await self._run(path.unlink)
        except OSError as problem:
            raise Failure("not-found", f"no file named {name}") from problem

    async def list(self, account_id: int, folder: str = "") -> dict[str, tuple[int, float]]:
        """Name to (octets, time of change) of the files directly in a folder."""
        path = self._path(account_id, folder) if folder else self._root(account_id)
        return await self._run(lambda: self._list(path))

    def _root(self, account_id: int) -> Path:
        return self._folder / str(account_id)

    def _path(self, account_id: int, name: str) -> Path:
        parts = PurePosixPath(name).parts
        good = parts and len(parts) <= MAX_DEPTH and all(_PART.fullmatch(p) and not p.startswith(".") for p in parts)
        if not good:
            raise Failure("invalid", f"not a file name: {name!r}")
        try:
            return self._root(account_id).joinpath(*(part.encode("utf-8").decode("utf-8") for part in parts))
        except UnicodeEncodeError as problem:
            raise Failure("invalid", "not a file name") from problem

    def _read(self, path: Path) -> bytes:
        with path.open("rb") as file:
            return file.read(MAX_FILE)

    def _write(self, account_id: int, path: Path, content: bytes) -> None:
        root = self._root(account_id)
        if not path.exists() and root.is_dir() and sum(1 for _ in root.rglob("*")) >= MAX_FILES:
            raise OSError("too many files")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)

    def _list(self, path: Path) -> dict[str, tuple[int, float]]:
        if not path.is_dir():
            return {}
        files = [entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith(".")]
        return {entry.name: (entry.stat().st_size, entry.stat().st_mtime) for entry in sorted(files)[:MAX_FILES]}
