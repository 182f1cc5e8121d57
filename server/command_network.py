"""`tandem network`: Client IPs, LAN IPs, trusted peers, relaying, and sources that are shut out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from server.command_output import DataOption, JsonOption, ask, fail, printable, row, rows, say, show_rows

network = typer.Typer(help="Who may do what from where; the next request sees a change.", no_args_is_help=True)

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Such as ClientIPs; `tandem network show` lists all.")]


@network.command("show")
def network_show(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="All settings when left out.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the network settings. What the configuration file lays down stands under FILE.

    Examples: tandem network show · tandem network show ClientIPs
    """
    listing = rows(ask(data, "network.show", key=key))
    if key is not None and not as_json:
        say(str(listing[0].get("value")).rstrip("\n"))
        return
    columns = {"key": "SETTING", "value": "VALUE", "fixed": "FILE", "meaning": "MEANING"}
    show_rows(listing, columns, as_json=as_json, empty="no settings")


@network.command("set")
def network_set(
    key: KeyArgument,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[VALUE ...]", help="Several values become lines of a list.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the lines from a file; -: standard input.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Forget the value.")] = False,
    data: DataOption = None,
) -> None:
    """Change a network setting. A list replaces the old one; `;` begins a comment.

    Examples: tandem network set ClientIPs 192.0.2.0/24 198.51.100.7-198.51.100.9 ·
    tandem network set ClientIPs --file clients.txt · tandem network set RelayToNonClients nobody
    """
    if (values is not None) + (file is not None) + default != 1:
        fail("give values, or --file, or --default")
    value = None if default else "\n".join(values) if values is not None else _read(file or Path("-"))
    changed = row(ask(data, "network.set", key=key, value=value, default=default))
    text = printable(str(changed.get("value"))).strip()
    say(f"{changed.get('key')} = {text}" if "\n" not in text else f"{changed.get('key')} =\n{text}")


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")


@network.command("blocked")
def network_blocked(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List sources that are shut out after failed logins."""
    columns = {"source": "SOURCE", "seconds": "SECONDS LEFT", "failures": "FAILURES", "dropped": "DROPPED"}
    show_rows(rows(ask(data, "network.blocked")), columns, as_json=as_json, empty="nobody is shut out")


@network.command("unblock")
def network_unblock(
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    data: DataOption = None,
) -> None:
    """Let a source in again, and forget its failures.

    Example: tandem network unblock 192.0.2.7
    """
    say(f"{row(ask(data, 'network.unblock', address=address)).get('address')} may come in again")
