"""`tandem device`: telephones and apps that set themselves up."""

from __future__ import annotations

import io
from typing import Annotated

import segno
import typer

from server.command_output import (
    DataOption,
    DomainOption,
    JsonOption,
    Row,
    ask,
    row,
    rows,
    say,
    show_json,
    show_rows,
)

devices = typer.Typer(
    help="Telephones and apps that set themselves up: they fetch their files from this server.", no_args_is_help=True
)

MacArgument = Annotated[str, typer.Argument(metavar="MAC", help="Such as 00:15:65:12:34:56, in any way of writing.")]
HostOption = Annotated[
    str | None, typer.Option("--host", metavar="HOST", help="How the telephone reaches this server; else the domain.")
]


@devices.command("list")
def device_list(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List telephones that are known here, then those that have asked for files and are nobody's."""
    columns = {"mac": "MAC", "family": "FAMILY", "account": "ACCOUNT", "seen": "LAST ASKED", "source": "FROM"}
    listing = rows(ask(data, "device.list"))
    show_rows(listing, {**columns, "agent": "USER-AGENT"}, as_json=as_json, empty="no telephones")


@devices.command("families")
def device_families(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the families of telephones and apps that can be set up."""
    show_rows(
        rows(ask(data, "device.families")), {"family": "FAMILY", "title": "MAKER"}, as_json=as_json, empty="no families"
    )


@devices.command("add")
def device_add(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Whose telephone it is.")],
    mac: Annotated[str | None, typer.Argument(metavar="[MAC]", help="Of a telephone; apps have none.")] = None,
    family: Annotated[
        str | None, typer.Option("--family", help="As `tandem device families` lists; else as the MAC tells.")
    ] = None,
    token_only: Annotated[
        bool, typer.Option("--token-only", help="Not by its MAC alone, even inside our network.")
    ] = False,
    host: HostOption = None,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a telephone or an app set itself up for an account. An app scans the picture, or opens the link.

    Example: tandem device add alice 00:15:65:12:34:56

    Example: tandem device add alice --family linphone --host phones.example.org
    """
    made = row(
        ask(
            data,
            "device.add",
            account=account,
            mac=mac,
            family=family,
            token_only=token_only,
            host=host,
            domain=domain,
        )
    )
    if as_json:
        show_json(made)
    else:
        _tell(made)


def _tell(made: Row) -> None:
    link = str(made.get("link") or "")
    say(f"{made.get('family')} {made.get('mac')} of {made.get('account')}")
    if link:
        picture = io.StringIO()
        segno.make(link, error="m").terminal(picture, compact=True)
        say(picture.getvalue())
        say(f"scan this, or open: {link}")
    else:
        say(f"provisioning URL: {made.get('url')}")
        files = made.get("files")
        names = ", ".join(map(str, files)) if isinstance(files, list) else ""
        say(f"inside our network it may ask without the token, for: {names}")
    say("The URL works once, within a week; whoever has it can set up a telephone of this account.")


@devices.command("remove")
def device_remove(mac: MacArgument, data: DataOption = None) -> None:
    """A telephone gets its files no more. It stays registered until the account has another password."""
    say(f"{row(ask(data, 'device.remove', mac=mac)).get('mac')} gets no files any more")


@devices.command("resync")
def device_resync(
    mac: Annotated[str | None, typer.Argument(metavar="MAC", help="Such as 00:15:65:12:34:56.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All telephones that set themselves up.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell a telephone that is registered to fetch its files again, so that it takes new keys and settings.

    Example: tandem device resync 00:15:65:12:34:56
    """
    if bool(mac) is everybody:
        raise typer.BadParameter("give the MAC address of one telephone, or --all")
    columns = {"mac": "MAC", "account": "ACCOUNT", "said": "ANSWER"}
    show_rows(rows(ask(data, "device.resync", mac=mac)), columns, as_json=as_json, empty="no telephones")


@devices.command("show")
def device_show(
    mac: MacArgument, host: HostOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Print what a telephone is given, without its secrets.

    Example: tandem device show 00:15:65:12:34:56
    """
    files = rows(ask(data, "device.show", mac=mac, host=host))
    if as_json:
        show_json(list(files))
        return
    for file in files:
        say(f"--- {file.get('file')}")
        say(str(file.get("content")))
