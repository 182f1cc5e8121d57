"""`tandem certificates`: what the server shows over TLS."""

from __future__ import annotations

import typer

from server.command_output import DataOption, JsonOption, ask, rows, show_rows

certificates = typer.Typer(help="Certificates of SIP, WebSocket and mail over TLS.", no_args_is_help=True)

_COLUMNS = {"folder": "FOLDER", "names": "NAMES", "issuer": "ISSUER", "expires": "EXPIRES"}


@certificates.command("list")
def certificates_list(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the certificates in use; the first is shown to clients that ask for no name or an unknown one."""
    show_rows(rows(ask(data, "certificates.list")), _COLUMNS, as_json=as_json, empty="no certificates")


@certificates.command("reload")
def certificates_reload(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Read the certificate files again, now. Connections that are open stay open."""
    show_rows(rows(ask(data, "certificates.reload")), _COLUMNS, as_json=as_json, empty="no certificates")
