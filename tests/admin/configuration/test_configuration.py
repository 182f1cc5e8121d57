"""The whole configuration as a tree: out, compared, and in again, all of it or nothing."""

from __future__ import annotations

import pytest

from admin.ports import FilePlace
from base.failures import Failure
from directory.model import AccountRoute, Address, GroupRoute, Right, Ring, RingOrder
from pbx.trunk.model import Trunk
from pbx.workarounds.kinds import Workaround
from tests.admin.configuration.house import DOMAIN, Server, server

ALICE = f"domains/{DOMAIN}/accounts/alice.toml"
DOMAIN_FILE = f"domains/{DOMAIN}/domain.toml"
PROGRAM = b'entry Main is\n  if AcceptCall() != null then return; end if;\n  PlayFile("welcome");\nend entry;\n'


async def furnish(house: Server) -> None:
    """Something in each room."""
    directory = house.directory
    alice = directory.find_account(DOMAIN, "alice")
    assert alice is not None
    await directory.set_real_name(alice.id, "Alice Ärmel")
    await directory.set_setting(alice.id, "VoicemailAfter", 20)
    await directory.set_setting(alice.id, "DivertTo", ["bob", "carol@else.example"])
    await directory.set_setting(alice.id, "OwnOfAProgram", [["nested", 1], "x"])
    await directory.set_rules([[100005, "Evening", [], [["Redirect to", "bob"]]]], account_id=alice.id)
    await directory.domain_book.create("second.test")
    await directory.domain_book.add_alias("second.test", "alias.test")
    await directory.create_account("second.test", "eve", "eve-secret", extension="201")
    await directory.telnums.set(alice, ["+4930123456", "+4940123456"])
    await directory.rights.set(alice, frozenset({Right.USER_ACCOUNTS, Right.MONITOR}))
    await directory.create_group(DOMAIN, "sales", ["alice", "bob"])
    await directory.groups.set_ring(DOMAIN, "sales", Ring(RingOrder.HUNT, 20, "alice"))
    await directory.create_forwarder(DOMAIN, "out", "carol@else.example")
    await directory.set_server_setting("Operator", "bob")
    await directory.set_domain_setting("second.test", "Language", "french")
    await directory.network_settings.set("ClientIPs", "192.0.2.1\n192.0.2.7-192.0.2.9")
    await directory.set_router("NoRelay:Signal:<(10+d)@tandem.test> = *@192.0.2.5 ; out\n")
    await house.rooms.trunks.put(Trunk("carrier", "sip.example", "4930", registers=True, target="sales"), "hidden")
    await house.rooms.workarounds.add("Odd-Phone*", next(iter(Workaround)).value, "says so itself")
    house.files.files[FilePlace("", "", "welcome.wav")] = b"RIFF1"
    house.files.files[FilePlace("second.test", "french", "hello.sppr")] = PROGRAM

    return next(iter(Workaround)).value


async def test_what_was_exported_changes_nothing() -> None:
    async with server() as house:
        await furnish(house)
        files = await house.configuration.export()
        before = await house.stored()
        applied = await house.configuration.apply(files, removing=False)
        assert applied.steps == []
        assert applied.effects == []
        assert await house.stored() == before
        assert b"hidden" not in b"".join(files.values())
        assert b"eve-secret" not in b"".join(files.values())


async def test_a_tree_makes_another_server_the_same() -> None:
    async with server() as house, server() as other:
        await furnish(house)
        files = await house.configuration.export(secrets=True)
        await other.configuration.apply(files, removing=True)
        assert await other.configuration.export(secrets=True) == files
        eve = other.directory.find_account("second.test", "201")
        assert eve is not None
        assert other.directory.check_password(eve.id, "eve-secret")
        assert other.rooms.trunks.line("carrier").password == "hidden"
        assert other.files.files == house.files.files
        # and what the other has only from memory is what it would read after a restart
        assert (await other.directory.rehearsal(other.database)).accounts() == other.directory.accounts()


async def test_a_telephone_number_goes_from_one_account_to_another() -> None:
    async with server() as house:
        await furnish(house)
        files = await house.configuration.export()
        bob = ALICE.replace("alice", "bob")
        moved = {**files, ALICE: files[ALICE].replace(b', "+4940123456"', b""), bob: files[bob].replace(
            b"aliases", b'telnums = ["+4940123456"]\nrights = ["Monitor"]\naliases'
        )}  # fmt: skip
        plan = await house.configuration.apply(moved, removing=False)
        assert "alice@tandem.test loses +4940123456" in plan.steps
        assert "bob@tandem.test has the numbers +4940123456" in plan.steps
        assert plan.effects == [
            "+4940123456@tandem.test: account alice@tandem.test → account bob@tandem.test",
        ]
        owner = house.directory.telnums.owner("+4940123456")
        assert owner is not None
        assert owner.name == "bob"
        assert house.directory.rights.of(owner.id) == {Right.MONITOR}
        with pytest.raises(Failure, match="there is no right Moniter; did you mean Monitor"):
            await house.configuration.plan({**moved, bob: moved[bob].replace(b"Monitor", b"Moniter")})


async def test_the_plan_tells_which_numbers_lead_elsewhere() -> None:
    async with server() as house:
        files = await house.configuration.export()
        files[ALICE] = files[ALICE].replace(b'"201"', b'"299"')
        files[DOMAIN_FILE] += b'\n[groups]\n201 = ["alice", "bob"]\n'
        plan = await house.configuration.plan(files)
        assert f"201@{DOMAIN}: account alice@{DOMAIN} → group 201: alice@{DOMAIN}, bob@{DOMAIN}" in plan.effects
        assert f"299@{DOMAIN}: nobody → account alice@{DOMAIN}" in plan.effects
        assert f"alice@{DOMAIN} loses 201" in plan.steps
        assert isinstance(house.directory.resolve(Address("201", DOMAIN), caller=None).route, AccountRoute)
        await house.configuration.apply(files, removing=False)
        assert isinstance(house.directory.resolve(Address("201", DOMAIN), caller=None).route, GroupRoute)


async def test_the_plan_tells_which_calls_are_treated_otherwise() -> None:
    async with server() as house:
        files = await house.configuration.export()
        files["server.toml"] += b'\n[settings]\nDivertWhen = "after hours"\nDivertTo = ["bob"]\n'
        plan = await house.configuration.plan(files)
        told = next(effect for effect in plan.effects if effect.startswith(f"calls to alice@{DOMAIN}"))
        assert "in the evening: at once: send the call to bob (was after 30 s" in told


async def test_the_plan_tells_what_is_switched_off() -> None:
    async with server() as house:
        files = await house.configuration.export()
        files[ALICE] += b'[settings]\nAccessModes = ["Mail"]\n'
        plan = await house.configuration.plan(files)
        assert f"alice@{DOMAIN}: account alice@{DOMAIN} → nobody" in plan.effects
        assert f"201@{DOMAIN}: account alice@{DOMAIN} → nobody" in plan.effects
        assert not any(effect.startswith("bob@") for effect in plan.effects)


async def test_every_fault_is_told_with_its_place_and_nothing_changes() -> None:
    async with server() as house:
        files = await house.configuration.export()
        before = await house.stored()
        files[ALICE] = b'aliases = ["201", "202"]\nreal_nam = "x"\n'
        files[f"domains/{DOMAIN}/accounts/carol.toml"] = b"aliases = [\n"
        files["domain/x.toml"] = b""
        files["environment/broken.wav"] = b"noise"
        files["router.txt"] = b"<x"
        with pytest.raises(Failure) as refused:
            await house.configuration.apply(files, removing=True)
        told = refused.value.public.splitlines()
        assert f"{ALICE}:2: real_nam is not known here; did you mean real_name?" in told
        assert "domain/x.toml: is no file of a configuration" in told[1] + told[0] + told[2]
        assert any(line.startswith(f"domains/{DOMAIN}/accounts/carol.toml:") for line in told)
        assert await house.stored() == before


async def test_what_the_server_would_refuse_is_refused_before_anything_is_done() -> None:
    async with server() as house:
        files = await house.configuration.export()
        before = await house.stored()
        files[f"domains/{DOMAIN}/accounts/aaa.toml"] = b'aliases = ["299"]\n'
        files[f"domains/{DOMAIN}/accounts/bbb.toml"] = b'aliases = ["299"]\n'
        files["router.txt"] = b"<x"
        files["environment/broken.wav"] = b"noise"
        files["environment/own.sppr"] = b"entry Main is\n  Nonsense(;\nend entry;\n"
        with pytest.raises(Failure) as refused:
            await house.configuration.apply(files, removing=True)
        told = refused.value.public
        assert f"domains/{DOMAIN}/accounts/bbb.toml: bbb@{DOMAIN} gets 299: 299 is taken in {DOMAIN}" in told
        assert "router.txt: change the Router: line 1" in told
        assert "environment/broken.wav: that is no sound file" in told
        assert "environment/own.sppr: " in told
        assert await house.stored() == before
        assert house.directory.find_account(DOMAIN, "aaa") is None


async def test_a_new_account_without_a_password_gets_one_that_is_told_once() -> None:
    async with server() as house:
        files = await house.configuration.export()
        files[f"domains/{DOMAIN}/accounts/carol.toml"] = b'real_name = "Carol"\naliases = ["203"]\n'
        assert (await house.configuration.plan(files)).passwords == {}
        applied = await house.configuration.apply(files, removing=False)
        carol = house.directory.find_account(DOMAIN, "203")
        assert carol is not None
        assert house.directory.check_password(carol.id, applied.passwords[f"carol@{DOMAIN}"])


async def test_accounts_end_only_when_that_is_meant() -> None:
    async with server() as house:
        bob = house.directory.find_account(DOMAIN, "bob")
        assert bob is not None
        files = await house.configuration.export()
        del files[f"domains/{DOMAIN}/accounts/bob.toml"]
        with pytest.raises(Failure, match="removes accounts"):
            await house.configuration.apply(files, removing=False)
        assert house.directory.account(bob.id) is not None
        gone: list[str] = []
        house.directory.subscribe(lambda change: gone.append(change.what))
        await house.configuration.apply(files, removing=True)
        assert house.directory.account(bob.id) is None
        assert house.mail.removed == [bob.id]
        assert gone == ["removed"]


async def test_a_change_in_between_is_noticed() -> None:
    async with server() as house:
        files = await house.configuration.export()
        files[DOMAIN_FILE] += b'\n[groups]\nall = ["alice"]\n'
        prepared = await house.configuration._prepare(files)
        await house.directory.set_server_setting("Operator", "bob")
        with pytest.raises(Failure, match="in the meantime"):
            await prepared.rehearsal.perform(house.database)
        prepared.rehearsal.discard()
        assert house.directory.groups.groups(DOMAIN) == ()


async def test_a_disk_that_is_full_is_told_with_what_is_left_to_do() -> None:
    async with server() as house:
        files = await house.configuration.export()
        files["environment/welcome.wav"] = b"RIFF2"
        house.files.full = True
        with pytest.raises(Failure, match=r"environment/welcome\.wav"):
            await house.configuration.apply(files, removing=False)
        house.files.full = False
        assert (await house.configuration.apply(files, removing=False)).steps == ["install environment/welcome.wav"]


async def test_a_stock_workaround_is_switched_off_and_on_again() -> None:
    async with server() as house:
        stock = house.rooms.workarounds.table.rows[0]
        plain = await house.configuration.export()
        await house.rooms.workarounds.remove(stock.who, stock.what.value)
        off = await house.configuration.export()
        await house.configuration.apply(plain, removing=False)
        assert not house.rooms.workarounds.table.rows[0].off
        await house.configuration.apply(off, removing=False)
        assert house.rooms.workarounds.table.rows[0].off
        assert await house.configuration.export() == off
