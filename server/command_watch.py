"""`tandem calls`, `tandem records`, `tandem registrations`, `tandem status`, `tandem stop`: the running server."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pbx.records.flat import csv_heading
from server.command_output import DataOption, JsonOption, ask, row, rows, say, show_pairs, show_rows


def calls(
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many ended calls to list.")] = 50,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List calls in progress, then the last that ended.

    Example: tandem calls --limit 10 --json
    """
    columns = {
        "started": "STARTED",
        "caller": "FROM",
        "dialled": "DIALLED",
        "callee": "TO",
        "program": "PROGRAM",
        "state": "STATE",
        "outcome": "OUTCOME",
        "status": "STATUS",
        "duration": "SECONDS",
    }
    show_rows(rows(ask(data, "calls", limit=limit)), columns, as_json=as_json, empty="no calls")


def records(
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="2026-11-01, or with a time.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before that time.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="Calls from and to it.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print call records as CSV (columns as Asterisk has them) or as JSON, an object a line.

    Example: tandem records --since 2026-11-01 > november.csv
    """
    place = 0
    if not as_json:
        print(csv_heading(), end="")
    while True:
        page = row(ask(data, "records", since=since, until=until, account=account, after=place))
        if as_json:
            for record in rows(page.get("records")):
                print(json.dumps(record))
        else:
            print(page.get("csv"), end="")
        following = page.get("next")
        if not isinstance(following, int) or following <= place:
            return
        place = following


def registrations(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List registered telephones."""
    columns = {
        "account": "ACCOUNT",
        "contact": "CONTACT",
        "source": "FROM",
        "user_agent": "DEVICE",
        "expires": "EXPIRES",
        "state": "STATE",
        "rtt": "MS",
    }
    show_rows(rows(ask(data, "registrations")), columns, as_json=as_json, empty="no telephones")


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show version, uptime, addresses and counters."""
    show_pairs(row(ask(data, "status")), as_json=as_json)


def stop(data: DataOption = None) -> None:
    """Stop the server as Ctrl-C does: calls are drained, then everything is closed."""
    ask(data, "shutdown")
    say("the server is stopping")
