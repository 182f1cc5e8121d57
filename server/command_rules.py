"""`tandem rule`: free rules of calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from admin.ports import Json
from server.command_output import DataOption, JsonOption, Row, ask, fail, row, say, show_json

rules = typer.Typer(
    help="Rules of calls beside the simple settings: of an account, of a domain (@example.com) or of the server (@).",
    no_args_is_help=True,
)

OwnerArgument = Annotated[str, typer.Argument(metavar="OWNER", help="alice, @example.com for a domain, @ for all.")]


@rules.command("show")
def rule_show(owner: OwnerArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Print the rules, as `set` reads them.

    Example: tandem rule show alice > rules.txt
    """
    _show(row(ask(data, "rule.show", **_owner(owner))), as_json=as_json)


@rules.command("set")
def rule_set(
    owner: OwnerArgument,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file with all rules; - is standard input.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use the rules of a file: all of them, or none when one is faulty.

    Example: tandem rule set @example.com rules.txt
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")
    _show(row(ask(data, "rule.set", text=text, **_owner(owner))), as_json=as_json)


@rules.command("add")
def rule_add(
    owner: OwnerArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A rule of the same name is replaced.")],
    do: Annotated[
        list[str],
        typer.Option("--do", help="Redirect to …, Fork to …, Reject with NNN, Stop processing. May be repeated."),
    ],
    when: Annotated[
        str, typer.Option("--when", help="at once, after N (seconds), no answer, busy, failure.")
    ] = "at once",
    condition: Annotated[
        list[str] | None,
        typer.Option("--if", help="Such as 'Time Of Day in 18:00-07:30'. May be repeated; all must hold."),
    ] = None,
    priority: Annotated[int, typer.Option("--priority", min=0, max=10, help="10 goes first; 0 is off.")] = 5,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a rule.

    Example: tandem rule add alice Evening --if 'Time Of Day in 18:00-07:30' --do 'Redirect to #voicemail'
    """
    given: dict[str, Json] = {
        "name": name,
        "when": when,
        "conditions": condition or [],
        "actions": do,
        "priority": priority,
    }
    _show(row(ask(data, "rule.add", **given, **_owner(owner))), as_json=as_json)


@rules.command("remove")
def rule_remove(
    owner: OwnerArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the rule.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a rule out.

    Example: tandem rule remove alice Evening
    """
    _show(row(ask(data, "rule.remove", name=name, **_owner(owner))), as_json=as_json)


def _owner(text: str) -> dict[str, Json]:
    if text == "@":
        return {}
    return {"domain": text[1:]} if text.startswith("@") else {"account": text}


def _show(answer: Row, *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return
    for line in str(answer.get("text")).splitlines():
        say(line)
