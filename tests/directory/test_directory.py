"""The directory: names, secrets, rules, the feed, and the same again after a restart."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from base.entropy import SeededEntropy
from base.failures import Failure
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.storage.sqlite import SqliteDatabases
from directory import tables
from directory.directory import Change, Directory
from directory.firststart import DEFAULT_DOMAIN, default_domain, prepare
from directory.model import Account, CallRule, Fork, Redirect, Right, Stage
from directory.secrets import DerivedCache, Keyring, load_key
from tests.directory.fixtures import DOMAIN, demo_directory, find


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    async with demo_directory() as made:
        yield made


# ---- names ------------------------------------------------------------------------------------------------------


async def test_an_account_is_found_by_each_of_its_names(directory: Directory) -> None:
    alice = find(directory, "alice")
    assert alice == find(directory, "ALICE") == find(directory, "201") == directory.account(alice.id)
    assert alice.address == f"alice@{DOMAIN}"
    assert directory.aliases(alice.id) == ("201",)
    assert directory.find_account(DOMAIN, "nobody") is None
    assert directory.find_account("other.test", "alice") is None


async def test_what_means_the_main_domain(directory: Directory) -> None:
    for host in (DOMAIN, DOMAIN.upper(), f"{DOMAIN}.", "localhost", "127.0.0.1", "127.9.9.9", "[::1]", "host.example"):
        assert directory.local_domain(host) == DOMAIN, host
    for host in ("example.org", "10.0.0.1", "", "tandem.test.evil.example", "%"):
        assert directory.local_domain(host) is None, host
    directory.domain_book.add_host("10.0.0.1")
    assert directory.local_domain("10.0.0.1") == DOMAIN
    await directory.domain_book.create("Second.Test")
    await directory.domain_book.add_alias("second.test", "zweite.test")
    assert directory.local_domain("zweite.test") == "second.test"
    assert directory.domains() == (DOMAIN, "second.test")


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a@b", "*98", "#pbx", "-a", "ä", "a/b", "\x00"])
async def test_names_that_may_not_be(directory: Directory, name: str) -> None:
    with pytest.raises(Failure) as caught:
        await directory.create_account(DOMAIN, name, "x")
    assert caught.value.code == "invalid"


async def test_a_name_is_given_once(directory: Directory) -> None:
    for name, extension in (("alice", None), ("201", None), ("carol", "202"), ("carol", "carol")):
        with pytest.raises(Failure) as caught:
            await directory.create_account(DOMAIN, name, "x", extension=extension)
        assert caught.value.code == "exists"
    assert directory.find_account(DOMAIN, "carol") is None
    with pytest.raises(Failure, match="emergency"):
        await directory.create_account(DOMAIN, "carol", "x", extension="112")


async def test_two_who_want_one_name_at_once(directory: Directory) -> None:
    outcomes = await asyncio.gather(
        *(directory.create_account(DOMAIN, "carol", "x", extension="203") for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Account) for outcome in outcomes) == 1
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Failure)} == {"exists"}


async def test_ids_are_never_given_again(directory: Directory) -> None:
    carol = await directory.create_account(DOMAIN, "carol", "x", extension="203")
    await directory.set_setting(carol.id, "VoicemailAfter", 5)
    await directory.remove_account(carol.id)
    assert directory.account(carol.id) is None
    assert directory.find_account(DOMAIN, "203") is None
    again = await directory.create_account(DOMAIN, "carol", "x", extension="203")
    assert again.id > carol.id
    assert directory.setting(again.id, "VoicemailAfter") == 30


async def test_groups_and_forwarders(directory: Directory) -> None:
    await directory.create_group(DOMAIN, "sales", ["alice", " 202 "])
    await directory.create_forwarder(DOMAIN, "boss", "alice@tandem.test")
    assert directory.groups.is_member("sales", find(directory, "bob"))
    assert not directory.groups.is_member("sales", find(directory, "pbx"))
    assert not directory.groups.is_member("boss", find(directory, "alice"))
    with pytest.raises(Failure, match="is taken"):
        await directory.create_account(DOMAIN, "sales", "x")
    await directory.remove_name(DOMAIN, "sales")
    with pytest.raises(Failure, match="no group or forwarder"):
        await directory.remove_name(DOMAIN, "alice")


# ---- secrets ----------------------------------------------------------------------------------------------------


async def test_ha1_for_every_login(directory: Directory) -> None:
    alice = find(directory, "alice")
    for login in ("alice", "201", f"alice@{DOMAIN}"):
        text = f"{login}:{DOMAIN}:alice-secret".encode()
        assert directory.ha1(alice.id, login, DOMAIN, "MD5") == hashlib.md5(text).hexdigest()
        assert directory.ha1(alice.id, login, DOMAIN, "SHA-256") == hashlib.sha256(text).hexdigest()
    await directory.set_password(alice.id, "new")
    assert directory.ha1(alice.id, "a", "r", "MD5") == hashlib.md5(b"a:r:new").hexdigest()
    assert directory.check_password(alice.id, "new")
    assert not directory.check_password(alice.id, "alice-secret")
    await directory.remove_account(alice.id)
    with pytest.raises(Failure):
        directory.ha1(alice.id, "a", "r", "MD5")


async def test_a_pin_is_compared_and_never_told(directory: Directory) -> None:
    alice = find(directory, "alice")
    assert directory.check_pin(alice.id, "2011")
    assert not directory.check_pin(alice.id, "2012")
    assert directory.setting(alice.id, "PIN") is None
    await directory.set_setting(alice.id, "PIN", "99")
    assert directory.check_pin(alice.id, "99")
    await directory.set_setting(alice.id, "PIN", None)
    assert not directory.has_pin(alice.id)
    assert not directory.check_pin(alice.id, "")
    with pytest.raises(Failure):
        await directory.set_pin(alice.id, "12a")


@pytest.mark.parametrize("password", ["", "x" * 257, "a\nb", "\x00"])
async def test_passwords_that_may_not_be(directory: Directory, password: str) -> None:
    with pytest.raises(Failure):
        await directory.set_password(1, password)


def test_a_sealed_secret_fits_no_other_account_and_no_other_key() -> None:
    entropy = SeededEntropy()
    ring = Keyring(bytes(32), entropy)
    sealed = ring.seal("secret", "password of 1")
    assert b"secret" not in sealed
    assert ring.open(sealed, "password of 1") == "secret"
    for other, purpose in ((ring, "password of 2"), (Keyring(b"k" * 32, entropy), "password of 1")):
        with pytest.raises(Failure):
            other.open(sealed, purpose)
    with pytest.raises(Failure):
        ring.open(b"short", "password of 1")


def test_the_key_file(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret.key"
    key = load_key(path, SeededEntropy(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path, SeededEntropy(2)) == key
    path.write_bytes(b"short")
    with pytest.raises(Failure, match="damaged"):
        load_key(path, SeededEntropy(3))


def test_the_cache_is_bounded() -> None:
    cache = DerivedCache(limit=2)
    for account in range(3):
        cache.put((account, "u", "r", "MD5"), str(account))
    assert cache.get((0, "u", "r", "MD5")) is None
    assert cache.get((2, "u", "r", "MD5")) == "2"


# ---- rules ------------------------------------------------------------------------------------------------------


async def test_call_rules(directory: Directory) -> None:
    bob, voicemail = find(directory, "bob"), Redirect(("#voicemail",))
    assert directory.call_rules(bob.id) == (
        CallRule(Stage.AFTER, voicemail, 30.0),
        CallRule(Stage.NO_DEVICE, voicemail),
        CallRule(Stage.NO_ANSWER, voicemail),
        CallRule(Stage.BUSY, voicemail),
        CallRule(Stage.FAILURE, voicemail),
    )
    await directory.set_setting(bob.id, "VoicemailAfter", 0)
    await directory.set_setting(bob.id, "VoicemailOnError", "no")
    await directory.set_setting(bob.id, "AlertAfter", 7)
    await directory.set_setting(bob.id, "AlertTo", "alice, bob@home.example")
    assert directory.call_rules(bob.id) == (
        CallRule(Stage.AFTER, Fork(("alice", "bob@home.example")), 7.0),
        CallRule(Stage.BUSY, voicemail),
    )
    pbx = find(directory, "pbx")
    centre = Redirect(("#pbx",))
    assert directory.call_rules(pbx.id) == (
        CallRule(Stage.AFTER, centre, 15.0),
        CallRule(Stage.NO_DEVICE, centre),
        CallRule(Stage.NO_ANSWER, centre),
        CallRule(Stage.BUSY, centre),
        CallRule(Stage.FAILURE, centre),
    )


async def test_the_feed_tells_after_the_commit(directory: Directory) -> None:
    heard: list[Change] = []
    stop = directory.subscribe(heard.append)
    carol = await directory.create_account(DOMAIN, "carol", "x")
    await directory.add_alias(carol.id, "203")
    await directory.set_setting(carol.id, "VoicemailAfter", 3)
    stop()
    await directory.remove_account(carol.id)
    assert heard == [
        Change("account", carol.id),
        Change("name", carol.id, "203"),
        Change("setting", carol.id, "VoicemailAfter"),
    ]


# ---- starts -----------------------------------------------------------------------------------------------------


async def test_a_second_start_finds_everything(tmp_path: Path) -> None:
    entropy = SeededEntropy()
    key = load_key(tmp_path / "secret.key", entropy)
    databases = SqliteDatabases(tmp_path, Metrics())
    first = await Directory.open(await databases.main(), Keyring(key, entropy), main_domain="one.test")
    made = await prepare(first, "ignored.test", entropy)
    assert [(one.name, one.extension) for one in made] == [("postmaster", ""), ("alice", "201"), ("bob", "202")]
    assert made[1].password not in repr(made)
    await first.domain_book.create("two.test")
    await first.domain_book.add_alias("two.test", "zwei.test")
    await first.create_group("two.test", "all", ["alice@one.test"])
    await first.create_forwarder("two.test", "hop", "201@one.test")
    await first.set_setting(3, "VoicemailAfter", 11)
    await databases.close()

    databases = SqliteDatabases(tmp_path, Metrics())
    second = await Directory.open(
        await databases.main(), Keyring(load_key(tmp_path / "secret.key", entropy), entropy), main_domain="one.test"
    )
    assert await prepare(second, "one.test", entropy) == ()
    assert second.domains() == ("one.test", "two.test")
    assert second.local_domain("zwei.test") == "two.test"
    assert second.accounts() == first.accounts()
    alice = find(second, "201", "one.test")
    assert second.check_password(alice.id, made[1].password)
    assert second.check_pin(alice.id, made[1].pin)
    assert second.setting(3, "VoicemailAfter") == 11
    assert second.aliases(find(second, "pbx", "one.test").id) == ("200", "conference")
    with pytest.raises(Failure, match="main domain of this data folder is one"):
        await Directory.open(await databases.main(), Keyring(key, entropy), main_domain="three.test")
    await second.remove_account(alice.id)
    assert await prepare(second, "one.test", entropy) == ()
    assert second.find_account("one.test", "alice") is None
    await databases.close()


async def test_an_interrupted_first_start_is_done_again() -> None:
    databases, entropy = InlineDatabases(), SeededEntropy()
    database = await databases.main()
    first = await Directory.open(database, Keyring(bytes(32), entropy))
    await first.domain_book.create("one.test")
    await first.create_account("one.test", "alice", "nobody was told", extension="201")
    made = await prepare(first, "one.test", entropy)
    assert first.check_password(find(first, "alice", "one.test").id, made[1].password)
    databases.discard()


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("pbx.example.org", "pbx.example.org"),
        ("PBX.Example.Org.", "pbx.example.org"),
        ("laptop", DEFAULT_DOMAIN),
        ("localhost.localdomain", DEFAULT_DOMAIN),
        ("1.0.0.127.in-addr.arpa", DEFAULT_DOMAIN),
        ("10.0.0.1", DEFAULT_DOMAIN),
        ("", DEFAULT_DOMAIN),
    ],
)
def test_the_default_domain(host: str, domain: str) -> None:
    assert default_domain(host) == domain


async def test_an_older_database_makes_its_postmaster_the_master() -> None:
    databases, keyring = InlineDatabases(), Keyring(bytes(32), SeededEntropy(1))
    try:
        database = await databases.main()
        await database.migrate(tables.COMPONENT, tables.MIGRATIONS[:1])
        for row in (
            "domain VALUES (1, 'one.test', 1), (2, 'two.test', 0)",
            "object (id, kind, domain_id) VALUES (1, 'account', 1), (2, 'account', 2), (3, 'account', 1)",
            "name VALUES (1, 'postmaster', 0, 1), (2, 'postmaster', 0, 2), (1, 'bob', 0, 3)",
        ):
            await database.write(lambda connection, row=row: connection.execute(f"INSERT INTO {row}"))
        directory = await Directory.open(database, keyring)
        assert directory.rights.of(1) == {Right.MASTER}
        assert directory.rights.of(2) == directory.rights.of(3) == frozenset()
        await database.write(lambda connection: connection.execute("INSERT INTO account_right VALUES (3, 'Newer')"))
        assert (await Directory.open(database, keyring)).rights.of(3) == frozenset()
    finally:
        databases.discard()
