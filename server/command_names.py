"""`tandem group` and `tandem forwarder`: names of a domain that stand for others."""

from __future__ import annotations

from typing import Annotated

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

groups = typer.Typer(help="Groups: a name that reaches all its members.", no_args_is_help=True)
forwarders = typer.Typer(help="Forwarders: a name that leads elsewhere.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="sales, or sales@domain.")]
MembersArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[MEMBER ...]", help="Names, extensions or addresses.")
]


@groups.command("list")
def group_list(data: DataOption = None, domain: DomainOption = None, as_json: JsonOption = False) -> None:
    """List groups with their members; of all domains when none is named."""
    columns = {"name": "GROUP", "domain": "DOMAIN", "members": "MEMBERS"}
    show_rows(rows(ask(data, "group.list", domain=domain)), columns, as_json=as_json, empty="no groups")


@groups.command("add")
def group_add(
    name: NameArgument, members: MembersArgument = None, domain: DomainOption = None, data: DataOption = None
) -> None:
    """Make a group.

    Examples: tandem group add sales alice 202 · tandem group add ExternalGateways gate1
    """
    made: list[str] = members or []
    _say(row(ask(data, "group.add", name=name, domain=domain, members=list(made))))


@groups.command("members")
def group_members(
    name: NameArgument,
    add: Annotated[list[str] | None, typer.Option("--add", metavar="MEMBER", help="May be given again.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="MEMBER", help="May be given again.")] = None,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the members of a group, add some, remove some.

    Examples: tandem group members sales · tandem group members sales --add carol --remove 202
    """
    if add or remove:
        answer = ask(data, "group.members", name=name, domain=domain, add=list(add or []), remove=list(remove or []))
    else:
        answer = ask(data, "group.show", name=name, domain=domain)
    if as_json:
        show_json(row(answer).get("members"))
        return
    _say(row(answer))


@groups.command("ring")
def group_ring(
    name: NameArgument,
    order: Annotated[
        str | None,
        typer.Argument(metavar="[all|join|hunt]", help="Together; one more at each step; one after the other."),
    ] = None,
    step: Annotated[int | None, typer.Option("--step", min=1, max=600, help="Seconds until the next member.")] = None,
    then: Annotated[
        str | None, typer.Option("--then", metavar="ADDRESS", help="Who gets the call at the end; empty: nobody.")
    ] = None,
    domain: DomainOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or change in which order a group rings its members.

    Examples: tandem group ring sales hunt --step 20 --then alice · tandem group ring sales all
    """
    answer = row(ask(data, "group.ring", name=name, domain=domain, order=order, step=step, then=then))
    if as_json:
        show_json({key: answer.get(key) for key in ("ring", "step", "then")})
        return
    then_ = f", then {answer.get('then')}" if answer.get("then") else ""
    say(f"group {answer.get('name')}@{answer.get('domain')} rings {answer.get('ring')}, {answer.get('step')} s{then_}")


@groups.command("remove")
def group_remove(name: NameArgument, domain: DomainOption = None, data: DataOption = None) -> None:
    """Remove a group; its members stay."""
    gone = row(ask(data, "group.remove", name=name, domain=domain))
    say(f"group {gone.get('name')}@{gone.get('domain')} is removed")


def _say(group: Row) -> None:
    members = group.get("members")
    shown = ", ".join(map(str, members)) if isinstance(members, list) and members else "no members"
    say(f"{group.get('name')}@{group.get('domain')}: {shown}")


@forwarders.command("list")
def forwarder_list(data: DataOption = None, domain: DomainOption = None, as_json: JsonOption = False) -> None:
    """List forwarders; of all domains when none is named."""
    columns = {"name": "FORWARDER", "domain": "DOMAIN", "target": "TO"}
    show_rows(rows(ask(data, "forwarder.list", domain=domain)), columns, as_json=as_json, empty="no forwarders")


@forwarders.command("add")
def forwarder_add(
    name: NameArgument,
    target: Annotated[str, typer.Argument(metavar="ADDRESS", help="A name, an address, or app{...}#account.")],
    domain: DomainOption = None,
    data: DataOption = None,
) -> None:
    """Make a name that leads to another address.

    Example: tandem forwarder add frontdesk 201
    """
    made = row(ask(data, "forwarder.add", name=name, target=target, domain=domain))
    say(f"{made.get('name')}@{made.get('domain')} leads to {made.get('target')}")


@forwarders.command("remove")
def forwarder_remove(name: NameArgument, domain: DomainOption = None, data: DataOption = None) -> None:
    """Remove a forwarder."""
    gone = row(ask(data, "forwarder.remove", name=name, domain=domain))
    say(f"forwarder {gone.get('name')}@{gone.get('domain')} is removed")
