"""Domains of one server that never meet: what is dialled in one leads to nothing of another; telephone numbers do."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.entropy import SeededEntropy
from base.failures import Failure
from base.storage.inline import InlineDatabases
from directory.directory import Directory
from directory.model import (
    PARK,
    PICKUP,
    Account,
    AccountRoute,
    Address,
    Caller,
    ForeignRoute,
    GroupRoute,
    ProgramRoute,
    Resolution,
    UnknownRoute,
)
from directory.secrets import Keyring
from directory.telnums import checked_telnum

OURS, THEIRS, MAIN = "a.example", "b.example", "main.example"


async def _town() -> tuple[Directory, InlineDatabases]:
    """Three domains with the same extensions, names and groups; only the main one has a PBX centre."""
    databases = InlineDatabases()
    directory = await Directory.open(await databases.main(), Keyring(bytes(32), SeededEntropy(1)))
    for domain in (MAIN, OURS, THEIRS):
        await directory.domain_book.create(domain)
        one = await directory.create_account(domain, "anna", "x", extension="201")
        await directory.create_account(domain, "otto", "x", extension="202")
        await directory.create_group(domain, "team", ["anna", "202"])
        await directory.create_forwarder(domain, "desk", "otto")
        await directory.set_setting(one.id, "Operator", "otto")
    await directory.create_account(MAIN, "pbx", "x", extension="200")
    await directory.create_group(OURS, "both", ["anna", f"anna@{THEIRS}"])
    return directory, databases


@pytest.fixture(scope="module")
def directory() -> Directory:
    """Nobody changes it here but the tests at the end, each its own account."""
    return asyncio.run(_town())[0]


def account(directory: Directory, name: str, domain: str = OURS) -> Account:
    found = directory.find_account(domain, name)
    assert found is not None
    return found


def caller(directory: Directory) -> Caller:
    anna = account(directory, "anna")
    return Caller(f"sip:{anna.address}", account=anna)


def foreign_parts(resolution: Resolution) -> list[str]:
    """What of the way is another domain's."""
    match resolution.route:
        case AccountRoute(account=found):
            return [found.domain] if found.domain != OURS else []
        case ProgramRoute(program, parameters, found):
            named = [each.rpartition("@")[2] for each in parameters] if program == PICKUP else []
            named += [parameters[0]] if program == PARK else []
            return [domain for domain in (found.domain, *named) if domain != OURS]
        case GroupRoute(domain=domain):
            return [domain] if domain != OURS else []
        case _:
            return []


NUMBERS = """
    201 202 200 anna otto team desk pbx operator 0 600 echo *43 700 701 720 park+701 705 799 *98 *97 *65 *69 *8 **202
    *202 *99202 *72202 *67202 #pbx voicemail#otto service#202 conference
"""
DIALLED = st.one_of(
    st.sampled_from(NUMBERS.split()),
    st.from_regex(r"[*#]{0,2}[0-9]{1,6}#?", fullmatch=True),
)


@settings(max_examples=100)
@given(DIALLED, st.booleans())
def test_what_is_dialled_at_home_stays_there(directory: Directory, local: str, services: bool) -> None:
    found = directory.resolve(Address(local, OURS), caller=caller(directory), services=services)
    beyond = foreign_parts(found)
    # A group may name whom it likes: those are called as by anybody, and picked up by the rules of WatchedBy.
    assert beyond in ([], [THEIRS]) if local == "*8" else not beyond, (local, found)


@pytest.mark.parametrize("program", ["voicemail", "service{98}", "pbx"])
@pytest.mark.parametrize("whose", [f"otto@{THEIRS}", f"pbx@{MAIN}"])
async def test_no_rule_and_no_forwarder_starts_a_program_of_another_domain(program: str, whose: str) -> None:
    directory, databases = await _town()
    try:
        anna = account(directory, "anna")
        await directory.create_forwarder(OURS, "sly", f"{program}#{whose}")
        dialled = directory.resolve(Address("sly", OURS), caller=caller(directory))
        by_rule = directory.resolve_target(f"{program}#{whose}", anna)
        for found in (dialled, by_rule):
            assert isinstance(found.route, UnknownRoute)
            assert found.steps[-1] == f"{OURS} starts no program of {whose.partition('@')[2]}"
        own = directory.resolve_target(f"{program}#otto", anna).route
        assert isinstance(own, ProgramRoute)
        await directory.set_router(f"<shared@{OURS}> = {program}#{whose}\n")
        shared = directory.resolve(Address("shared", OURS), caller=caller(directory)).route
        assert isinstance(shared, ProgramRoute)
        assert shared.account.address == whose, "the server's administrator may share one"
    finally:
        databases.discard()


def test_without_a_centre_the_echo_and_the_lot_are_there_for_the_own_people(directory: Directory) -> None:
    for local in ("600", "700"):
        route = directory.resolve(Address(local, OURS), caller=caller(directory)).route
        assert isinstance(route, ProgramRoute)
        assert route.account.address == f"anna@{OURS}"
        stranger = directory.resolve(Address(local, OURS), caller=Caller("sip:x@far.test"))
        assert isinstance(stranger.route, UnknownRoute)
        assert stranger.steps[-1] == f"there is no account pbx in {OURS}"
    assert isinstance(directory.resolve(Address("0", OURS), caller=caller(directory)).route, UnknownRoute)


def test_67_and_870_are_codes_unless_an_extension_begins_so(directory: Directory) -> None:
    anna, otto = account(directory, "anna", MAIN), account(directory, "otto", MAIN)
    who = Caller(f"sip:{anna.address}", account=anna)
    for code, number, route in (
        ("*67202", "67202", AccountRoute(otto)),
        ("*870", "870", ProgramRoute("service", ("870",), anna)),
    ):
        before = directory.resolve(Address(code, MAIN), caller=who, hides=True)
        assert (before.route, before.hidden) == (route, code == "*67202")
        asyncio.run(directory.add_alias(otto.id, number))
        after = directory.resolve(Address(code, MAIN), caller=who, hides=True)
        assert (after.route, after.hidden) == (ProgramRoute("voicemail", (), otto), False)


def test_where_nobody_can_hide_the_caller_the_code_leads_nowhere(directory: Directory) -> None:
    anna = account(directory, "anna")
    for found in (directory.resolve_target("*67202", anna), directory.resolve(Address("*67202", OURS), caller=None)):
        assert isinstance(found.route, UnknownRoute)
        assert found.steps[-1] == "only who dials it is hidden by it"


# ---- telephone numbers


async def test_a_telephone_number_reaches_its_account_from_everywhere() -> None:
    directory, databases = await _town()
    try:
        otto = account(directory, "otto", THEIRS)
        await directory.telnums.set(otto, ["+49 (30) 123-4567", "+4930123456789"])
        assert directory.telnums.of(otto.id) == ("+49301234567", "+4930123456789")
        await directory.set_router("NoRelay:Signal:<+(7+d)@*> = *@gate.test\nNoRelay:Signal:<0*@*> = *@gate.test\n")
        for local in ("+49301234567", "+49-30-1234567"):
            found = directory.resolve(Address(local, OURS), caller=caller(directory))
            assert found.route == AccountRoute(otto)
            assert found.steps == (f"{local} is a telephone number of {otto.address}",)
        assert isinstance(directory.resolve(Address("0301234567", OURS), caller=None).route, ForeignRoute)
        await directory.set_domain_setting(OURS, "Country", "de")
        for local in ("0301234567", "00493012345 67".replace(" ", "")):
            assert directory.resolve(Address(local, OURS), caller=None).route == AccountRoute(otto)
        assert isinstance(directory.resolve(Address("+49309999999", OURS), caller=None).route, ForeignRoute)
        assert isinstance(directory.resolve(Address("+49301234567", "far.test"), caller=None).route, ForeignRoute)
        await directory.set_router("NoRelay:Signal:<+49301234567@*> = desk@a.example\n")
        of_its_own = directory.resolve(Address("+49301234567", OURS), caller=None)
        assert of_its_own.route == AccountRoute(account(directory, "otto")), "a record of its own comes before"
    finally:
        databases.discard()


async def test_a_name_of_the_domain_comes_before_national_digits() -> None:
    directory, databases = await _town()
    try:
        otto = account(directory, "otto", THEIRS)
        await directory.telnums.set(otto, ["+4920201234"])
        await directory.set_server_setting("Country", "DE")
        await directory.add_alias(account(directory, "anna").id, "020201234")
        assert directory.resolve(Address("020201234", OURS), caller=None).route == AccountRoute(
            account(directory, "anna")
        )
        assert directory.resolve(Address("020201234", THEIRS), caller=None).route == AccountRoute(otto)
    finally:
        databases.discard()


async def test_a_number_is_one_accounts_only_and_free_when_that_ends() -> None:
    directory, databases = await _town()
    try:
        anna, otto = account(directory, "anna"), account(directory, "otto", THEIRS)
        await directory.telnums.set(anna, ["+49301234567"])
        with pytest.raises(Failure, match="somebody else has"):
            await directory.telnums.set(otto, ["+49 30 1234567"])
        await directory.remove_account(anna.id)
        await directory.telnums.set(otto, ["+49301234567"])
        again = await Directory.open(await databases.main(), Keyring(bytes(32), SeededEntropy(1)))
        assert again.telnums.owner("+49301234567") == otto
        assert again.telnums.of(otto.id) == ("+49301234567",)
    finally:
        databases.discard()


@pytest.mark.parametrize(
    "text", ["", "+", "030123456", "+0301234567", "+12345", "+1234567890123456", "+49x30123456", "²"]
)
def test_what_is_no_telephone_number_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="begins with"):
        checked_telnum(text)


def test_a_country_has_two_letters(directory: Directory) -> None:
    with pytest.raises(Failure, match="two letters such as DE"):
        asyncio.run(directory.set_server_setting("Country", "Germany"))
