"""`tandem serve`: start the server in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from base.config import Config, ConfigError, load
from base.failures import Failure
from server.command_output import DataOption, fail
from server.options import ServeOptions, data_folder


def serve(
    data: DataOption = None,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="NAME", help="The main domain, set by the first start.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A TOML file; without one all is at its default.")
    ] = None,
) -> None:
    """Start the server and stay in the foreground; Ctrl-C drains and stops it.

    Example: tandem serve --data ./var --domain example.org
    """
    try:
        settings = load(config) if config is not None else Config()
    except ConfigError as error:
        fail(str(error))
    # Here and not above: every other command starts without loading the whole server.
    from base import log
    from server import compose

    log.configure(settings.log.level, json=settings.log.json)
    try:
        status = compose.serve(ServeOptions(data_folder(data), domain, settings))
    except Failure as failure:
        fail(failure.public)
    raise typer.Exit(status)
