"""`tandem data`: look into the databases and export tables, read-only, whether the server runs or not.

sqlite-utils lives here and nowhere else; it is loaded when it is used. Sealed secrets are not shown: their columns
print as the number of octets.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TextIO

import typer

from admin.ports import Json
from server.command_output import DataOption, JsonOption, fail, show_rows
from server.options import data_folder

data_commands = typer.Typer(help="Look into the data folder, read-only.", no_args_is_help=True)

DatabaseArgument = Annotated[
    str | None, typer.Argument(metavar="[DATABASE]", help="main, or mail/ID; all when left out.")
]


def _files(folder: Path, name: str | None) -> list[tuple[str, Path]]:
    """Databases of the data folder, by their short names."""
    found = [("main", folder / "main.db")]
    found += [(f"mail/{path.stem}", path) for path in sorted((folder / "mail").glob("*.db"))]
    chosen = [(short, path) for short, path in found if path.is_file() and name in (None, short, path.name)]
    if not chosen:
        fail(f"no database {name} in {folder}" if name else f"there are no databases in {folder}")
    return chosen


def _open(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.Error as error:
        fail(f"cannot read {path}: {error}")
    return connection


@data_commands.command("inspect")
def data_inspect(database: DatabaseArgument = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List databases and tables with their rows and columns, and check each database for damage.

    Examples: tandem data inspect · tandem data inspect main --json
    """
    from sqlite_utils import Database  # costs 0.2 s, which no other command should pay

    listing: list[dict[str, Json]] = []
    damaged = False
    for short, path in _files(data_folder(data), database):
        connection = _open(path)
        try:
            check = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            damaged = damaged or check != "ok"
            tables = Database(connection).tables
            listing += [
                {
                    "database": short,
                    "table": t.name,
                    "rows": t.count,
                    "columns": [c.name for c in t.columns],
                    "check": check,
                }
                for t in tables
            ]
        except sqlite3.Error as error:
            fail(f"{path}: {error}")
        finally:
            connection.close()
    columns = {"database": "DATABASE", "table": "TABLE", "rows": "ROWS", "columns": "COLUMNS", "check": "CHECK"}
    show_rows(listing, columns, as_json=as_json, empty="no tables")
    if damaged:
        fail("a database is damaged")


@data_commands.command("export")
def data_export(
    database: Annotated[str, typer.Argument(metavar="DATABASE", help="main, or mail/ID.")],
    table: Annotated[str, typer.Argument(metavar="TABLE")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; else standard output.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of one JSON object a line.")] = False,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """Write all rows of a table.

    Examples: tandem data export main name · tandem data export mail/3 message --csv -o messages.csv
    """
    from sqlite_utils import Database

    connection = _open(_files(data_folder(data), database)[0][1])
    try:
        store = Database(connection)
        if table not in store.table_names():
            fail(f"no table {table} in {database}; there are: {', '.join(store.table_names())}")
        listing = ({key: _plain(value) for key, value in item.items()} for item in store[table].rows)
        if output is None:
            _write(sys.stdout, listing, as_csv, as_json)
        else:
            with output.open("w", encoding="utf-8", newline="") as stream:
                _write(stream, listing, as_csv, as_json)
    except (sqlite3.Error, OSError) as error:
        fail(str(error))
    finally:
        connection.close()


def _write(stream: TextIO, listing: Iterable[dict[str, Json]], as_csv: bool, as_json: bool) -> None:
    if as_csv:
        _write_csv(stream, iter(listing))
    elif as_json:
        json.dump(list(listing), stream, indent=2)
        stream.write("\n")
    else:
        for item in listing:
            stream.write(json.dumps(item) + "\n")


def _write_csv(stream: TextIO, listing: Iterator[dict[str, Json]]) -> None:
    first = next(listing, None)
    if first is None:
        return
    writer = csv.DictWriter(stream, fieldnames=list(first))
    writer.writeheader()
    writer.writerow(first)
    writer.writerows(listing)


def _plain(value: object) -> Json:
    """Octets are counted, not printed: they are message bodies or sealed secrets."""
    if isinstance(value, bytes):
        return f"({len(value)} octets)"
    return value if value is None or isinstance(value, int | float) else str(value)
