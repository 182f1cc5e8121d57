"""`tandem export`, `tandem plan`, `tandem apply`: the whole configuration as a tree of files, to be kept in git."""

from __future__ import annotations

import base64
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from admin.configuration import tree
from admin.ports import Json
from server.command_output import DataOption, JsonOption, Row, ask, fail, row, say, show_json

_LARGEST = 32 * 1024 * 1024  # Limit: as the control socket's line.

TreeArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the tree.")]


def export(
    folder: TreeArgument,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Write secrets.toml as well: passwords and PINs, in clear (mode 0600).")
    ] = False,
    data: DataOption = None,
) -> None:
    """Write the whole configuration as a tree of text files, prompts and programs.

    Files of an older export that are no more are removed; what is not of a configuration (.git, README.md) stays.

    Example: tandem export ~/phones && git -C ~/phones diff
    """
    answer = row(ask(data, "configuration.export", secrets=secrets))
    files = {path: base64.b64decode(str(text)) for path, text in answer.items()}
    try:
        changed = _write(folder, files)
    except OSError as error:
        fail(f"{error.filename or folder} cannot be written: {error.strerror}")
    say(f"{len(files)} files in {folder}, {changed} of them changed")


def plan(folder: TreeArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Tell what `apply` would change: settings, numbers that lead elsewhere, calls that are treated otherwise.

    Example: tandem plan ~/phones
    """
    answer = row(ask(data, "configuration.plan", files=_read(folder)))
    if as_json:
        show_json(answer)
    else:
        _show(answer)


def apply(
    folder: TreeArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Accounts may be removed, with their mail.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the server what the tree says: all of it, or nothing when anything in it is wrong.

    Accounts that are new and have no password in secrets.toml get one, which is printed once.

    Example: tandem apply ~/phones
    """
    files = _read(folder)
    if not yes:
        planned = row(ask(data, "configuration.plan", files=files))
        _show(planned)
        if not planned.get("steps"):
            return
        _agree(planned, remove)
    answer = row(ask(data, "configuration.apply", files=files, removing=remove))
    if as_json:
        show_json(answer)
        return
    steps = _list(answer, "steps")
    say(f"applied: {len(steps)} {'change' if len(steps) == 1 else 'changes'}" if steps else "nothing was to change")
    for address, password in row(answer.get("passwords")).items():
        say(f"{address} has the password {password}")


def _agree(planned: Row, remove: bool) -> None:
    removed = _list(planned, "removes")
    if removed and not remove:
        fail(f"this removes {len(removed)} account(s) and their mail; if that is meant, add --remove")
    if not sys.stdin.isatty():
        fail("not applied: say --yes, since there is nobody to ask")
    if not typer.confirm("Apply this?"):
        fail("not applied")


def _show(answer: Row) -> None:
    steps = _list(answer, "steps")
    if not steps:
        say("no changes: the server is what the tree says")
    for step in steps:
        say(f"  {step}")
    for heading, key in (("Calls:", "effects"), ("Warnings:", "warnings")):
        lines = _list(answer, key)
        if lines:
            say(heading)
        for line in lines:
            say(f"  {line}")


def _list(answer: Row, key: str) -> list[Json]:
    value = answer.get(key)
    return value if isinstance(value, list) else []


# --- folders


def _belongs(relative: Path) -> bool:
    """Whether a path may be one of a configuration: hidden files and pages for people are somebody else's."""
    return not any(part.startswith(".") for part in relative.parts) and relative.suffix != ".md"


def _there(folder: Path) -> Iterable[Path]:
    """Files of the tree, relative to its folder."""
    for root, _, names in os.walk(folder):
        for name in names:
            relative = (Path(root) / name).relative_to(folder)
            if _belongs(relative):
                yield relative


def _read(folder: Path) -> dict[str, Json]:
    if not folder.is_dir():
        fail(f"there is no folder {folder}")
    files: dict[str, Json] = {}
    size = 0
    for relative in _there(folder):
        try:
            content = (folder / relative).read_bytes()
        except OSError as error:
            fail(f"{folder / relative} cannot be read: {error.strerror}")
        size += len(content)
        files[relative.as_posix()] = base64.b64encode(content).decode()
    if size > _LARGEST:
        fail(f"the tree is {size // 2**20} MB; at most {_LARGEST // 2**20} MB can be applied at once")
    return files


def _write(folder: Path, files: dict[str, bytes]) -> int:
    """Returns how many files are other than before."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = 0
    gone = {relative.as_posix() for relative in _there(folder)} - files.keys()
    if gone and not (folder / tree.SERVER).exists():
        fail(f"{folder} holds other things and no export: give an empty folder")
    for path in gone:
        if path.split("/")[0] in tree.ROOTS:
            (folder / path).unlink()
            changed += 1
    for path, content in files.items():
        changed += _put(folder / path, content, private=path == tree.SECRETS)
    for name in tree.ROOTS:
        _prune(folder / name)
    return changed


def _put(path: Path, content: bytes, *, private: bool) -> bool:
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o666), "wb") as file:
        file.write(content)
    beside.replace(path)
    return True


def _prune(folder: Path) -> None:
    """Remove folders that hold nothing."""
    for root, _, _ in os.walk(folder, topdown=False):
        if not any(Path(root).iterdir()):
            shutil.rmtree(root)
