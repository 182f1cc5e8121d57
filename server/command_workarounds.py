"""`tandem workaround`: what is done differently for devices that need it."""

from __future__ import annotations

from typing import Annotated

import typer

from server.command_output import DataOption, JsonOption, ask, row, rows, say, show_rows

workarounds = typer.Typer(
    help="Workarounds: what is done differently for devices that need it, by User-Agent or address.",
    no_args_is_help=True,
)

WhoArgument = Annotated[
    str,
    typer.Argument(
        metavar="WHO",
        help='A User-Agent with * for any letters ("Cisco-CP79*"), an address, or a network (192.0.2.0/24).',
    ),
]
WhatArgument = Annotated[
    str, typer.Argument(metavar="WORKAROUND", help="Its name, such as one-codec: tandem workaround kinds.")
]

_MEANINGS = {"workaround": "WORKAROUND", "meaning": "MEANING"}


@workarounds.command("list")
def workaround_list(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List who gets which workaround: the rows that came with the program and your own."""
    columns = {"who": "WHO", "workaround": "WORKAROUND", "from": "FROM", "note": "NOTE"}
    show_rows(rows(ask(data, "workaround.list")), columns, as_json=as_json, empty="no workarounds")


@workarounds.command("kinds")
def workaround_kinds(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the workarounds that there are, and what each does for whom."""
    show_rows(rows(ask(data, "workaround.kinds")), _MEANINGS, as_json=as_json, empty="no workarounds")


@workarounds.command("add")
def workaround_add(
    who: WhoArgument,
    what: WhatArgument,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why, for the listing.")] = None,
    data: DataOption = None,
) -> None:
    """Give devices a workaround, from their next message on. A stock row that was switched off is on again.

    Examples: tandem workaround add 'Cisco-CP79*' no-options · tandem workaround add 192.0.2.0/24 plain-ringing
    """
    made = row(ask(data, "workaround.add", who=who, workaround=what, note=note))
    say(f"{made.get('who')} gets {made.get('workaround')}")


@workarounds.command("remove")
def workaround_remove(who: WhoArgument, what: WhatArgument, data: DataOption = None) -> None:
    """Take a workaround away again. A stock row is switched off; `add` switches it on.

    Example: tandem workaround remove 'Cisco-CP79*' no-options
    """
    gone = row(ask(data, "workaround.remove", who=who, workaround=what))
    say(f"{gone.get('who')} gets {gone.get('workaround')} no more")


@workarounds.command("try")
def workaround_try(
    agent: Annotated[
        str | None, typer.Argument(metavar="[USER-AGENT]", help="As `tandem registrations` shows it, in quotes.")
    ] = None,
    address: Annotated[str | None, typer.Option("--address", metavar="IP", help="Where it sends from.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what would be done for a device.

    Example: tandem workaround try 'Cisco-CP7960G/8.0' --address 192.0.2.7
    """
    found = rows(ask(data, "workaround.try", agent=agent, address=address))
    show_rows(found, _MEANINGS, as_json=as_json, empty="nothing: no row fits")
