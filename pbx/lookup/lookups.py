"""Addresses that must be looked up before a call can go there, and where they lead.

    +4930123@e164.arpa.enum    ENUM: NAPTR of 3.2.1.0.3.9.4.e164.arpa
    +4930123@external          the helper program: → `7 ROUTE +4930123@external`  ← `7 ROUTED +4930123@home`

What is found goes through the Router and the names of this server, relay protection and limits, as an address that
anybody could dial: whoever owns a number must not start service codes and pickups in the name of who calls him. A
look-up that fails, or is too slow, has found nothing.

RFC 6116; spec: cgp-server §8, further facts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from base.failures import Failure
from base.helper import HelperProgram
from base.log import get_logger
from base.metrics import Metrics
from directory import names
from directory.model import Address, Caller, ForeignRoute, NullRoute, Resolution, Route, UnknownRoute
from pbx.lookup import enum_rules
from pbx.transport.network import EnumRule

EXTERNAL = "external"
ENUM = ".enum"
MOST_AT_ONCE = 200
"""Limit: look-ups under way; what is more finds nothing."""
_PLAIN = re.compile(r"[!#-;=?-~]{1,255}")
"""An address from outside: visible characters, none that ends it in a header."""
_ASKED = re.compile(r"[+*#0-9A-Za-z._-]{1,64}")
"""What a program is asked for: no text that would be more than one word to it."""
_DEEPEST = 10
_ANYBODY = Caller("")

_log = get_logger("pbx.lookup")


class Zones(Protocol):
    """Who is asked for the records of ENUM."""

    async def enum(self, name: str) -> Sequence[EnumRule]:
        """Empty when there are none, or no answer."""


class People(Protocol):
    """The part of the directory that is asked."""

    @property
    def main_domain(self) -> str: ...

    def resolve(self, address: Address, *, caller: Caller | None, found: bool) -> Resolution: ...


@dataclass(frozen=True, slots=True)
class Found:
    """Where an address leads: routes to try one after another, and each step in words."""

    routes: tuple[Route, ...]
    steps: tuple[str, ...]


class LookUps:
    """Without a `helper` the domain `external` leads nowhere."""

    def __init__(self, metrics: Metrics, people: People, zones: Zones, helper: HelperProgram | None = None) -> None:
        self._metrics = metrics
        self._people = people
        self._zones = zones
        self._helper = helper
        self._under_way = 0

    @staticmethod
    def serves(route: ForeignRoute) -> bool:
        """Whether its address must be looked up."""
        return route.address.domain == EXTERNAL or route.address.domain.endswith(ENUM)

    async def follow(self, route: ForeignRoute) -> Found:
        """Look one address up, and lead what is found as if anybody had dialled it."""
        steps: list[str] = []
        targets = await self._bounded(route.address, steps)
        routes: list[Route] = []
        for target in targets:
            plain = _PLAIN.fullmatch(target) is not None
            address = names.parse_target(target, self._people.main_domain) if plain else None
            if address is None:
                steps.append(f"{target!r} is no address")
                continue
            found = self._people.resolve(address, caller=_ANYBODY, found=True)
            steps.append(f"found {address}: {'; '.join(found.steps) or 'it leads there'}")
            if not isinstance(found.route, UnknownRoute | NullRoute):
                routes.append(_as_urgent(found.route, route))
        return Found(tuple(routes), tuple(steps))

    async def explain(self, route: Route) -> tuple[Route, list[str]]:
        """The route when all that a call would look up first has been looked up, and the steps."""
        steps: list[str] = []
        for _ in range(_DEEPEST):
            if not isinstance(route, ForeignRoute) or not self.serves(route):
                break
            found = await self.follow(route)
            steps += found.steps
            ways = (*found.routes, *route.others)
            if not ways:
                steps.append("nothing was found")
                route = UnknownRoute(route.address)
                break
            route = ways[0].then(ways[1:]) if isinstance(ways[0], ForeignRoute) else ways[0]
        return route, steps

    async def _bounded(self, address: Address, steps: list[str]) -> list[str]:
        if self._under_way >= MOST_AT_ONCE:
            self._metrics.count("pbx.lookups.refused")
            steps.append("too many look-ups are under way")
            return []
        self._under_way += 1
        self._metrics.count("pbx.lookups.asked")
        try:
            found = await (self._ported(address, steps) if address.domain == EXTERNAL else self._listed(address, steps))
        finally:
            self._under_way -= 1
        self._metrics.count(f"pbx.lookups.{'found' if found else 'empty'}")
        return found

    async def _listed(self, address: Address, steps: list[str]) -> list[str]:
        """By ENUM."""
        name = enum_rules.domain_of(address.local, address.domain.removesuffix(ENUM))
        if not name:
            steps.append(f"{address.local} is no number for ENUM: those begin with + and the country code")
            return []
        found = enum_rules.addresses(await self._zones.enum(name), address.local)
        steps.append(f"ENUM, {name}: {', '.join(found) or 'nothing'}")
        return found

    async def _ported(self, address: Address, steps: list[str]) -> list[str]:
        """By the helper program."""
        if self._helper is None:
            steps.append("there is no helper program: [router] helper in the configuration")
            return []
        if not _ASKED.fullmatch(address.local):
            steps.append(f"{address.local!r} is no number for the helper program")
            return []
        try:
            answer = await self._helper.ask(f"ROUTE {address}")
        except Failure as failure:
            _log.warning("number not routed", address=str(address), cause=failure.public)
            steps.append(failure.public)
            return []
        word, _, target = answer.partition(" ")
        steps.append(f"the helper program says {answer[:200]!r}")
        return [target.strip()] if word.upper() == "ROUTED" else []


def _as_urgent(found: Route, asked: ForeignRoute) -> Route:
    """A call for help stays one, whichever way it goes; nothing else becomes one."""
    if not isinstance(found, ForeignRoute):
        return found
    return replace(found, emergency=asked.emergency, others=tuple(_as_urgent(each, asked) for each in found.others))
