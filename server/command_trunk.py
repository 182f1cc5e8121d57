"""`tandem trunk`: lines of providers."""

from __future__ import annotations

from typing import Annotated

import typer

from server.command_output import (
    DataOption,
    JsonOption,
    Row,
    ask,
    fail,
    row,
    rows,
    say,
    show_json,
    show_pairs,
    show_rows,
)

trunks = typer.Typer(
    help="Trunks: lines of a provider. The Router leads calls to them: N:S:<9*@example.com> = *@NAME",
    no_args_is_help=True,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits and dashes; the Router uses it.")]
UserOption = Annotated[str | None, typer.Option("--user", help="The number or name that the provider gave.")]
LoginOption = Annotated[str | None, typer.Option("--login", help="The login, where it is another than the user.")]
PasswordOption = Annotated[
    str | None, typer.Option("--password", metavar="P", help="The password; asked for when it is -.")
]
ProxyOption = Annotated[str | None, typer.Option("--proxy", help="Host or host:port, where requests go.")]
TransportOption = Annotated[str | None, typer.Option("--transport", help="udp, tcp or tls; empty: as DNS says.")]
RegisterOption = Annotated[
    bool | None, typer.Option("--register/--no-register", help="Whether the provider wants registrations.")
]
ExpiresOption = Annotated[int | None, typer.Option("--expires", metavar="SECONDS", help="60 to 86400.")]
TargetOption = Annotated[
    str | None, typer.Option("--target", help="Who gets calls to numbers that nobody here has; pbx at first.")
]
InboundOption = Annotated[
    str | None,
    typer.Option("--inbound", help="By what calls are known as the provider's: auto, contact or address."),
]
NumbersOption = Annotated[
    str | None,
    typer.Option("--numbers", help="How numbers are sent: dialled (as they are), plus (+4930…), digits, national."),
]
CountryOption = Annotated[
    str | None, typer.Option("--country", metavar="CC", help="Where numbers are dialled: DE, US … for --numbers.")
]
ShowsOption = Annotated[
    str | None, typer.Option("--shows", help="Whose number callees see: line, or caller (setting CallerNumber).")
]
OptionsOption = Annotated[
    int | None,
    typer.Option(
        "--options", metavar="SECONDS", help="How often it is asked whether it answers: 10 to 3600; 0: never."
    ),
]
SupervisionOption = Annotated[
    str | None,
    typer.Option("--supervision", help="key: who is rung beside others must press 1 (analog lines); or none."),
]
ToneOption = Annotated[
    str | None,
    typer.Option(
        "--disconnect-tone", metavar="TONE", help="What an analog line plays at the end: us, de …, or 425/480,0/480."
    ),
]
RecordingOption = Annotated[
    str | None, typer.Option("--recording", help="always: calls by it are recorded; none: as accounts want it.")
]

_COLUMNS = {
    "name": "NAME",
    "domain": "DOMAIN",
    "user": "USER",
    "state": "STATE",
    "next": "NEXT IN",
    "target": "TARGET",
    "said": "THE PROVIDER SAYS",
}


@trunks.command("list")
def trunk_list(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List trunks and how they are.

    Example: tandem trunk list
    """
    show_rows(rows(ask(data, "trunk.list")), _COLUMNS, as_json=as_json, empty="no trunks")


@trunks.command("show")
def trunk_show(name: NameArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """All that is set of one trunk.

    Example: tandem trunk show home
    """
    found = next((each for each in rows(ask(data, "trunk.list")) if each.get("name") == name), None)
    if found is None:
        fail(f"there is no trunk {name}")
    show_pairs(found, as_json=as_json)


@trunks.command("add")
def trunk_add(
    context: typer.Context,
    name: NameArgument,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The provider's domain, as it names it.")],
    user: UserOption = None,
    password: PasswordOption = None,
    login: LoginOption = None,
    proxy: ProxyOption = None,
    transport: TransportOption = None,
    register: RegisterOption = None,
    expires: ExpiresOption = None,
    target: TargetOption = None,
    inbound: InboundOption = None,
    numbers: NumbersOption = None,
    country: CountryOption = None,
    shows: ShowsOption = None,
    options: OptionsOption = None,
    supervision: SupervisionOption = None,
    recording: RecordingOption = None,
    disconnect_tone: ToneOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a trunk.

    Example: tandem trunk add home sip.provider.example --user 4930123 --password SECRET
    """
    if name in {each.get("name") for each in rows(ask(data, "trunk.list"))}:
        fail(f"there is a trunk {name}: see `tandem trunk change --help`")
    _put(context, data, as_json=as_json)


@trunks.command("change")
def trunk_change(
    context: typer.Context,
    name: NameArgument,
    domain: Annotated[str | None, typer.Option("--domain", help="The provider's domain.")] = None,
    user: UserOption = None,
    password: PasswordOption = None,
    login: LoginOption = None,
    proxy: ProxyOption = None,
    transport: TransportOption = None,
    register: RegisterOption = None,
    expires: ExpiresOption = None,
    target: TargetOption = None,
    inbound: InboundOption = None,
    numbers: NumbersOption = None,
    country: CountryOption = None,
    shows: ShowsOption = None,
    options: OptionsOption = None,
    supervision: SupervisionOption = None,
    recording: RecordingOption = None,
    disconnect_tone: ToneOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given of a trunk; the rest stays.

    Example: tandem trunk change home --target bob
    """
    if name not in {each.get("name") for each in rows(ask(data, "trunk.list"))}:
        fail(f"there is no trunk {name}")
    _put(context, data, as_json=as_json)


@trunks.command("remove")
def trunk_remove(name: NameArgument, data: DataOption = None) -> None:
    """Take its registration back and forget it.

    Example: tandem trunk remove home
    """
    ask(data, "trunk.remove", name=name)
    say(f"the trunk {name} is gone")


@trunks.command("test")
def trunk_test(name: NameArgument, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Register now, or ask where it does not register, and tell what the provider answers.

    Example: tandem trunk test home
    """
    answer = row(ask(data, "trunk.test", name=name))
    if as_json:
        show_json(answer)
    else:
        steps = answer.get("steps")
        for step in steps if isinstance(steps, list) else []:
            say(f"  {step}")
    if answer.get("up") is not True:
        fail(f"{name} is not up")
    if not as_json:
        say(f"{name} is up")


def _put(context: typer.Context, data: DataOption, *, as_json: bool) -> None:
    """All that is given goes on from the context as it is: options are named as arguments of the act `trunk.put`."""
    given = {name: value for name, value in context.params.items() if name not in ("data", "as_json")}
    if given["password"] == "-":
        given["password"] = typer.prompt("Password", hide_input=True)
    if given["register"] is not None:
        given["register"] = "yes" if given["register"] else "no"
    _told(row(ask(data, "trunk.put", **given)), as_json=as_json)


def _told(made: Row, *, as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    say(f"trunk {made.get('name')}: {made.get('user')}@{made.get('domain')}, {made.get('state')}")
    say(f"see how it is: tandem trunk test {made.get('name')}")
