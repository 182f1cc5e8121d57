"""`tandem account import`: many accounts from a table in CSV, with progress, and errors by line.

The whole file is read and checked before the first account is made; what the server then refuses is told by line, and
the rest goes on, so that a mended file can be given again.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from admin.client import NotRunning, call
from base.entropy import SystemEntropy
from base.failures import Failure
from directory.names import checked_local
from directory.telnums import checked_telnum
from server.command_output import IN_NAME_OF, NOT_RUNNING, DataOption, fail, say
from server.command_output import rows as answers
from server.options import SOCKET_NAME, data_folder

COLUMNS = ("name", "password", "extension", "real_name", "pin", "domain", "aliases", "numbers")
_BATCH = 100
_SHOWN = 20
"""Errors that are told; a file with more is wrong as a whole."""


@dataclass(frozen=True, slots=True)
class Row:
    """One account of the file."""

    line: int
    values: dict[str, str]


class FaultyFile(Exception):
    """What is wrong, a line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def read(text: str) -> list[Row]:
    """Read and check a file. Raises FaultyFile."""
    rows, faults, seen = [], [], dict[tuple[str, str], int]()
    lines = csv.reader(text.splitlines())
    heading = [cell.strip().lower() for cell in next(lines, [])]
    unknown = [cell for cell in heading if cell not in COLUMNS]
    if "name" not in heading or unknown:
        wrong = f"unknown columns {', '.join(unknown)}" if unknown else "no column `name`"
        raise FaultyFile([f"line 1: {wrong}; there are {', '.join(COLUMNS)}, and `name` must be there"])
    for cells in lines:
        number = lines.line_num
        if not any(cell.strip() for cell in cells):
            continue
        try:
            row = _row(number, heading, cells)
            for name in _names(row):
                before = seen.setdefault((row.values.get("domain", ""), name), number)
                if before != number:
                    raise Failure("exists", f"{name} is in line {before} already")
        except Failure as failure:
            faults.append(f"line {number}: {failure.public}")
            continue
        rows.append(row)
    if faults:
        raise FaultyFile(faults)
    return rows


def _row(number: int, heading: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(heading):
        raise Failure("invalid", f"{len(cells)} cells for {len(heading)} columns")
    values = {key: cell.strip() for key, cell in zip(heading, cells, strict=True) if cell.strip()}
    row = Row(number, values)
    for name in _names(row):
        checked_local(name)
    for telephone in values.get("numbers", "").split():
        checked_telnum(telephone)
    return row


def _names(row: Row) -> Iterator[str]:
    yield row.values.get("name", "").lower()
    aliases = row.values.get("aliases", "").split()
    yield from (alias.lower() for alias in (row.values.get("extension", ""), *aliases) if alias)


def account_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=f"CSV with a heading: {', '.join(COLUMNS)}.")],
    check: Annotated[bool, typer.Option("--check", help="Only read and check the file.")] = False,
    passwords: Annotated[
        Path | None,
        typer.Option("--passwords", metavar="FILE", help="Where to write the passwords that were made here."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Make accounts from a table; aliases and numbers are separated by spaces, and a missing password is made.

    Example: tandem account import people.csv --passwords made.csv
    """
    try:
        rows = read(file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")
    except FaultyFile as error:
        _fail(error.faults, f"{file}: nothing was made")
    if check:
        say(f"{len(rows)} accounts would be made")
        return
    if passwords is None and any("password" not in row.values for row in rows):
        fail("some lines have no password: say with --passwords FILE where those made here are to be written")
    faults = _make(rows, data_folder(data) / SOCKET_NAME, passwords)
    if faults:
        _fail(faults, f"{len(rows) - len(faults)} of {len(rows)} accounts were made without fault")
    say(f"{len(rows)} accounts were made")


def _make(rows: Sequence[Row], socket: Path, passwords: Path | None) -> list[str]:
    """Returns what was refused, by line."""
    faults: list[str] = []
    columns = (TextColumn("accounts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress, _Made(passwords) as made:
        task = progress.add_task("accounts", total=len(rows))
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            try:
                faults += _import(batch, socket, made)
            except NotRunning as error:
                fail(f"{error}\nafter {start} accounts", NOT_RUNNING)
            except Failure as failure:
                fail(f"line {batch[0].line}: {failure.public}\nafter {start} accounts")
            progress.advance(task, len(batch))
    return faults


def _import(batch: Sequence[Row], socket: Path, made: _Made) -> list[str]:
    """Some accounts at once; what was refused of them. Raises Failure, NotRunning."""
    values = [{**row.values, "password": row.values.get("password") or SystemEntropy().password()} for row in batch]
    told = answers(call(socket, "account.import", {"rows": values}, IN_NAME_OF.get()))
    for row, given, answer in zip(batch, values, told, strict=True):
        if "password" not in row.values and answer.get("made"):
            made.write(given["name"], given["password"])
    return [
        f"line {row.line}: {answer.get('fault')}"
        for row, answer in zip(batch, told, strict=True)
        if answer.get("fault")
    ]


class _Made:
    """The file of passwords that were made here; readable by its owner only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> _Made:
        if self._path is not None:
            try:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            except OSError as error:
                fail(f"{self._path} cannot be written: {error}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file >= 0:
            os.close(self._file)

    def write(self, name: str, password: str) -> None:
        os.write(self._file, f"{name},{password}\n".encode())


def _fail(faults: Sequence[str], outcome: str) -> None:
    more = [f"… and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    fail("\n".join([*faults[:_SHOWN], *more, outcome]))
