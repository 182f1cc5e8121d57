"""The places of one branch: where a telephone or an address elsewhere is reached, one after another. Opens no leg.

RFC 3263 §4.3 (the next server of a domain), RFC 5626 §5.3 (the next flow of a telephone).
"""

from __future__ import annotations

from dataclasses import dataclass

from base.failures import Failure
from directory.model import Account, Caller, ForeignRoute
from pbx.b2bua.asserted import NOBODY
from pbx.b2bua.elsewhere import is_heard
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.trunk_line import TrunkLine
from pbx.registrar.bindings import Binding
from pbx.signal.branch import Device, Foreign, Program, Target
from pbx.signal.foreign import foreign_uri
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Response
from pbx.sipcore.uri import Uri

MOST_FLOWS = 4
"""Limit: places that one branch tries after the first, one after another."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a branch goes: its Request-URI as sent, the flow, Route values, and the address that it stands for."""

    uri: str
    flow: Flow
    address: str
    routes: tuple[str, ...] = ()
    person: Caller = NOBODY
    instance: str = ""
    agent: str = ""
    line: TrunkLine | None = None


class Places:
    """Of one branch. `dialled`: the Request-URI that its call came with."""

    def __init__(self, exchange: Exchange, target: Target, dialled: str) -> None:
        self._exchange = exchange
        self._target = target
        self._dialled = dialled
        self._tried: list[Flow] = []
        self._instance = ""
        self.was_heard = False
        """The caller has heard ringing or audio of one of them."""

    async def next(self) -> Place:
        """The first place, or after a failure another one. Raises as `where` does."""
        place = await self._another() if self._tried else await where(self._exchange, self._target, self._dialled)
        self._tried.append(place.flow)
        self._instance = place.instance
        return place

    async def _another(self) -> Place:
        if isinstance(self._target, Device):
            other = self._exchange.phones.other_flow(self._target.account.id, self._tried, self._instance)
            if other is None or not other.fits(self._dialled):
                raise Failure("unavailable", "No other flow")
            return device(self._target.account, other)
        place = await where(self._exchange, self._target, self._dialled)
        if place.flow in self._tried:
            raise Failure("unavailable", "No other server")
        return place

    def heard(self, response: Response) -> None:
        """A provisional response has come."""
        self.was_heard = self.was_heard or is_heard(response)

    def may_go_on(self, response: Response | None) -> bool:
        """Whether another place may be tried after this refusal, or none at all: RFC 3263 §4.3 (no answer, a broken
        connection, 503), RFC 5626 §5.3 (430); not once it has rung."""
        if self.was_heard or len(self._tried) > MOST_FLOWS:
            return False
        return response is None or response.status in (430, 503)


async def where(exchange: Exchange, target: Target, dialled: str) -> Place:
    """`dialled`: the Request-URI that the call came with. Raises Failure("unavailable") when it cannot be reached,
    SipSyntaxError for an address that is none."""
    match target:
        case Device(account, contact):
            binding = await exchange.phones.reach(account.id, contact)
            if binding is None or not binding.fits(dialled):
                raise Failure("unavailable", "The phone has gone", temporary=True)
            return device(account, binding)
        case Foreign(route) if (line := exchange.trunks.leading_to(route.address.domain)) is not None:
            return await _by_trunk(exchange, line, route)
        case Foreign(route):
            uri = foreign_uri(route.address, dialled)
            flow = await exchange.stack.flow_to(Uri.parse(uri))
            return Place(uri, flow, str(route.address), person=Caller(f"sip:{route.address}"))
        case Program():
            raise Failure("invalid", "A program is no phone")


async def _by_trunk(exchange: Exchange, line: TrunkLine, route: ForeignRoute) -> Place:
    """The provider's domain stays in the Request-URI: many tell their customers by it."""
    if not line.up and not route.emergency:
        raise Failure("unavailable", "The trunk is down", private=line.trunk.name, temporary=True)
    number = line.trunk.number(route.address.local)
    uri = line.trunk.identity.replace(user=number)
    flow = await exchange.stack.flow_to(line.trunk.next_hop, configured=True)
    address = f"{number}@{line.trunk.domain}"
    return Place(str(uri), flow, address, line.routes, Caller(f"sip:{address}"), line=line)


def device(account: Account, binding: Binding) -> Place:
    """The place of a registered phone."""
    return Place(
        binding.contact,
        binding.flow,
        account.address,
        tuple(binding.path),
        _owner(account),
        binding.instance,
        binding.user_agent,
    )


def _owner(account: Account) -> Caller:
    """Whoever answers a telephone that registered with the account's password."""
    return Caller(f"sip:{account.address}", account.real_name, account)
