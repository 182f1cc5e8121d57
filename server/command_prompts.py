"""`tandem prompts`: the sounds that callers hear."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from server.command_output import DataOption, DomainOption, JsonOption, ask, console, fail, row, rows, say, show_rows

prompts = typer.Typer(help="Prompts: the sounds that callers hear.", no_args_is_help=True)

_LARGEST = 32 * 1024 * 1024  # Limit: as the control socket's line.
_LARGE = 1024 * 1024

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Such as receptionprompt.wav.")]
LanguageOption = Annotated[str | None, typer.Option("--language", help="A language folder, such as french.")]


@prompts.command("list")
def prompts_list(
    domain: DomainOption = None,
    language: LanguageOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List prompts and whether each is stock or your own."""
    listing = rows(ask(data, "prompts.list", domain=domain, language=language))
    show_rows(listing, {"name": "PROMPT", "level": "FROM", "size": "OCTETS"}, as_json=as_json, empty="no prompts")


@prompts.command("put")
def prompts_put(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Any WAV or AU: any rate, mono or stereo.")],
    domain: DomainOption = None,
    language: LanguageOption = None,
    data: DataOption = None,
) -> None:
    """Convert a sound file and install it; the very next call hears it.

    Example: tandem prompts put receptionprompt.wav my-greeting.wav
    """
    sound = _read(file)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console(), transient=True
    ) as progress:
        if len(sound) > _LARGE:
            progress.add_task(f"uploading {len(sound) // 1024} KB and converting", total=None)
        encoded = base64.b64encode(sound).decode()
        made = row(ask(data, "prompts.put", name=name, data=encoded, domain=domain, language=language))
    say(f"prompt {made.get('name')} is installed ({made.get('level')}, {made.get('size')} octets)")


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > _LARGEST:
            fail(f"{file} is larger than {_LARGEST // 1024 // 1024} MB")
        return file.read_bytes()
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}")


@prompts.command("get")
def prompts_get(
    name: NameArgument,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="- or a pipe: standard output.")] = None,
    domain: DomainOption = None,
    language: LanguageOption = None,
    data: DataOption = None,
) -> None:
    """Save a prompt as callers hear it.

    Example: tandem prompts get welcome.wav heard.wav
    """
    sound = base64.b64decode(str(row(ask(data, "prompts.get", name=name, domain=domain, language=language))["data"]))
    if str(file) == "-" or (file is None and not sys.stdout.isatty()):
        sys.stdout.buffer.write(sound)
        return
    target = file or Path(Path(name).name)
    try:
        target.write_bytes(sound)
    except OSError as error:
        fail(f"cannot write {target}: {error.strerror}")
    say(f"{target}: {len(sound)} octets")


@prompts.command("remove")
def prompts_remove(
    name: NameArgument, domain: DomainOption = None, language: LanguageOption = None, data: DataOption = None
) -> None:
    """Remove a prompt of your own; the stock one is heard again."""
    ask(data, "prompts.remove", name=name, domain=domain, language=language)
    say(f"prompt {name} is removed")
