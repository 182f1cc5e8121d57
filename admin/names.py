"""Acts on groups and forwarders: names of a domain that are no accounts (spec: cgp-server §2)."""

from __future__ import annotations

from dataclasses import replace

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.ports import Json
from base.failures import Failure
from directory.image import Forwarder, Group
from directory.model import Right, Ring, RingOrder
from pbx.policy.relaying import GATEWAYS

_NAME = Parameter("name")
_DOMAIN = Parameter("domain", required=False)
_MEMBERS = Parameter("members", Type.LIST)


def _where(desk: Desk, arguments: Arguments) -> tuple[str, str]:
    """Domain and local part of `sales` or `sales@domain`."""
    name, _, of = arguments.text("name").partition("@")
    return desk.domain(of or arguments.text("domain")), name


def _group(desk: Desk, name: str, group: Group) -> Json:
    ring = desk.directory.groups.ring(group)
    rung = {"ring": ring.order.value, "step": ring.step, "then": ring.then}
    return {"name": name, "domain": group.domain, "members": list(group.members), **rung}


def _forwarder(name: str, forwarder: Forwarder) -> Json:
    return {"name": name, "domain": forwarder.domain, "target": forwarder.target}


def _group_to_change(desk: Desk, arguments: Arguments) -> tuple[str, str]:
    """Members of the group of gateways call in under any name: that is no business of a domain alone."""
    domain, name = _where(desk, arguments)
    if name.strip().lower() == GATEWAYS.lower():
        desk.whole_server()
    return domain, name


async def _group_list(desk: Desk, arguments: Arguments) -> Json:
    return [
        _group(desk, *each)
        for domain in desk.domains(arguments.text("domain"))
        for each in desk.directory.groups.groups(domain)
    ]


async def _group_show(desk: Desk, arguments: Arguments) -> Json:
    domain, name = _where(desk, arguments)
    return _group(desk, name.lower(), desk.directory.groups.group(domain, name))


async def _group_add(desk: Desk, arguments: Arguments) -> Json:
    domain, name = _group_to_change(desk, arguments)
    await desk.directory.create_group(domain, name, arguments.list("members"))
    return _group(desk, name.lower(), desk.directory.groups.group(domain, name))


async def _group_members(desk: Desk, arguments: Arguments) -> Json:
    """Names to add and to remove; a member that is there is not added again."""
    domain, name = _group_to_change(desk, arguments)
    gone = {member.lower() for member in arguments.list("remove")}
    kept = [member for member in desk.directory.groups.group(domain, name).members if member.lower() not in gone]
    there = {member.lower() for member in kept}
    kept += [member for member in arguments.list("add") if member.lower() not in there]
    await desk.directory.groups.set_members(domain, name, kept)
    return _group(desk, name.lower(), desk.directory.groups.group(domain, name))


async def _group_ring(desk: Desk, arguments: Arguments) -> Json:
    """What is left out stays as it is."""
    domain, name = _group_to_change(desk, arguments)
    groups = desk.directory.groups
    before = groups.ring(groups.group(domain, name))
    then = arguments.optional("then")
    ring = Ring(_order(arguments.text("order")) or before.order, arguments.number("step", before.step), before.then)
    await groups.set_ring(domain, name, ring if then is None else replace(ring, then=then.strip()))
    return _group(desk, name.lower(), groups.group(domain, name))


def _order(text: str) -> RingOrder | None:
    try:
        return RingOrder(text.lower()) if text else None
    except ValueError:
        raise Failure("invalid", f"{text}: a group rings {', '.join(each.value for each in RingOrder)}") from None


async def _group_remove(desk: Desk, arguments: Arguments) -> Json:
    domain, name = _group_to_change(desk, arguments)
    shown = _group(desk, name.lower(), desk.directory.groups.group(domain, name))
    await desk.directory.remove_name(domain, name)
    return shown


async def _forwarder_list(desk: Desk, arguments: Arguments) -> Json:
    return [
        _forwarder(*each)
        for domain in desk.domains(arguments.text("domain"))
        for each in desk.directory.groups.forwarders(domain)
    ]


async def _forwarder_add(desk: Desk, arguments: Arguments) -> Json:
    domain, name = _where(desk, arguments)
    await desk.directory.create_forwarder(domain, name, arguments.text("target"))
    return _forwarder(name.lower(), desk.directory.groups.forwarder(domain, name))


async def _forwarder_remove(desk: Desk, arguments: Arguments) -> Json:
    domain, name = _where(desk, arguments)
    shown = _forwarder(name.lower(), desk.directory.groups.forwarder(domain, name))
    await desk.directory.remove_name(domain, name)
    return shown


ACTS = (
    Act("group.list", "groups with their members", Right.USERS, _group_list, (_DOMAIN,), Right.DOMAIN),
    Act("group.show", "one group with its members", Right.USERS, _group_show, (_NAME, _DOMAIN), Right.DOMAIN),
    Act("group.add", "make a group", Right.USERS, _group_add, (_NAME, _DOMAIN, _MEMBERS), Right.CAN_CREATE_GROUPS),
    Act(
        "group.members",
        "add and remove members of a group",
        Right.USERS,
        _group_members,
        (
            _NAME,
            _DOMAIN,
            Parameter("add", Type.LIST, required=False),
            Parameter("remove", Type.LIST, required=False),
        ),
        Right.CAN_CREATE_GROUPS,
    ),
    Act(
        "group.ring",
        "in which order a group rings",
        Right.USERS,
        _group_ring,
        (
            _NAME,
            _DOMAIN,
            Parameter("order", required=False),
            Parameter("step", Type.NUMBER, required=False),
            Parameter("then", required=False),
        ),
        Right.CAN_CREATE_GROUPS,
    ),
    Act(
        "group.remove",
        "remove a group; its members stay",
        Right.USERS,
        _group_remove,
        (_NAME, _DOMAIN),
        Right.CAN_CREATE_GROUPS,
    ),
    Act("forwarder.list", "forwarders and where they lead", Right.USERS, _forwarder_list, (_DOMAIN,), Right.DOMAIN),
    Act(
        "forwarder.add",
        "make a name that leads to another address",
        Right.USERS,
        _forwarder_add,
        (_NAME, _DOMAIN, Parameter("target")),
        Right.CAN_CREATE_FORWARDERS,
    ),
    Act(
        "forwarder.remove",
        "remove a forwarder",
        Right.USERS,
        _forwarder_remove,
        (_NAME, _DOMAIN),
        Right.CAN_CREATE_FORWARDERS,
    ),
)
