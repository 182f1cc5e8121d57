"""Telephone numbers of accounts: whose they are, from where they are dialled, and what goes before them."""

from __future__ import annotations

import pytest

from base.failures import Failure
from directory.model import AccountRoute, Address, ForeignRoute
from directory.telnums import checked_telnum
from tests.directory.town import OURS, THEIRS, Town, opened


async def test_a_telephone_number_reaches_its_account_from_everywhere(town: Town) -> None:
    directory = town.directory
    otto = town.account("otto", THEIRS)
    await directory.telnums.set(otto, ["+49 (30) 123-4567", "+4930123456789"])
    assert directory.telnums.of(otto.id) == ("+49301234567", "+4930123456789")
    await directory.set_router("NoRelay:Signal:<+(7+d)@*> = *@gate.test\nNoRelay:Signal:<0*@*> = *@gate.test\n")
    for local in ("+49301234567", "+49-30-1234567"):
        found = directory.resolve(Address(local, OURS), caller=town.caller())
        assert found.route == AccountRoute(otto)
        assert found.steps == (f"{local} is a telephone number of {otto.address}",)
    assert isinstance(directory.resolve(Address("0301234567", OURS), caller=None).route, ForeignRoute)
    await directory.set_domain_setting(OURS, "Country", "de")
    for local in ("0301234567", "0049301234567"):
        assert directory.resolve(Address(local, OURS), caller=None).route == AccountRoute(otto)
    assert isinstance(directory.resolve(Address("+49309999999", OURS), caller=None).route, ForeignRoute)
    assert isinstance(directory.resolve(Address("+49301234567", "far.test"), caller=None).route, ForeignRoute)
    await directory.set_router("NoRelay:Signal:<+49301234567@*> = desk@a.example\n")
    of_its_own = directory.resolve(Address("+49301234567", OURS), caller=None)
    assert of_its_own.route == AccountRoute(town.account("otto")), "a record of its own comes before"


async def test_a_name_of_the_domain_comes_before_national_digits(town: Town) -> None:
    directory = town.directory
    otto = town.account("otto", THEIRS)
    await directory.telnums.set(otto, ["+4920201234"])
    await directory.set_server_setting("Country", "DE")
    await directory.add_alias(town.account("anna").id, "020201234")
    assert directory.resolve(Address("020201234", OURS), caller=None).route == AccountRoute(town.account("anna"))
    assert directory.resolve(Address("020201234", THEIRS), caller=None).route == AccountRoute(otto)


async def test_a_number_is_one_accounts_only_and_free_when_that_ends(town: Town) -> None:
    directory = town.directory
    anna, otto = town.account("anna"), town.account("otto", THEIRS)
    await directory.telnums.set(anna, ["+49301234567"])
    with pytest.raises(Failure, match="somebody else has"):
        await directory.telnums.set(otto, ["+49 30 1234567"])
    await directory.remove_account(anna.id)
    await directory.telnums.set(otto, ["+49301234567"])
    again = await opened(town.databases)
    assert again.telnums.owner("+49301234567") == otto
    assert again.telnums.of(otto.id) == ("+49301234567",)


@pytest.mark.parametrize(
    "text", ["", "+", "030123456", "+0301234567", "+12345", "+1234567890123456", "+49x30123456", "²"]
)
def test_what_is_no_telephone_number_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="begins with"):
        checked_telnum(text)


async def test_a_country_has_two_letters(town: Town) -> None:
    with pytest.raises(Failure, match="two letters such as DE"):
        await town.directory.set_server_setting("Country", "Germany")
