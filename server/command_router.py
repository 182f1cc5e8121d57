"""`tandem router` and `tandem route`: the Router's table, and where an address leads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import click
import typer

from admin.ports import Json
from directory.router.table import numbered
from server.command_output import DataOption, JsonOption, Row, ask, fail, row, rows, say, show_json, show_pairs

router = typer.Typer(
    help="The Router: your table that says where addresses lead before names are looked up.\n\n"
    "A record is a line: [NoRelay:][Signal:|Mail:]<local@domain> = right ; remark\n\n"
    "On the left `*` is any text, (7d) seven digits, (10+d) ten or more, (7-12d) seven to twelve; a `*` on the right "
    "becomes what the first of them stood for. NoRelay: keeps strangers out. The first record that fits decides, and "
    "what it makes of the address starts again at the top.\n\n"
    "Example: NoRelay:Signal:<9*@example.com> = *@192.168.1.2",
    no_args_is_help=True,
)

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="A file with the table; - is standard input.")]


@router.command("show")
def router_show(
    numbers: Annotated[bool, typer.Option("--numbers", help="With the numbers of the lines.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the table in use.

    Example: tandem router show > router.txt
    """
    answer = row(ask(data, "router.show"))
    if as_json:
        show_json(answer)
        return
    text = str(answer.get("text"))
    for line in numbered(text) if numbers else text.splitlines():
        say(line)


@router.command("check")
def router_check(file: FileArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Look for faults and dangers in a table without using it.

    Example: tandem router check router.txt
    """
    answer = row(ask(data, "router.check", text=_read(file)))
    _show(answer, "would be taken", as_json=as_json)


@router.command("set")
def router_set(file: FileArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Use the table of a file: all of it, or nothing when a line is faulty.

    Example: tandem router set router.txt
    """
    answer = row(ask(data, "router.set", text=_read(file)))
    _show(answer, "in use", as_json=as_json)


@router.command("edit")
def router_edit(data: DataOption = None) -> None:
    """Change the table in your editor ($VISUAL, $EDITOR); it is used when it has no fault.

    Example: EDITOR=nano tandem router edit
    """
    before = str(row(ask(data, "router.show")).get("text"))
    after = click.edit(before or _FRESH, extension=".router", require_save=True)
    if after is None or after == before:
        say("nothing was changed")
        return
    _show(row(ask(data, "router.set", text=after)), "in use", as_json=False)


_FRESH = """\
; The Router. A record is a line: [NoRelay:][Signal:|Mail:]<local@domain> = right
; Calls to ten digits or more go to a gateway, for our own people only:
; NoRelay:Signal:<(10+d)@example.com> = *@192.168.1.2
"""


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")


def _show(answer: Row, what: str, *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    count = answer.get("records")
    say(f"{count} {'record' if count == 1 else 'records'} {what}")
    for warning in rows(answer.get("warnings")):
        say(f"warning: line {warning.get('line')}: {warning.get('warning')}")


def route(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A number, a name, or an address.")],
    from_: Annotated[str | None, typer.Option("--from", metavar="NAME", help="As if this account called.")] = None,
    use: Annotated[str, typer.Option("--for", metavar="USE", help="signal (a call), mail or access.")] = "signal",
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="Rules as at 2026-12-24 18:00.")] = None,
    no_services: Annotated[bool, typer.Option("--no-services", help="With ;services=no.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell where a call to an address leads, and why.

    Example: tandem route '*98' --from alice
    """
    answer = row(ask(data, "route", address=address, from_=from_, no_services=no_services, use=use, at=at))
    if as_json:
        show_json(answer)
        return
    for step in _list(answer.get("steps")):
        say(f"  {step}")
    show_pairs({str(answer.get("kind")): answer.get("leads_to")}, as_json=False)
    for rule in _list(answer.get("rules")):
        say(f"  {rule}")


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
