"""How the `tandem` command speaks: aligned tables or JSON on standard output, refusals on standard error.

Exit status: 0 done · 1 refused · 2 wrong use (typer) · 3 the server is not running.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from admin.client import NotRunning, call
from admin.ports import Json
from admin.wire import LOCAL_USER, Who
from base.failures import Failure
from server.options import SOCKET_NAME, data_folder

REFUSED = 1
NOT_RUNNING = 3

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", envvar="TANDEM_DATA", help="The server's data folder.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
DomainOption = Annotated[
    str | None, typer.Option("--domain", metavar="DOMAIN", help="The domain; the main one when left out.")
]

Row = Mapping[str, Json]

IN_NAME_OF: ContextVar[Who] = ContextVar("in_name_of", default=LOCAL_USER)
"""What this command was given with `--as` or `--login`."""


def ask(folder: Path | None, act: str, /, **arguments: Json) -> Json:
    """Perform an act in the running server, or end the command with the reason. A trailing `_` is dropped from
    names; arguments that are None are left out."""
    given = {name.rstrip("_"): value for name, value in arguments.items() if value is not None}
    try:
        return call(data_folder(folder) / SOCKET_NAME, act, given, IN_NAME_OF.get())
    except NotRunning as error:
        fail(f"{error}\nStart it with `tandem serve`, or name its folder with --data or TANDEM_DATA.", NOT_RUNNING)
    except Failure as failure:
        fail(failure.public)


def rows(answer: Json) -> list[Row]:
    """The rows of a listing."""
    return [row for row in answer if isinstance(row, Mapping)] if isinstance(answer, list) else []


def row(answer: Json) -> Row:
    """The one row of an answer."""
    return answer if isinstance(answer, Mapping) else {}


def fail(message: str, status: int = REFUSED) -> NoReturn:
    """End with a message on standard error."""
    print(f"tandem: {message}", file=sys.stderr)
    raise typer.Exit(status)


def say(message: str) -> None:
    """One line for the person; never marked up, whatever it holds."""
    print(printable(message))


def show_json(answer: Json) -> None:
    print(json.dumps(answer, ensure_ascii=True, indent=2))


def show_rows(listing: Sequence[Row], columns: Mapping[str, str], *, as_json: bool, empty: str) -> None:
    """A listing. `columns`: key and heading, in order."""
    if as_json:
        show_json(list(listing))
        return
    if not listing:
        say(empty)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for item in listing:
        table.add_row(*(Text(_cell(item.get(key))) for key in columns))
    console().print(table)


def show_pairs(pairs: Row, *, as_json: bool) -> None:
    """One thing: names and values."""
    if as_json:
        show_json(pairs)
        return
    grid = Table.grid(padding=(0, 2))
    for name, value in pairs.items():
        grid.add_row(Text(name, style="bold"), Text(_cell(value)))
    console().print(grid)


def console() -> Console:
    """Tables are never cut in a pipe: a script reads whole words."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def _cell(value: Json) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case list():
            return ", ".join(map(_cell, value))
        case _:
            return printable(str(value))


def printable(text: str) -> str:
    """Text from telephones may hold control characters: they must not reach the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)
