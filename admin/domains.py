"""Acts on domains, and where an address leads."""

from __future__ import annotations

from collections.abc import Iterator

from admin.acts import Act, Arguments, Parameter, Type
from admin.desk import Desk
from admin.moments import moment
from admin.ports import Json
from base.failures import Failure
from directory import names
from directory.directory import Directory
from directory.model import AccountRoute, Address, Caller, ForeignRoute, GroupRoute, ProgramRoute, Right, Route, Use
from directory.rules.occasion import Occasion
from directory.rules.words import told
from directory.words import describe


async def _list(desk: Desk, arguments: Arguments) -> Json:
    directory = desk.directory
    return [
        {"name": name, "main": name == directory.main_domain, "accounts": len(directory.accounts(name))}
        for name in desk.domains()
    ]


async def _add(desk: Desk, arguments: Arguments) -> Json:
    alias_of = arguments.text("alias_of")
    if alias_of:
        await desk.directory.domain_book.add_alias(alias_of, arguments.text("name"))
        return {"name": names.checked_domain(arguments.text("name")), "alias_of": desk.domain(alias_of)}
    return {"name": await desk.directory.domain_book.create(arguments.text("name"))}


async def _remove(desk: Desk, arguments: Arguments) -> Json:
    name = names.plain_host(arguments.text("name"))
    await desk.directory.domain_book.remove(name)
    return {"name": name}


async def _route(desk: Desk, arguments: Arguments) -> Json:
    """As a call would be routed: from a proved account, or from a stranger."""
    directory = desk.directory
    caller, domain = Caller(""), desk.domain("")
    if arguments.text("from"):
        account = desk.account(arguments.text("from"))
        caller, domain = Caller(f"sip:{account.address}", account.real_name, account), account.domain
    address = names.parse_target(arguments.text("address"), domain)  # as its telephone completes it
    if address is None:
        return {"leads_to": "nowhere: that is no address", "kind": "invalid", "steps": []}
    use = _use(arguments.text("use"))
    services = not arguments.flag("no_services")
    resolution = directory.resolve(address, caller=caller, services=services, use=use, hides=True)
    route, steps = resolution.route, list(resolution.steps)
    if use is Use.SIGNAL and desk.lookups is not None:
        route, looked_up = await desk.lookups.explain(route)
        steps += looked_up
    if not _in_reach(desk, address, route):
        return {"kind": "other", "leads_to": f"{address}: not in {desk.domain('')}", "steps": [], "rules": []}
    steps += _trunks(desk, route) if desk.sees(None) else ()
    kind, leads_to = describe(route)
    rules = _rules(directory, route, caller, str(address), moment(arguments.text("at"), desk.clock.wall()))
    return {"kind": kind, "leads_to": leads_to, "steps": [*steps], "rules": rules}


def _trunks(desk: Desk, route: Route) -> Iterator[str]:
    """How the trunks are by which a call would leave."""
    for way in (route, *(route.others if isinstance(route, ForeignRoute) else ())):
        line = desk.trunks.leading_to(way.address.domain) if desk.trunks and isinstance(way, ForeignRoute) else None
        if line is not None:
            yield f"the trunk {line.trunk.name} is {line.condition}{f': {line.said}' if line.said else ''}"


def _in_reach(desk: Desk, address: Address, route: Route) -> bool:
    """Whether the way there may be told: it tells who is who at both ends."""
    starts_at_home = desk.directory.local_domain(address.domain) == desk.domain("")
    return desk.sees(None) or (starts_at_home and _ends_in_reach(desk, route))


def _ends_in_reach(desk: Desk, route: Route) -> bool:
    match route:
        case AccountRoute(account=account) | ProgramRoute(account=account):
            return desk.sees(account)
        case GroupRoute(domain=domain):
            return domain == desk.domain("")
        case ForeignRoute(others=others):
            return all(_ends_in_reach(desk, other) for other in others)
        case _:
            return True


def _rules(directory: Directory, route: Route, caller: Caller, dialled: str, wall: float) -> list[Json]:
    """What the account's rules would do with the call then."""
    if not isinstance(route, AccountRoute) or not route.services:
        return []
    proved = caller.account.address if caller.account is not None else ""
    occasion = Occasion(caller.uri, caller.name, dialled, f"sip:{dialled}", proved, wall=wall)
    return [told(rule) for rule in directory.call_rules(route.account.id, occasion)]


def _use(text: str) -> Use:
    try:
        return Use(text.lower() or "signal")
    except ValueError:
        raise Failure("invalid", f"{text}: an address is wanted for signal, mail or access") from None


ACTS = (
    Act("domain.list", "domains, the main one first", Right.MONITOR, _list, (), Right.DOMAIN),
    Act(
        "domain.add",
        "make a domain, or one more name of a domain",
        Right.SETTINGS,
        _add,
        (Parameter("name"), Parameter("alias_of", required=False)),
    ),
    Act(
        "domain.remove",
        "remove an empty domain, or one more name of a domain",
        Right.SETTINGS,
        _remove,
        (Parameter("name"),),
    ),
    Act(
        "route",
        "tell where an address leads, and why",
        Right.MONITOR,
        _route,
        (
            Parameter("address"),
            Parameter("from", required=False),
            Parameter("no_services", Type.FLAG, required=False),
            Parameter("use", required=False),
            Parameter("at", required=False),
        ),
        Right.DOMAIN,
    ),
)
