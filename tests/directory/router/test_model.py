"""The Router against its own documentation: docs/router.md once more, as a few lines of regular expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

import pytest

from base.values.kinds import Value
from directory.image import Image
from directory.model import Address, Caller, ForeignRoute, NullRoute, Route, UnknownRoute, Use
from directory.resolver import Resolver
from directory.router.table import parse_table

MAIN = "main.example"
EMERGENCY = ("112", "911")
MOST = 10


@dataclass(frozen=True)
class Line:
    """A record in parts. `left`: pieces, each a text, `*` or digits such as `(2d)`; `rights`: what stands before and
    after their one `*`, or None for none, and the domain."""

    prefixes: tuple[str, ...]
    left: tuple[str, ...]
    domain: str
    rights: tuple[tuple[str, bool, str], ...]

    @property
    def text(self) -> str:
        rights = ", ".join(f"{before}{'*' if star else ''}@{domain}" for before, star, domain in self.rights)
        return f"{''.join(f'{each}:' for each in self.prefixes)}<{''.join(self.left)}@{self.domain}> = {rights}"

    @property
    def wild(self) -> bool:
        return any(piece.startswith(("*", "(")) for piece in self.left)

    @property
    def relay(self) -> bool:
        relaying = [each for each in self.prefixes if each in "NR"]
        return not relaying or relaying[-1] == "R"

    def serves(self, use: Use) -> bool:
        wanted = {"S": Use.SIGNAL, "M": Use.MAIL, "A": Use.ACCESS}
        uses = [wanted[each] for each in self.prefixes if each in wanted]
        return not uses or use in uses

    def makes(self, address: Address) -> list[Address] | None:
        """What it makes of an address; None when it does not fit."""
        if self.domain not in ("*", address.domain):
            return None
        match = re.fullmatch("".join(map(_expression, self.left)), address.local, re.IGNORECASE)
        if match is None:
            return None
        return [Address(before + (match[1] if starred else ""), domain) for before, starred, domain in self.rights]


def _expression(piece: str) -> str:
    if piece == "*":
        return "(.*)"
    return f"([0-9]{{{piece[1]}}})" if piece.startswith("(") else re.escape(piece)


def led(
    lines: list[Line], address: Address, use: Use, *, out: bool = False
) -> tuple[Route, list[tuple[Address, bool]]]:
    """Where the documentation says that it leads, and the other ways of lists on the way with whether they lead out."""
    relay, help_, others = False, False, list[tuple[Address, bool]]()
    for _ in range(MOST):
        urgent = address.local in EMERGENCY
        found = None
        for line in lines:
            if not line.serves(use) or (out and line.domain == "*") or (urgent and line.wild):
                continue
            made = line.makes(address)
            if made is not None and made[0] != address:
                found = line, made
                break
        if found is None:
            return _ended(address, relay, help_), others
        line, made = found
        help_ = help_ or (urgent and address.domain == MAIN)
        relay, out = line.relay, made[0].domain != MAIN
        others = [(each, each.domain != MAIN) for each in made[1:]] + others
        address = made[0]
    return UnknownRoute(address), []


def _ended(address: Address, relay: bool, help_: bool) -> Route:
    return UnknownRoute(address) if address.domain == MAIN else ForeignRoute(address, relay, help_)


def setting(domain: str, key: str) -> Value:
    return list(EMERGENCY) if key == "EmergencyNumbers" else ""


NUMBERS = ("1", "2", "12", "21", "121", "1x", "1X", *EMERGENCY)


def table(chance: Random) -> list[Line]:
    """Few letters and many wildcards: most lines fit something, and lead to what others fit."""
    return [_line(chance) for _ in range(chance.randint(2, 6))]


def _line(chance: Random) -> Line:
    wild = chance.choice(("*", "*", "(1d)", "(2d)"))
    digit = chance.choice("12")
    left = chance.choice(((wild,), (digit, wild), (wild, digit), (digit, wild, digit), (chance.choice(NUMBERS),)))
    rights = tuple(_right(chance, wild in left) for _ in range(chance.choice((1, 1, 2, 3))))
    prefixes = tuple(chance.choice("NNRRSM") for _ in range(chance.randint(0, 2)))
    return Line(prefixes, left, chance.choice((MAIN, MAIN, "home", "*")), rights)


def _right(chance: Random, wild: bool) -> tuple[str, bool, str]:
    domain = chance.choice((MAIN, MAIN, "home", "far.example"))
    starred = wild and chance.random() < 0.7
    return chance.choice(("", "1", "2") if starred else NUMBERS), starred, domain


@pytest.mark.parametrize("seed", range(8))
def test_the_router_does_what_its_page_says(seed: int) -> None:
    chance, image, led_far = Random(seed), Image(), 0
    image.main_domain = MAIN
    resolver = Resolver(image, lambda host: host if host == MAIN else None, setting)
    for _ in range(50):
        lines = table(chance)
        resolver.table = parse_table("\n".join(each.text for each in lines), MAIN)
        for number in NUMBERS:
            address = Address(number, chance.choice((MAIN, MAIN, "home")))
            use = chance.choice((Use.SIGNAL, Use.SIGNAL, Use.MAIL))
            found = resolver.resolve(address, caller=Caller(""), services=True, use=use).route
            expected, others = led(lines, address, use)
            ways = [led(lines, other, use, out=out)[0] for other, out in others[:MOST]]
            _same(found, expected, ways, f"{address} by\n{resolver.table.text}")
            led_far += isinstance(expected, ForeignRoute) and bool(ways)
    assert led_far > 20, "the tables try what they should"


def _same(found: Route, expected: Route, ways: list[Route], what: str) -> None:
    if not isinstance(expected, ForeignRoute):
        assert found == expected, what
        return
    assert isinstance(found, ForeignRoute), what
    assert (found.address, found.relay, found.emergency) == (expected.address, expected.relay, expected.emergency), what
    assert [_address(way) for way in found.others] == [_address(way) for way in ways], what


def _address(route: Route) -> Address:
    assert isinstance(route, ForeignRoute | UnknownRoute | NullRoute)
    return route.address
