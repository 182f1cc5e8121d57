"""Look-ups: a DNS server on loopback with a zone of ENUM, a real helper program, and what is made of what they say."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from base.helper import HelperProgram
from base.metrics import Metrics
from directory.directory import Directory
from directory.model import AccountRoute, Address, ForeignRoute, Route
from directory.words import describe
from pbx.lookup import lookups
from pbx.lookup.lookups import LookUps
from tests.directory.fixtures import DOMAIN, demo_directory
from tests.pbx.transport.test_locate import Zone, name_server

ZONE = "e164.example"
DESK = "3.2.1.0.3.9.4.e164.example"
PROGRAM = """
import sys
for line in sys.stdin:
    number, word, *rest = line.split()
    told = {
        "INTF": "INTF 1",
        "QUIT": "OK",
        "+491@external": "ROUTED +491@home",
        "+492@external": "ROUTED 202",
        "+493@external": "ERROR no such number",
        "+494@external": "ROUTED bad address@home",
        "+496@external": "ROUTED voicemail#alice",
    }.get(rest[0] if word == "ROUTE" else word)
    if told:
        print(number, told, flush=True)
    if word == "QUIT":
        break
"""


def record(address: str, order: int = 10) -> str:
    return f'{order} 10 "u" "E2U+sip" "!^.*$!{address}!" .'


def away(local: str, domain: str, *others: Route) -> ForeignRoute:
    return ForeignRoute(Address(local, domain), others=others)


@asynccontextmanager
async def enum(records: dict[tuple[str, str], list[str]]) -> AsyncIterator[tuple[LookUps, Zone, Directory]]:
    async with name_server(records) as (zone, service), demo_directory() as directory:
        yield LookUps(Metrics(), directory, service), zone, directory


async def test_a_number_with_records_leads_to_them_and_is_asked_once() -> None:
    rules = [record("sip:bob@" + DOMAIN, 20), record("sip:desk@far.example:5080;transport=tcp", 10)]
    async with enum({(DESK, "NAPTR"): rules}) as (ups, zone, _):
        for _ in range(3):
            found = await ups.follow(away("+4930123", f"{ZONE}.enum"))
        first, second = found.routes
        assert describe(first) == ("foreign", "desk@far.example:5080")
        assert isinstance(second, AccountRoute)
        assert found.steps[0].startswith(f"ENUM, {DESK}: sip:desk@far.example:5080")
        assert zone.asked[DESK, "NAPTR"] == 1


async def test_what_is_found_goes_through_the_router_and_gets_its_rights() -> None:
    async with enum({(DESK, "NAPTR"): [record("sip:desk@far.example")]}) as (ups, _, directory):
        await directory.set_router("N:S:<*@*> = *@circle.example\nN:S:<*@far.example> = *@near.example\n")
        found = await ups.follow(replace(away("+4930123", f"{ZONE}.enum"), relay=True))
        (route,) = found.routes
        assert isinstance(route, ForeignRoute)
        assert (str(route.address), route.relay, route.emergency) == ("desk@near.example", False, False)
        found = await ups.follow(replace(away("+4930123", f"{ZONE}.enum"), emergency=True))
        assert isinstance(found.routes[0], ForeignRoute)
        assert found.routes[0].emergency


@pytest.mark.parametrize("urgent", [True, False])
async def test_every_way_of_what_is_found_for_a_call_for_help_is_one(urgent: bool) -> None:
    async with enum({(DESK, "NAPTR"): [record("sip:112@" + DOMAIN)]}) as (ups, _, directory):
        await directory.set_router(f"N:S:<112@{DOMAIN}> = 112@cheap, 112@dear\n")
        (route,) = (await ups.follow(replace(away("+4930123", f"{ZONE}.enum"), emergency=urgent))).routes
        assert isinstance(route, ForeignRoute)
        ways = [way for way in (route, *route.others) if isinstance(way, ForeignRoute)]
        assert [way.emergency for way in ways] == [urgent, urgent]


@pytest.mark.parametrize(
    "address",
    [
        *(f"sip:{code}@{DOMAIN}" for code in ("*72+15551234", "*98", "**202", "*8", "*33202")),
        "sip:voicemail#alice@" + DOMAIN,
        "sip:nobody@" + DOMAIN,
        "sip:a b@far.example",
        "sip:<x@far.example",
        "sip:",
    ],
)
async def test_a_zone_starts_no_program_and_writes_no_headers(address: str) -> None:
    async with enum({(DESK, "NAPTR"): [record(address)]}) as (ups, _, _):
        assert (await ups.follow(away("+4930123", f"{ZONE}.enum"))).routes == ()


@pytest.mark.parametrize("number", ["+4930999", "alice", "+49-30"])
async def test_what_has_no_records_is_not_found(number: str) -> None:
    async with enum({(DESK, "NAPTR"): [record("sip:x@y.example")]}) as (ups, _, _):
        assert (await ups.follow(away(number, f"{ZONE}.enum"))).routes == ()


async def test_the_explanation_asks_zone_after_zone() -> None:
    async with enum({(DESK, "NAPTR"): [record("sip:desk@far.example")]}) as (ups, _, _):
        listed = away("+4930123", "void.example.enum", away("+4930123", f"{ZONE}.enum"), away("+4930123", "home"))
        route, steps = await ups.explain(listed)
        assert describe(route) == ("foreign", "desk@far.example, else +4930123@home")
        assert steps[0] == "ENUM, 3.2.1.0.3.9.4.void.example: nothing"
        route, steps = await ups.explain(away("+4930123", "void.example.enum"))
        assert (describe(route)[0], steps[-1]) == ("unknown", "nothing was found")


async def test_a_zone_that_leads_back_to_itself_ends() -> None:
    async with enum({(DESK, "NAPTR"): [record(f"sip:+4930123@{ZONE}.enum")]}) as (ups, _, _):
        route, steps = await ups.explain(away("+4930123", f"{ZONE}.enum"))
        assert isinstance(route, ForeignRoute)
        assert len(steps) == 20


async def test_too_many_at_once_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MOST_AT_ONCE", 2)
    async with enum({(DESK, "NAPTR"): [record("sip:desk@far.example")]}) as (ups, _, _):
        asked = [ups.follow(away("+4930123", f"{ZONE}.enum")) for _ in range(3)]
        found = await asyncio.gather(*asked)
        assert sorted(len(each.routes) for each in found) == [0, 1, 1]
        assert (await ups.follow(away("+4930123", f"{ZONE}.enum"))).routes


async def test_a_program_says_where_numbers_have_gone(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(PROGRAM)
    helper = HelperProgram("routing", f"{sys.executable} '{tmp_path / 'helper.py'}'", patience=20)
    await helper.start()
    async with asyncio.timeout(20):
        await helper._up.wait()
    try:
        async with enum({}) as (_, _, directory):
            ups = LookUps(Metrics(), directory, None, helper)  # type: ignore[arg-type]  # nobody asks for zones
            for number, leads_to in (("+491", "+491@home"), ("+492", f"bob@{DOMAIN}")):
                found = await ups.follow(away(number, "external"))
                assert [describe(route)[1] for route in found.routes] == [leads_to], found.steps
            for number in ("+493", "+494", "+496"):
                found = await ups.follow(away(number, "external"))
                assert found.routes == (), found.steps
            found = await ups.follow(away("+491@external ", "external"))
            assert "is no number" in found.steps[0]
            helper._patience = 0.1
            found = await ups.follow(away("+495", "external"))
            assert (found.routes, found.steps) == ((), ("the helper routing does not answer",))
    finally:
        await helper.close()
    found = await ups.follow(away("+491", "external"))
    assert (found.routes, found.steps) == ((), ("the helper routing is not running",))


async def test_without_a_program_nothing_is_external() -> None:
    async with enum({}) as (ups, _, _):
        found = await ups.follow(away("+491", "external"))
        assert found.routes == ()
        assert "[router] helper" in found.steps[0]
