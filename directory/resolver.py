"""From an address to where it leads, with each step in words (spec: cgp-server §3, pbx-apps §1-2; decision 5).

Not the Signal: rules and timers of the account come later. Reads the image only, so it may run for each call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

from base.values.kinds import Value
from directory import names, plan
from directory.access import Mode, allows
from directory.groups import ring_of
from directory.image import Forwarder, Group, Image
from directory.model import (
    MONITOR,
    PARK,
    PICKUP,
    Account,
    AccountRoute,
    Address,
    Caller,
    ForeignRoute,
    GroupRoute,
    NullRoute,
    ProgramRoute,
    Resolution,
    Route,
    UnknownRoute,
    Use,
)
from directory.router.record import Verdict
from directory.router.table import RouterTable
from directory.settings import targets
from directory.telnums import number_owner

_HOPS = 10  # Limit: forwarders that point to forwarders.
_OTHERS = 10  # Limit: ways that are tried after the first.
CENTRE = "pbx"
_MODES: dict[Use, Mode] = {Use.SIGNAL: "Signal", Use.MAIL: "Mail"}


@dataclass(slots=True)
class _Walk:
    """One resolution on its way."""

    caller: Caller | None
    services: bool
    # Programs are started by rules, forwarders and programs. A stranger who could name any program and account in a
    # Request-URI could place calls in that account's name.
    programs: bool
    home: str = ""
    """The domain whose rule or forwarder names a program: only its own accounts' are started. Empty: the server's."""
    use: Use = Use.SIGNAL
    relay: bool = False
    emergency: bool = False
    hides: bool = False
    """Whoever asks can keep the caller from being shown."""
    hidden: bool = False
    led_out: bool = False  # by a record: those for any domain have had their say
    steps: list[str] = field(default_factory=list)
    others: tuple[tuple[Address, _Walk], ...] = ()
    """Where a call may go instead, each with a walk of its own that begins there."""

    def branch_off(self, others: tuple[tuple[Address, bool], ...]) -> None:
        """Those of a list, and whether they lead out; they come before what an earlier list has said."""
        fresh = tuple((other, replace(self, steps=[], others=(), led_out=led_out)) for other, led_out in others)
        self.others = (*fresh, *self.others)[:_OTHERS]

    def say(self, step: str) -> None:
        self.steps.append(step)


class Resolver:
    """Where addresses lead."""

    def __init__(
        self, image: Image, local_domain: Callable[[str], str | None], setting: Callable[[str, str], Value]
    ) -> None:
        self.table = RouterTable()
        self._image = image
        self._local_domain = local_domain
        self._setting = setting  # (domain, key): the domain's value

    def resolve(
        self,
        address: Address,
        *,
        caller: Caller | None,
        services: bool,
        use: Use,
        hides: bool = False,
        found: bool = False,
    ) -> Resolution:
        """`caller` None is the server itself. `hides`: the asker heeds `hidden` of the answer. `found`: the Router had
        it looked up."""
        led_out = found and self._is_foreign(address)
        walk = _Walk(caller, services, programs=caller is None, use=use, hides=hides, led_out=led_out)
        route = self._address(replace(address, local=names.unescaped(address.local)), walk)
        return Resolution(route, tuple(walk.steps), walk.relay, walk.hidden)

    def resolve_target(self, target: str, account: Account, *, caller: Caller | None, services: bool) -> Resolution:
        """A target of `account`'s own rules, or of a program that runs for it."""
        walk = _Walk(caller, services and names.wants_services(target), programs=True, home=account.domain)
        address = names.parse_target(target, account.domain)
        if address is None:
            walk.say(f"{target!r} is no address")
            return Resolution(UnknownRoute(Address(target, account.domain)), tuple(walk.steps))
        route = self._address(replace(address, local=names.unescaped(address.local)), walk, account)
        return Resolution(route, tuple(walk.steps), walk.relay)

    def _address(self, address: Address, walk: _Walk, owner: Account | None = None) -> Route:
        route = self._followed(address, walk, owner)
        if not isinstance(route, ForeignRoute):
            return route
        return route.then(tuple(self._instead(other, beside, walk, owner) for other, beside in walk.others))

    def _instead(self, address: Address, beside: _Walk, walk: _Walk, owner: Account | None) -> Route:
        """One more way; a list on it has only its first."""
        route = self._followed(address, beside, owner)
        walk.say(f"else {address}: {'; '.join(beside.steps)}")
        return route

    def _followed(self, address: Address, walk: _Walk, owner: Account | None) -> Route:
        for _ in range(_HOPS):
            domain = self._local_domain(address.domain)
            if domain is not None:
                if domain != address.domain:
                    walk.say(f"{address.domain} means {domain}")
                address = Address(address.local, domain)
            outcome = self._routed(address, walk) or (
                self._foreign(address, walk) if domain is None else self._local(address, walk, owner)
            )
            if not isinstance(outcome, Address):
                return outcome
            address = outcome
        walk.say(f"more than {_HOPS} forwards: a loop")
        return UnknownRoute(address)

    def _routed(self, address: Address, walk: _Walk) -> Route | Address | None:
        """What the Router's table says, if anything. Only a record of its own takes an emergency number, or the
        telephone number of an account."""
        emergency = self._is_emergency(address)
        main, literal = self._image.main_domain, emergency or self._telnum(address) is not None
        match = self.table.route(address, walk.use, main, literal=literal, named=walk.led_out)
        if match is None:
            return None
        record, outcome = match.record, match.outcome
        walk.say(
            f"Router line {record.line}, {record.text}: {outcome if isinstance(outcome, Address) else outcome.value}"
        )
        if isinstance(outcome, Verdict):
            return NullRoute(address) if outcome is Verdict.NULL else UnknownRoute(address)
        walk.emergency = walk.emergency or (emergency and self._local_domain(address.domain) is not None)
        walk.relay = record.relay  # the last record counts: what leads in must not open what leads out
        if record.names_program:
            walk.programs, walk.home = True, ""
        walk.led_out = self._is_foreign(outcome)
        walk.branch_off(tuple((other, self._is_foreign(other)) for other in match.others))
        return outcome

    def _is_foreign(self, address: Address) -> bool:
        return self._local_domain(address.domain) is None

    def _telnum(self, address: Address) -> Account | None:
        """Whose telephone number is dialled in a domain of ours; a name of the domain comes before national digits."""
        local, domain = address.local, address.domain
        if domain not in self._image.domain_ids or (domain, local.lower()) in self._image.names:
            return None
        return number_owner(self._image, local, str(self._setting(domain, "Country") or ""))

    def _is_emergency(self, address: Address) -> bool:
        return address.local in targets(self._setting(address.domain, "EmergencyNumbers"))

    def _foreign(self, address: Address, walk: _Walk) -> Route:
        walk.say(f"{address.domain} is not a domain of this server")
        return ForeignRoute(address, walk.relay, walk.emergency)

    def _local(self, address: Address, walk: _Walk, owner: Account | None) -> Route | Address:
        """One of our domains: the order of the numbering plan. An Address starts again."""
        if self._is_emergency(address):
            walk.say(f"{address.local} is an emergency number, and no record of the Router takes it")
            return UnknownRoute(address)
        named = self._named(address, walk, owner)
        if named is not None:
            return named
        if (account := self._telnum(address)) is not None:
            walk.say(f"{address.local} is a telephone number of {account.address}")
            return self._account(account, walk)
        if (parking := self._parking(address, walk)) is not None:
            return parking
        for match in plan.matches(address.local.lower()):
            route = self._function(match, address, walk)
            if route is not None:
                return route
        walk.say(f"nobody has the name {address.local} in {address.domain}")
        return UnknownRoute(address)

    # ---- names ---------------------------------------------------------------------------------------------------

    def _named(self, address: Address, walk: _Walk, owner: Account | None) -> Route | Address | None:
        program = names.program_address(address.local)
        if program is not None:
            return self._program(program, address, walk, owner)
        name = self._image.names.get((address.domain, address.local.lower()))
        if name is None:
            return None
        found = self._image.objects[name.object_id]
        match found:
            case Account():
                walk.say(f"{address.local} is {'an alias of ' if name.alias else 'the account '}{found.address}")
                return self._account(found, walk)
            case Group():
                walk.say(f"{address.local} is a group of {len(found.members)}")
                members = (names.parse_target(member, found.domain) for member in found.members)
                found_members = tuple(member for member in members if member)
                return GroupRoute(address.local.lower(), found_members, ring_of(self._image, found), found.domain)
            case Forwarder():
                walk.say(f"{address.local} forwards to {found.target}")
                walk.programs, walk.relay, walk.home = True, False, found.domain
                return names.parse_target(found.target, found.domain) or UnknownRoute(address)
            case _:
                assert_never(found)

    def _account(self, account: Account, walk: _Walk) -> Route:
        mode = _MODES.get(walk.use)
        if mode is not None and not self._is_on(account, mode):
            walk.say(f"{mode} is switched off for {account.address}")
            return UnknownRoute(Address(account.name, account.domain))
        if not walk.services:
            return AccountRoute(account, services=False)
        if walk.caller is not None and walk.caller.account == account and not self._diverts(account):
            walk.say("the caller's own number: the service application")
            return ProgramRoute("service", (), account)
        return AccountRoute(account)

    def _is_on(self, account: Account, mode: Mode) -> bool:
        own = self._image.settings.get(("account", account.id), {}).get("AccessModes")
        value = self._setting(account.domain, "AccessModes") if own is None else own
        return value is None or allows(value, mode)

    def _diverts(self, account: Account) -> bool:
        return bool(self._image.settings.get(("account", account.id), {}).get("DivertAlways"))

    def _program(
        self, program: names.ProgramAddress, address: Address, walk: _Walk, owner: Account | None
    ) -> Route | None:
        if not walk.programs:
            walk.say("only rules, forwarders and programs may name a program")
            return UnknownRoute(address)
        account = self._account_named(address.domain, program.account) if program.account else owner
        if account is None:
            walk.say(f"no account {program.account or 'was given'} for the program {program.program}")
            return UnknownRoute(address)
        if walk.home and account.domain != walk.home:
            walk.say(f"{walk.home} starts no program of {account.domain}")
            return UnknownRoute(address)
        walk.say(f"the program {program.program} of {account.address}")
        return ProgramRoute(program.program, program.parameters, account)

    def _account_named(self, domain: str, local: str) -> Account | None:
        name = self._image.names.get((domain, local.lower()))
        found = None if name is None else self._image.objects[name.object_id]
        return found if isinstance(found, Account) else None

    # ---- functions -----------------------------------------------------------------------------------------------

    def _function(self, match: plan.Match, address: Address, walk: _Walk) -> Route | Address | None:
        """Where a row of the plan leads; None when it means nothing here and the next row may try."""
        walk.say(match.entry.meaning)
        match match.entry.function:
            case plan.Function.SERVICE_CODE:
                return self._service((match.digits,), address, walk)
            case plan.Function.SERVICE_NUMBER:
                return self._service((match.digits, match.number), address, walk)
            case plan.Function.HIDDEN if walk.hides:
                walk.hidden = True
                return Address(match.digits, address.domain)
            case plan.Function.HIDDEN:
                walk.say("only who dials it is hidden by it")
                return UnknownRoute(address)
            case plan.Function.VOICEMAIL_OF:
                owner = self._account_named(address.domain, match.digits)
                if owner is None:
                    walk.say(f"no account has the number {match.digits}")
                    return None
                return ProgramRoute("voicemail", (), owner)
            case plan.Function.MONITOR:
                return self._monitor(match, address, walk)
            case plan.Function.PICKUP:
                return self._pickup(match.digits, address, walk)
            case plan.Function.GROUP_PICKUP:
                return self._group_pickup(address, walk)
            case plan.Function.ECHO:
                return self._centre("echo", (), address, walk)
            case plan.Function.OPERATOR:
                return self._operator(address, walk)
            case plan.Function.CENTRE:
                return self._centre(CENTRE, (match.digits,), address, walk)
            case _:
                assert_never(match.entry.function)

    def _parking(self, address: Address, walk: _Walk) -> Route | None:
        lot, span = (str(self._setting(address.domain, key) or "") for key in ("ParkLot", "ParkSlots"))
        place = address.local.lower().removeprefix("park+")
        if lot and address.local == lot:
            walk.say(f"{lot}: the parking lot")
            return self._centre(PARK, (address.domain, span), address, walk)
        if lot and place in plan.slots(span):
            walk.say(f"{place}: a place of the parking lot {lot}")
            return self._centre(PARK, (address.domain, place), address, walk)
        return None

    def _monitor(self, match: plan.Match, address: Address, walk: _Walk) -> Route:
        owner = self._account_named(address.domain, match.number)
        if owner is None or walk.caller is None or walk.caller.account is None:
            walk.say("accounts of this server that proved who they are listen to those that have the number")
            return UnknownRoute(address)
        return ProgramRoute(MONITOR, (match.digits, owner.address), walk.caller.account)

    def _pickup(self, digits: str, address: Address, walk: _Walk) -> Route:
        owner = self._account_named(address.domain, digits)
        if owner is None:
            walk.say(f"no account has the number {digits}")
            return UnknownRoute(address)
        return self._picked((owner.address,), address, walk)

    def _group_pickup(self, address: Address, walk: _Walk) -> Route:
        """At whom it may ring: everybody of the groups that the caller is in."""
        caller = None if walk.caller is None else walk.caller.account
        found: dict[str, None] = {}
        for group in self._image.objects.values():
            if caller is not None and isinstance(group, Group) and group.domain == caller.domain:
                members = self._members(group)
                found |= dict.fromkeys(each.address for each in members) if caller in members else {}
        return self._picked(tuple(found), address, walk)

    def _members(self, group: Group) -> list[Account]:
        named = (names.parse_target(member, group.domain) for member in group.members)
        found = (self._account_named(each.domain, each.local) for each in named if each is not None)
        return [each for each in found if each is not None]

    def _picked(self, addresses: tuple[str, ...], address: Address, walk: _Walk) -> Route:
        if walk.caller is None or walk.caller.account is None:
            walk.say("calls are picked up by accounts of this server that proved who they are")
            return UnknownRoute(address)
        return ProgramRoute(PICKUP, addresses, walk.caller.account)

    def _service(self, parameters: tuple[str, ...], address: Address, walk: _Walk) -> Route:
        if walk.caller is None or walk.caller.account is None:
            walk.say("service codes are for accounts of this server that proved who they are")
            return UnknownRoute(address)
        return ProgramRoute("service", parameters, walk.caller.account)

    def _operator(self, address: Address, walk: _Walk) -> Route | Address:
        wanted = str(self._setting(address.domain, "Operator") or "")
        if wanted and wanted != address.local:
            walk.say(f"the operator is {wanted}")
            walk.programs, walk.relay, walk.home = True, False, address.domain
            return names.parse_target(wanted, address.domain) or UnknownRoute(address)
        if (address.domain, "operator") in self._image.names:
            return Address("operator", address.domain)
        if self._account_named(address.domain, CENTRE) is not None:
            walk.say("the operator is the receptionist")
            return Address(CENTRE, address.domain)
        return self._centre(CENTRE, (), address, walk)

    def _centre(self, program: str, parameters: tuple[str, ...], address: Address, walk: _Walk) -> Route:
        """The PBX centre of the domain (pbx-apps §2); never that of another, whose people it would offer."""
        account = self._account_named(address.domain, CENTRE)
        if account is None and program != CENTRE:
            account = self._at_home(address.domain, walk)
        if account is not None:
            return ProgramRoute(program, parameters, account)
        walk.say(f"there is no account {CENTRE} in {address.domain}")
        return UnknownRoute(address)

    def _at_home(self, domain: str, walk: _Walk) -> Account | None:
        """Who calls, in his own domain: the echo and the parking lot do for him without a centre."""
        account = None if walk.caller is None else walk.caller.account
        return account if account is not None and account.domain == domain else None
