"""The `tandem` command. It performs acts in the running server through its control socket; only `serve`, `data` and
`cgpl` work by themselves.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from admin.wire import Who
from server.command_accounts import accounts, domains, settings
from server.command_certificates import certificates
from server.command_configuration import apply, export, plan
from server.command_data import data_commands
from server.command_devices import devices
from server.command_import import account_import
from server.command_names import forwarders, groups
from server.command_network import network
from server.command_output import IN_NAME_OF
from server.command_prompts import prompts
from server.command_recordings import recordings
from server.command_router import route, router
from server.command_rules import rules
from server.command_serve import serve
from server.command_trunk import trunks
from server.command_watch import calls, records, registrations, status, stop
from server.command_workarounds import workarounds


def _version(asked: bool) -> None:
    if asked:
        print(f"tandem {program_version()}")
        raise typer.Exit


def program_version() -> str:
    """The version of the installed package."""
    try:
        return version("tandem-pbx")
    except PackageNotFoundError:
        return "unknown"


app = typer.Typer(
    help="Tandem: a soft-PBX with messaging. `tandem serve` starts it; the other commands talk to the running server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="The data folder: --data, else TANDEM_DATA, else /var/lib/tandem as root, else your own data folder. "
    "Exit status: 0 done, 1 refused, 2 wrong use, 3 the server is not running.",
)


@app.callback()
def _root(
    version_: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    account: Annotated[str, typer.Option("--as", metavar="ACCOUNT", help="Act with the rights of this account.")] = "",
    login: Annotated[
        str,
        typer.Option(
            "--login", metavar="ACCOUNT", help="The same, proved by its password: TANDEM_PASSWORD, or asked for."
        ),
    ] = "",
) -> None:
    """The options of the command itself."""
    if account and login:
        raise typer.BadParameter("give --as or --login")
    if login:
        given = os.environ.get("TANDEM_PASSWORD")
        IN_NAME_OF.set(Who(login, str(typer.prompt("Password", hide_input=True)) if given is None else given))
    else:
        IN_NAME_OF.set(Who(account))


app.command("serve")(serve)
app.command("stop")(stop)
app.command("status")(status)
app.command("calls")(calls)
app.command("records")(records)
app.command("registrations")(registrations)
app.command("route")(route)
app.command("export")(export)
app.command("plan")(plan)
app.command("apply")(apply)
accounts.command("import")(account_import)
app.add_typer(accounts, name="account")
app.add_typer(devices, name="device")
app.add_typer(groups, name="group")
app.add_typer(forwarders, name="forwarder")
app.add_typer(domains, name="domain")
app.add_typer(network, name="network")
app.add_typer(settings, name="setting")
app.add_typer(router, name="router")
app.add_typer(rules, name="rule")
app.add_typer(trunks, name="trunk")
app.add_typer(recordings, name="recording")
app.add_typer(prompts, name="prompts")
app.add_typer(certificates, name="certificates")
app.add_typer(workarounds, name="workaround")
app.add_typer(data_commands, name="data")


# Two commands come from elsewhere and take longer to import than most commands take to run: their words are passed on.
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


@app.command("cgpl", add_help_option=False, context_settings=_PASSED_ON)
def cgpl(context: typer.Context) -> None:
    """Check, run and format CG/PL programs: tandem cgpl --help."""
    from cgpl import command

    command.app(context.args, prog_name="tandem cgpl")


@app.command("phone", add_help_option=False, context_settings=_PASSED_ON)
def phone(context: typer.Context) -> None:
    """The desk telephone, with a sound card or with WAV files: tandem phone --help."""
    from tools import phone_command

    phone_command.app(context.args, prog_name="tandem phone")


def main() -> None:
    """The entry point of the installed command."""
    app(prog_name="tandem")
