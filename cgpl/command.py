"""The command line of the language: `cgpl check`, `cgpl run`, `cgpl format`.

`check` and `format --check` tell by the exit status: 1 when there is an error. What only warns, such as a module that
is not there or a built-in of another environment, does not change it. Not the host of calls: `run` has no telephone.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from base.values import Dictionary, Value, ValueTextError, parse_value
from cgpl.builtins import roster
from cgpl.builtins.table import BuiltinTable, Environment
from cgpl.compiler import compile_program
from cgpl.diagnostics import CompileError, Diagnostic, ProgramError, Severity
from cgpl.formatter import format_program
from cgpl.runtime import External, Finished, HostCall, Program, Task

app = typer.Typer(help="Check, run and format CG/PL programs.", no_args_is_help=True)

_ENVIRONMENTS: dict[str, Environment] = {
    ".sppr": "pbx",
    ".sppi": "pbx",
    ".wcgp": "web",
    ".wcgi": "web",
    ".scgp": "sync",
    ".scgi": "sync",
}
_MODULES = {".sppr": ".sppi", ".wcgp": ".wcgi", ".scgp": ".scgi"}


def builtins_for(path: Path) -> BuiltinTable:
    """The built-ins of the environment that a file's extension means."""
    return roster.table(_ENVIRONMENTS.get(path.suffix.lower(), "core"))


class FolderLoader:
    """Modules beside a program, and in more folders; names are found whatever their case."""

    def __init__(self, program: Path, folders: Sequence[Path] = ()) -> None:
        self._suffix = _MODULES.get(program.suffix.lower(), program.suffix.lower())
        self._folders = [program.parent, *folders]
        self._table = builtins_for(program)

    def find(self, name: str) -> Path | None:
        """The file of a module."""
        wanted = (name + self._suffix).lower()
        for folder in self._folders:
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.name.lower() == wanted:
                    return path
        return None

    def module(self, name: str) -> Program | None:
        path = self.find(name)
        return None if path is None else compile_program(path.read_bytes(), str(path), self._table)


def check_file(path: Path, folders: Sequence[Path] = ()) -> list[Diagnostic]:
    """Everything found in a file: its errors, or its warnings with those about its modules."""
    try:
        program = compile_program(path.read_bytes(), str(path), builtins_for(path))
    except CompileError as error:
        return list(error.diagnostics)
    loader = FolderLoader(path, folders)
    return [*program.warnings, *filter(None, (_external(program, external, loader) for external in program.externals))]


def _external(program: Program, external: External, loader: FolderLoader) -> Diagnostic | None:
    found = loader.find(external.module)
    if found is None:
        message = f"module '{external.module}' is not beside the program"
    else:
        try:
            module = loader.module(external.module)
        except CompileError:
            message = f"module '{external.module}' does not compile (check {found})"
        else:
            if module is not None and external.name in module.sections:
                return None
            message = f"module '{external.module}' has no section '{external.name}'"
    source_line = program.source.line(external.line)
    return Diagnostic(Severity.WARNING, message, program.filename, external.line, 1, source_line)


class _Terminal:
    """The host of `run`: the log goes to the terminal, and nothing rings."""

    def wall(self) -> float:
        return time.time()

    def octets(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def log(self, text: str) -> None:
        typer.echo(text)


Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True)]
Folders = Annotated[list[Path] | None, typer.Option("--include", "-I", help="More folders with modules.")]


@app.command()
def check(
    files: Files,
    include: Folders = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Compile files without running them. The exit status is 1 when there is an error."""
    found = [diagnostic for path in files for diagnostic in check_file(path, include or ())]
    if as_json:
        typer.echo(json.dumps([{**asdict(one), "severity": one.severity.value} for one in found], indent=2))
    else:
        for diagnostic in found:
            typer.echo(str(diagnostic), err=diagnostic.severity is Severity.ERROR)
        errors = sum(one.severity is Severity.ERROR for one in found)
        typer.echo(f"{len(files)} checked, {errors} errors, {len(found) - errors} warnings")
    raise typer.Exit(1 if any(one.severity is Severity.ERROR for one in found) else 0)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    entry: Annotated[str, typer.Option(help="The entry to start.")] = "main",
    parameter: Annotated[str | None, typer.Option(help="Start parameter, in the textual form of values.")] = None,
    include: Folders = None,
) -> None:
    """Run a program on the terminal. There is no call: built-ins of the telephone answer NOT_SUPPORTED."""
    try:
        program = compile_program(file.read_bytes(), str(file), builtins_for(file))
        task = Task(
            program, entry, host=_Terminal(), loader=FolderLoader(file, include or ()), vars=_start_vars(parameter)
        )
        _finish(task)
    except (CompileError, ProgramError, ValueTextError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _start_vars(parameter: str | None) -> Dictionary:
    value: Value = None if parameter is None else parse_value(parameter)
    return Dictionary() if value is None else Dictionary({"startParameter": value})


def _finish(task: Task) -> None:
    """Step to the end; a spawned task is not started, which the program sees as null."""
    outcome = task.resume()
    while not isinstance(outcome, Finished):
        outcome = task.resume(waited=not isinstance(outcome, HostCall))


@app.command(name="format")
def format_(
    files: Files,
    check_only: Annotated[bool, typer.Option("--check", help="Only tell which files would change.")] = False,
    to_stdout: Annotated[bool, typer.Option("--stdout", help="Print instead of writing.")] = False,
) -> None:
    """Write files in the standard layout."""
    status = 0
    for path in files:
        source = path.read_bytes()
        try:
            text = format_program(source, str(path)).encode("utf-8", "surrogateescape")
        except CompileError as error:
            typer.echo(str(error), err=True)
            status = 1
            continue
        if to_stdout:
            sys.stdout.buffer.write(text)
        elif text != source:
            typer.echo(f"{path}: {'would change' if check_only else 'formatted'}")
            status = 1 if check_only else status
            if not check_only:
                path.write_bytes(text)
    raise typer.Exit(status)


if __name__ == "__main__":
    app()
