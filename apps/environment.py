"""The application environment: which file a program, a module or a prompt name means for one domain and language.

Levels, from near to far: the domain's own files, the server's own files, the stock ones that come with Tandem. Each
level is a flat folder with one folder per language beside it; a nearer file hides a farther one, and the language's
folder goes before the level's root. Names ignore case. Not here: what the files say (`cgpl`, `pbx.mediaproxy`).

Source: CommuniGate PBX.html, "Application Environments".
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from base.failures import Failure

DEFAULT_LANGUAGE = "en"
SOUNDS = (".wav", ".au")

# Limit: one upload; ten minutes of 8 kHz 16-bit sound are 9.6 MB.
MAX_FILE = 16 * 1024 * 1024
# Limit: files of one level, so that a folder listing stays cheap.
MAX_FILES = 2000

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


@dataclass(frozen=True, slots=True)
class EnvironmentFile:
    """One file as found: its name, where it lies, the hash of its content, and the level that gave it."""

    name: str
    path: Path
    digest: str
    size: int
    level: str


@dataclass(slots=True)
class _Listing:
    """A folder's files by lower-case name, as of the folder's last change."""

    changed: int = -1
    files: dict[str, Path] = field(default_factory=dict)


class Folders:
    """Files of folders by name ignoring case, and content hashes, both read again only after a change."""

    def __init__(self) -> None:
        self._listings: dict[Path, _Listing] = {}
        self._digests: dict[Path, tuple[int, int, str]] = {}

    def files(self, folder: Path) -> Mapping[str, Path]:
        """Lower-case name to path; empty when there is no such folder."""
        try:
            changed = folder.stat().st_mtime_ns
        except OSError:
            self._listings.pop(folder, None)
            return {}
        listing = self._listings.setdefault(folder, _Listing())
        if listing.changed != changed:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if _NAME.fullmatch(entry.name) and entry.is_file())
            listing.files = {name.lower(): folder / name for name in names[:MAX_FILES]}
            listing.changed = changed
            self._forget_gone(folder, {folder / name for name in names})
        return listing.files

    def _forget_gone(self, folder: Path, present: set[Path]) -> None:
        for path in [path for path in self._digests if path.parent == folder and path not in present]:
            del self._digests[path]

    def forget(self, folder: Path) -> None:
        """Read the folder anew next time, whatever its time of change says."""
        self._listings.pop(folder, None)

    def describe(self, path: Path, level: str) -> EnvironmentFile | None:
        """The file with its hash; None when it has just gone."""
        try:
            status = path.stat()
            known = self._digests.get(path)
            if known is None or known[:2] != (status.st_mtime_ns, status.st_size):
                known = (status.st_mtime_ns, status.st_size, hashlib.sha256(path.read_bytes()).hexdigest())
                self._digests[path] = known
        except OSError:
            self._digests.pop(path, None)
            return None
        return EnvironmentFile(path.name.lower(), path, known[2], status.st_size, level)


@dataclass(frozen=True, slots=True)
class _Level:
    """One level: its name and its folders, nearest first, for a language."""

    name: str
    roots: tuple[Path, ...]
    languages: tuple[Path, ...]


class Environment:
    """The levels of all domains. `stock` folders are read only; `uploads` holds `server/` and `domains/NAME/`."""

    def __init__(
        self, stock: Sequence[Path], stock_prompts: Path, uploads: Path | None, folders: Folders | None = None
    ) -> None:
        """`folders`: what has been read already, when that is to outlive this environment."""
        self._stock = tuple(stock)
        self._prompts = stock_prompts
        self._uploads = uploads
        self._folders = folders or Folders()

    def find(self, name: str, *, domain: str = "", language: str = "") -> EnvironmentFile | None:
        """The file that this name means, or None."""
        wanted = name.lower()
        if not _NAME.fullmatch(wanted):
            return None
        for level, folder in self._search(domain, language):
            path = self._folders.files(folder).get(wanted)
            if path is not None and (found := self._folders.describe(path, level)) is not None:
                return found
        return None

    def find_sound(self, name: str, *, domain: str = "", language: str = "") -> EnvironmentFile | None:
        """As `find`, but a name without extension means a sound: `.wav`, then `.au`."""
        if name.lower().endswith(SOUNDS):
            return self.find(name, domain=domain, language=language)
        for extension in SOUNDS:
            if (found := self.find(name + extension, domain=domain, language=language)) is not None:
                return found
        return None

    def read(self, name: str, *, domain: str = "", language: str = "") -> bytes | None:
        """The content of `find`."""
        found = self.find(name, domain=domain, language=language)
        return None if found is None else found.path.read_bytes()

    def visible(
        self, *, domain: str = "", language: str = "", endings: tuple[str, ...] = ("",)
    ) -> list[EnvironmentFile]:
        """Each name with one of these endings once, as `find` would answer, sorted by name."""
        seen: dict[str, EnvironmentFile] = {}
        for level, folder in self._search(domain, language):
            for name, path in self._folders.files(folder).items():
                if (
                    name.endswith(endings)
                    and name not in seen
                    and (found := self._folders.describe(path, level)) is not None
                ):
                    seen[name] = found
        return [seen[name] for name in sorted(seen)]

    def own(self) -> Iterator[tuple[str, str, EnvironmentFile]]:
        """All own files with their domain and language, each empty for the server's and the default."""
        if self._uploads is None:
            return
        domains = self._uploads / "domains"
        roots = [("", self._uploads / "server"), *((folder.name, folder) for folder in _subfolders(domains))]
        for domain, root in roots:
            for language, folder in (("", root), *((inner.name, inner) for inner in _subfolders(root))):
                for path in self._folders.files(folder).values():
                    if (found := self._folders.describe(path, self._level_name(domain))) is not None:
                        yield domain, language, found

    def put(self, name: str, content: bytes, *, domain: str = "", language: str = "") -> EnvironmentFile:
        """Store an own file of the domain (empty: of the server). Whole or not at all, and there after a power cut.
        Raises Failure("invalid" | "full")."""
        if len(content) > MAX_FILE:
            raise Failure("invalid", f"the file is larger than {MAX_FILE // 2**20} MB")
        folder, wanted = self._own(domain, language), _checked(name)
        there = self._folders.files(folder)
        if wanted not in there and len(there) >= MAX_FILES:
            raise Failure("full", "the environment holds too many files")
        target = there.get(wanted, folder / wanted)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(target, content)
        except OSError as problem:
            raise Failure("full", "the file could not be stored", private=str(problem), temporary=True) from problem
        self._folders.forget(folder)
        stored = self._folders.describe(target, self._level_name(domain))
        if stored is None:
            raise Failure("unavailable", "the file has gone again", temporary=True)
        return stored

    def remove(self, name: str, *, domain: str = "", language: str = "") -> None:
        """Remove an own file, so that the farther one is found again. Raises Failure("not-found")."""
        folder = self._own(domain, language)
        path = self._folders.files(folder).get(_checked(name))
        if path is None:
            raise Failure("not-found", f"no own file named {name}")
        path.unlink(missing_ok=True)
        self._folders.forget(folder)

    def _search(self, domain: str, language: str) -> Iterator[tuple[str, Path]]:
        spoken = language.lower()
        other = spoken if spoken not in ("", DEFAULT_LANGUAGE) and _PLACE.fullmatch(spoken) else ""
        for level in self._levels(domain):
            if other:
                for folder in level.languages:
                    yield level.name, folder / other
            for folder in level.roots:
                yield level.name, folder

    def _levels(self, domain: str) -> Iterator[_Level]:
        if self._uploads is not None:
            if domain and _PLACE.fullmatch(domain):
                own = self._uploads / "domains" / domain.lower()
                yield _Level(self._level_name(domain), (own,), (own,))
            own = self._uploads / "server"
            yield _Level(self._level_name(""), (own,), (own,))
        yield _Level("stock", (*self._stock, self._prompts / DEFAULT_LANGUAGE), (self._prompts,))

    def _level_name(self, domain: str) -> str:
        return f"domain {domain.lower()}" if domain else "server"

    def _own(self, domain: str, language: str) -> Path:
        if self._uploads is None:
            raise Failure("unavailable", "this server keeps no own files")
        for place in (domain, language):
            if place and not _PLACE.fullmatch(place):
                raise Failure("invalid", f"not a name: {place}")
        root = self._uploads / "domains" / domain.lower() if domain else self._uploads / "server"
        spoken = language.lower()
        return root if spoken in ("", DEFAULT_LANGUAGE) else root / spoken


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir() and _PLACE.fullmatch(each.name))
    except OSError:
        return []


def replace_file(target: Path, content: bytes) -> None:
    """Write beside the target, make it durable, then let it take the target's place in one step."""
    beside = target.with_name(f".{target.name}.new")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def stock_environment(uploads: Path | None, folders: Folders | None = None) -> Environment:
    """The environment with the programs and prompts that come with Tandem."""
    return Environment(_stock_programs(), Path(__file__).parent.parent / "prompts", uploads, folders)


@cache
def _stock_programs() -> Sequence[Path]:
    here = Path(__file__).parent
    return sorted(folder for folder in here.iterdir() if any(folder.glob("*.spp[ri]")))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or ".." in name:
        raise Failure("invalid", f"not a file name: {name!r}")
    return name.lower()
