"""Settings: where a value comes from, what fits, what a domain may have and what is switched off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from base.failures import Failure
from base.values.kinds import Value
from directory.access import MODES
from directory.directory import Directory
from directory.model import AccountRoute, Address, Use
from directory.settings import SETTINGS
from tests.directory.fixtures import DOMAIN, demo_directory, find


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    async with demo_directory() as made:
        yield made


async def test_inheritance(directory: Directory) -> None:
    alice, bob = find(directory, "alice"), find(directory, "bob")
    await directory.set_server_setting("VoicemailAfter", "40")
    await directory.set_domain_setting(DOMAIN, "VoicemailAfter", 20)
    await directory.set_setting(bob.id, "VoicemailAfter", 5)
    assert [directory.setting(who.id, "VoicemailAfter") for who in (alice, bob)] == [20, 5]
    await directory.set_setting(bob.id, "VoicemailAfter", None)
    await directory.set_domain_setting(DOMAIN, "VoicemailAfter", None)
    assert directory.setting(bob.id, "VoicemailAfter") == 40
    assert directory.setting(bob.id, "Unheard") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("VoicemailAfter", "soon"), ("VoicemailAfter", -1), ("CallFeatures", "maybe"), ("", "x"), ("k" * 65, "x")],
)
async def test_values_that_do_not_fit(directory: Directory, key: str, value: Value) -> None:
    with pytest.raises(Failure) as caught:
        await directory.set_setting(1, key, value)
    assert caught.value.code == "invalid"


async def test_a_program_may_keep_its_own_values_and_change_what_it_got(directory: Directory) -> None:
    await directory.set_setting(1, "Gateways", ["a", ["b"]])
    got = directory.setting(1, "Gateways")
    assert isinstance(got, list)
    got.append("c")
    assert directory.setting(1, "Gateways") == ["a", ["b"]]
    with pytest.raises(Failure, match="too long"):
        await directory.set_setting(1, "Gateways", ["x" * 70_000])


async def test_a_domain_has_no_more_accounts_than_it_may(directory: Directory) -> None:
    await directory.set_domain_setting(DOMAIN, "AccountsLimit", 5)
    await directory.create_account(DOMAIN, "carol", "x")
    with pytest.raises(Failure, match="may have 5 accounts"):
        await directory.create_account(DOMAIN, "dave", "x")
    await directory.domain_book.create("two.test")
    await directory.create_account("two.test", "dave", "x")


async def test_no_more_either_when_many_are_made_at_once(directory: Directory) -> None:
    await directory.set_domain_setting(DOMAIN, "AccountsLimit", 6)
    made = await asyncio.gather(
        *(directory.create_account(DOMAIN, f"new{number}", "x") for number in range(9)), return_exceptions=True
    )
    refused = [one for one in made if isinstance(one, Failure)]
    assert [one.code for one in refused] == ["full"] * 7
    assert len(directory.accounts(DOMAIN)) == 6


@pytest.mark.parametrize(
    ("given", "kept"), [("all, imap", ["All"]), ("imap,SIGNAL", ["Signal", "IMAP"]), ("", []), ("pop", None)]
)
async def test_services_are_named_from_a_table(directory: Directory, given: str, kept: list[str] | None) -> None:
    alice = directory.find_account(DOMAIN, "alice")
    assert alice is not None
    if kept is None:
        with pytest.raises(Failure, match="must be All, or some of Signal, Mail, IMAP, PWD"):
            await directory.set_setting(alice.id, "AccessModes", given)
        return
    await directory.set_setting(alice.id, "AccessModes", given)
    assert directory.setting(alice.id, "AccessModes") == kept
    assert [mode for mode in MODES if directory.allows(alice.id, mode)] == ([*MODES] if kept == ["All"] else kept)
    mail = directory.resolve(Address("alice", DOMAIN), caller=None, use=Use.MAIL)
    assert isinstance(mail.route, AccountRoute) == ("All" in kept)
    await directory.set_setting(alice.id, "AccessModes", None)
    await directory.set_domain_setting(DOMAIN, "AccessModes", "Mail")
    assert not directory.allows(alice.id, "Signal")


@pytest.mark.parametrize("key", [key for key in SETTINGS if key != "PIN"])
async def test_every_setting_is_inherited_from_the_domain_the_server_and_the_table(
    directory: Directory, key: str
) -> None:
    """From the account outward: where it is set, that level is told and counts."""
    alice = directory.find_account(DOMAIN, "alice")
    assert alice is not None
    await directory.set_setting(alice.id, "DivertAlways", None)
    sample = directory.setting(alice.id, key)
    assert directory.found_setting(key, account_id=alice.id).level == "default"
    await directory.set_server_setting(key, sample)
    assert directory.found_setting(key, account_id=alice.id).level == "server"
    await directory.set_domain_setting(DOMAIN, key, sample)
    found = directory.found_setting(key, account_id=alice.id)
    assert (found.level, found.value) == ("domain", sample), "a default may be set as it is shown"
    await directory.set_setting(alice.id, key, sample)
    assert directory.found_setting(key, account_id=alice.id).level == "account"
    for level in ("domain", "server", "default"):
        await (
            directory.set_setting(alice.id, key, None) if level == "domain"
            else directory.set_domain_setting(DOMAIN, key, None) if level == "server"
            else directory.set_server_setting(key, None)
        )  # fmt: skip
        assert directory.found_setting(key, account_id=alice.id).level == level
