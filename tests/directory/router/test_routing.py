"""The Router's table inside the numbering plan: who is led where, who may relay, and what survives."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from base.failures import Failure
from directory.directory import Directory
from directory.model import AccountRoute, Address, Caller, ForeignRoute, Resolution, UnknownRoute, Use
from directory.words import describe
from tests.directory.fixtures import DOMAIN, demo_directory

TABLE = f"""\
; the office
N:S:<(10+d)@{DOMAIN}> = *@192.168.1.2
N:S:<+(10+d)@*> = +*@192.168.1.2
N:S:<9*@{DOMAIN}> = *@192.168.1.2
N:S:<112@{DOMAIN}> = 112@192.168.1.3:5080
S:<open-*@{DOMAIN}> = *@partner.example
<sales> = bob
<7*@{DOMAIN}> = voicemail{{*}}#bob
Mail:<old@{DOMAIN}> = alice
old.example = {DOMAIN}
gone.example = error
void.example = NULL
N:S:<8*@{DOMAIN}> = *@cheap, *@listed, bob, #pbx
N:S:<*@listed> = *@dear, *@unused
R:S:<*@dear> = 00*@dear.example
N:S:<999@{DOMAIN}> = 999@cheap, 999@dear
<round> = round.about
<round.about> = round
"""


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    async with demo_directory() as made:
        await made.set_router(TABLE)
        yield made


def route(directory: Directory, local: str, domain: str = DOMAIN, use: Use = Use.SIGNAL) -> Resolution:
    return directory.resolve(Address(local, domain), caller=Caller(""), use=use)


@pytest.mark.parametrize(
    ("local", "domain", "kind", "leads_to", "relay"),
    [
        ("5551234567", DOMAIN, "foreign", "5551234567@192.168.1.2", False),
        ("5551234567", "127.0.0.1", "foreign", "5551234567@192.168.1.2", False),
        ("+15551234567", "far.example", "foreign", "+15551234567@192.168.1.2", False),
        ("95551", DOMAIN, "foreign", "5551@192.168.1.2", False),
        ("911", DOMAIN, "unknown", f"911@{DOMAIN}", False),
        ("112", DOMAIN, "foreign", "112@192.168.1.3:5080", False),
        ("open-door", DOMAIN, "foreign", "door@partner.example", True),
        ("sales", DOMAIN, "account", f"bob@{DOMAIN}", True),
        ("712", DOMAIN, "program", f"voicemail{{12}}#bob@{DOMAIN}", True),
        ("202", "old.example", "account", f"bob@{DOMAIN}", True),
        ("95551", "old.example", "foreign", "5551@192.168.1.2", False),
        ("x", "gone.example", "unknown", "x@gone.example", False),
        ("x", "void.example", "null", "x@void.example (taken, and thrown away)", False),
        ("old", DOMAIN, "unknown", f"old@{DOMAIN}", False),
        ("x", "far.example", "foreign", "x@far.example", False),
    ],
)
async def test_where_it_leads(
    directory: Directory, local: str, domain: str, kind: str, leads_to: str, relay: bool
) -> None:
    found = route(directory, local, domain)
    assert describe(found.route) == (kind, leads_to), found.steps
    assert found.relay is relay


async def test_mail_has_records_of_its_own(directory: Directory) -> None:
    assert describe(route(directory, "old", use=Use.MAIL).route)[1] == f"alice@{DOMAIN}"
    assert describe(route(directory, "95551", use=Use.MAIL).route)[0] == "unknown"


async def test_a_circle_ends(directory: Directory) -> None:
    found = route(directory, "round")
    assert describe(found.route)[0] == "unknown"
    assert "loop" in found.steps[-1]


async def test_each_step_tells_its_line(directory: Directory) -> None:
    steps = route(directory, "95551", "old.example").steps
    assert steps[0].startswith("Router line 10, old.example")
    assert steps[1].startswith("Router line 4, N:S:<9*")


async def test_a_forwarder_behind_an_open_record_relays_nothing(directory: Directory) -> None:
    await directory.create_forwarder(DOMAIN, "away", "5551234567@far.example")
    await directory.set_router(f"<mobile@{DOMAIN}> = away\n")
    found = route(directory, "mobile")
    assert describe(found.route) == ("foreign", "5551234567@far.example")
    assert found.relay is False


async def test_a_faulty_table_changes_nothing(directory: Directory) -> None:
    with pytest.raises(Failure, match="line 2, column 1"):
        await directory.set_router("<1*> = *@gw.example\nX:<2> = 3\n")
    assert directory.router.text == TABLE


async def test_an_empty_table_is_none(directory: Directory) -> None:
    assert await directory.set_router("") == []
    assert describe(route(directory, "sales").route)[0] == "unknown"


async def test_help_that_the_table_leads_out_is_known_as_help(directory: Directory) -> None:
    for number, emergency in (("112", True), ("95551", False)):
        found = route(directory, number).route
        assert isinstance(found, ForeignRoute)
        assert found.emergency is emergency
    forged = route(directory, "112", "far.example").route
    assert not (isinstance(forged, ForeignRoute) and forged.emergency), "help is at our own domains"


async def test_a_list_gives_the_other_ways_each_with_its_own_rights(directory: Directory) -> None:
    found = route(directory, "8123")
    assert isinstance(found.route, ForeignRoute)
    assert (str(found.route.address), found.route.relay) == ("123@cheap", False)
    dear, bob, program = found.route.others
    assert isinstance(dear, ForeignRoute)
    assert (str(dear.address), dear.relay, dear.others) == (
        "00123@dear.example",
        True,
        (),
    )  # a list on the way: its first
    assert isinstance(bob, AccountRoute)
    assert isinstance(program, UnknownRoute)  # a program without an account
    assert any(step.startswith("else 123@listed: Router line") for step in found.steps)
    assert describe(found.route)[1].startswith(f"123@cheap, else 00123@dear.example, else bob@{DOMAIN}, else ")


async def test_every_way_of_a_call_for_help_is_known_as_one(directory: Directory) -> None:
    await directory.set_domain_setting(DOMAIN, "EmergencyNumbers", "999")
    found = route(directory, "999").route
    assert isinstance(found, ForeignRoute)
    ways = [each for each in (found, *found.others) if isinstance(each, ForeignRoute)]
    assert [(str(each.address), each.emergency) for each in ways] == [("999@cheap", True), ("00999@dear.example", True)]


async def test_records_for_any_domain_do_not_take_each_other_s_calls(directory: Directory) -> None:
    await directory.set_router(
        "N:S:<+49(5-13d)@*> = +49*@home, +49*@backup\n"
        "N:S:<+(7-15d)@*> = +*@abroad, +*@home\n"
        "N:S:<*@backup> = *@spare.example\n"
    )
    found = [describe(route(directory, number).route)[1] for number in ("+4930123", "+15551234")]
    assert found == ["+4930123@home, else +4930123@spare.example", "+15551234@abroad, else +15551234@home"]
    assert describe(route(directory, "+4930123", "far.example").route)[1].startswith("+4930123@home")
