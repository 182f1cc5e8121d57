"""`tandem recording`: recorded calls."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from server.command_output import DataOption, JsonOption, ask, console, fail, row, rows, say, show_pairs, show_rows

recordings = typer.Typer(
    help="Recorded calls. Who may be recorded, and must be told, is a matter of law: docs/recording.md.",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As the list and the call record tell it.")]


@recordings.command("list")
def recording_list(
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="2026-11-01, or with a time.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before that time.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="Calls from and to it.")] = None,
    call: Annotated[str | None, typer.Option("--call", metavar="ID", help="The id of a call record.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List recorded calls, the newest first.

    Example: tandem recording list --since 2026-11-01 --account alice
    """
    found = rows(ask(data, "recordings.list", since=since, until=until, account=account, call=call, limit=limit))
    columns = {"name": "NAME", "started": "STARTED", "seconds": "SECONDS", "caller": "FROM", "callee": "TO"}
    show_rows(found, columns, as_json=as_json, empty="no recordings")


@recordings.command("show")
def recording_show(name: NameArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show one recorded call."""
    show_pairs(row(ask(data, "recordings.show", name=name)), as_json=as_json)


@recordings.command("export")
def recording_export(
    name: NameArgument,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="- : standard output.")] = None,
    data: DataOption = None,
) -> None:
    """Save the sound: a stereo WAV, the caller on the left.

    Example: tandem recording export 20261128-141502-0123456789abcdef.wav call.wav
    """
    size = row(ask(data, "recordings.show", name=name)).get("size")
    if str(file) == "-":
        for piece in _pieces(data, name):
            sys.stdout.buffer.write(piece)
        return
    target = file or Path(Path(name).name)
    try:
        with target.open("xb") as sink, Progress(console=console(), transient=True) as progress:
            task = progress.add_task(name, total=size if isinstance(size, int) else None)
            for piece in _pieces(data, name):
                sink.write(piece)
                progress.advance(task, len(piece))
    except typer.Exit:  # the server has told why
        target.unlink()
        raise
    except OSError as error:
        fail(f"cannot write {target}: {error.strerror}")
    say(f"{target}: {target.stat().st_size} octets")


def _pieces(data: Path | None, name: str) -> Iterator[bytes]:
    offset = 0
    while piece := base64.b64decode(str(row(ask(data, "recordings.read", name=name, offset=offset)).get("data"))):
        yield piece
        offset += len(piece)


@recordings.command("delete")
def recording_delete(name: NameArgument, data: DataOption = None) -> None:
    """Delete a recorded call; its call record stays."""
    ask(data, "recordings.remove", name=name)
    say(f"{name} is deleted")
