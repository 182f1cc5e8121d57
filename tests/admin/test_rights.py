"""Which right each act wants, on the server and in a domain; whom nobody changes; who comes in by a password."""

from __future__ import annotations

import json

import pytest

from admin.entrance import Entrance
from admin.ports import Json
from admin.rights import LOCAL, Actor
from admin.table import ALL
from admin.wire import Who
from base.failures import Failure
from directory.model import DOMAIN_RIGHTS, SERVER_RIGHTS, Account, Right
from tests.admin.two_domains import OUR_MAC, OURS, THEIRS, World, attempt, world

IN_THE_DOMAIN: dict[str, tuple[Right, dict[str, Json]]] = {
    "account.list": (Right.DOMAIN, {}),
    "account.show": (Right.DOMAIN, {"name": "alma"}),
    "account.add": (Right.USER_ACCOUNTS, {"name": "arno", "password": "x"}),
    "account.import": (Right.USER_ACCOUNTS, {"rows": [{"name": "arno", "password": "x"}]}),
    "account.password": (Right.USER_ACCOUNTS, {"name": "alma", "password": "x"}),
    "account.unlock": (Right.LIMITS, {"name": "alma"}),
    "account.remove": (Right.USER_ACCOUNTS, {"name": "alma"}),
    "account.alias": (Right.CAN_CREATE_ALIASES, {"name": "alma", "alias": "222"}),
    "account.calls": (Right.DOMAIN, {"name": "alma"}),
    "group.list": (Right.DOMAIN, {}),
    "group.show": (Right.DOMAIN, {"name": "ateam"}),
    "group.add": (Right.CAN_CREATE_GROUPS, {"name": "anew", "members": ["alma"]}),
    "group.members": (Right.CAN_CREATE_GROUPS, {"name": "ateam", "remove": ["alma"]}),
    "group.ring": (Right.CAN_CREATE_GROUPS, {"name": "ateam", "order": "hunt"}),
    "group.remove": (Right.CAN_CREATE_GROUPS, {"name": "ateam"}),
    "forwarder.list": (Right.DOMAIN, {}),
    "forwarder.add": (Right.CAN_CREATE_FORWARDERS, {"name": "anew", "target": "alma"}),
    "forwarder.remove": (Right.CAN_CREATE_FORWARDERS, {"name": "adesk"}),
    "domain.list": (Right.DOMAIN, {}),
    "route": (Right.DOMAIN, {"address": "202"}),
    "setting.get": (Right.DOMAIN, {"domain": OURS}),
    "setting.set": (Right.BASIC_SETTINGS, {"domain": OURS, "key": "VoicemailAfter", "value": "9"}),
    "prompts.list": (Right.DOMAIN, {"domain": OURS}),
    "prompts.get": (Right.DOMAIN, {"domain": OURS, "name": "ahello.wav"}),
    "prompts.put": (Right.BASIC_SETTINGS, {"domain": OURS, "name": "ahello.wav", "data": "UklGRng="}),
    "prompts.remove": (Right.BASIC_SETTINGS, {"domain": OURS, "name": "ahello.wav"}),
    "calls": (Right.DOMAIN, {}),
    "records": (Right.DOMAIN, {}),
    "registrations": (Right.DOMAIN, {}),
    "rule.show": (Right.DOMAIN, {"account": "alma"}),
    "rule.set": (Right.BASIC_SETTINGS, {"domain": OURS, "text": ""}),
    "rule.add": (
        Right.USER_ACCOUNTS,
        {"account": "alma", "name": "new", "when": "at once", "actions": ["Redirect to ada"]},
    ),
    "rule.remove": (Right.USER_ACCOUNTS, {"account": "alma", "name": "aarule"}),
    "device.list": (Right.DOMAIN, {}),
    "device.families": (Right.DOMAIN, {}),
    "device.add": (Right.USER_ACCOUNTS, {"account": "alma", "mac": "00:15:65:aa:aa:ab"}),
    "device.remove": (Right.USER_ACCOUNTS, {"mac": OUR_MAC}),
    "device.resync": (Right.USER_ACCOUNTS, {"mac": OUR_MAC}),
    "device.show": (Right.DOMAIN, {"mac": OUR_MAC}),
}
"""What administrators of a domain may do there, by which right; nothing else."""


def test_the_table_above_is_whole() -> None:
    assert {act.name for act in ALL if act.domain is not None} == {*IN_THE_DOMAIN}


@pytest.mark.parametrize("name", sorted(IN_THE_DOMAIN))
async def test_each_act_wants_its_right_in_the_domain(name: str) -> None:
    right, given = IN_THE_DOMAIN[name]
    async with world() as there:
        alma = there.directory.find_account(OURS, "alma")
        assert alma is not None
        await there.directory.set_setting(alma.id, "CallOutLocked", "YES")
        ada = there.actor()
        assert ada.account is not None
        others = DOMAIN_RIGHTS - {right}
        with pytest.raises(Failure, match=f"{right.value}|for himself only") as caught:
            await there.acts.perform(name, given, Actor.of(ada.account, others))
        assert caught.value.code == "denied"
        assert (
            await there.acts.perform(name, given, Actor.of(ada.account, frozenset({Right.DOMAIN, right}))) is not None
        )


async def test_what_is_the_servers_is_refused_to_administrators_of_domains() -> None:
    async with world() as there:
        for act in ALL:
            if act.domain is not None:
                continue
            with pytest.raises(Failure, match=f"{act.name} needs the right {act.right.value}; ada@"):
                await there.acts.perform(act.name, {}, there.actor())
            with pytest.raises(Failure, match=f"{THEIRS} has none"):
                await there.acts.perform(act.name, {}, there.actor(f"benno@{THEIRS}"))


CARL = f"carl@{OURS}"
AT_CARL: dict[str, dict[str, Json]] = {
    "account.password": {"name": CARL, "password": "x"},
    "account.remove": {"name": CARL},
    "account.alias": {"name": CARL, "alias": "1"},
    "setting.set": {"account": CARL, "key": "PIN", "value": "1"},
    "rule.set": {"account": CARL, "text": ""},
    "rule.add": {"account": CARL, "name": "new", "when": "at once", "actions": ["Redirect to ada"]},
    "rule.remove": {"account": CARL, "name": "new"},
    "device.add": {"account": CARL, "mac": "00:15:65:aa:aa:ab"},
}


async def test_nobody_changes_who_has_more_rights() -> None:
    async with world() as there:
        for name, given in AT_CARL.items():
            answer = await attempt(there, there.acts.table[name], given, there.actor())
            assert answer == f"{CARL} has rights that ada@{OURS} has not", name
        users = Actor("u", frozenset({Right.USERS}), there.directory.find_account("tandem.test", "alice"))
        for name, more in (("account.password", {"password": "x"}), ("account.rights", {"rights": []})):
            with pytest.raises(Failure, match="has rights that u has not"):
                await there.acts.perform(name, {"name": "postmaster", **more}, users)
        with pytest.raises(Failure, match="has not all of these rights"):
            await there.acts.perform("account.rights", {"name": "bob", "rights": ["Settings"]}, users)
        await there.acts.perform("account.rights", {"name": f"alma@{OURS}", "rights": ["useraccounts"]}, users)
        alma = there.actor(f"alma@{OURS}")
        assert alma.rights == {Right.DOMAIN, Right.USER_ACCOUNTS}


async def test_limits_and_gateways_want_the_right_for_them() -> None:
    async with world() as there:
        ada = there.actor()
        for given in ({"domain": OURS}, {"account": "alma"}):
            with pytest.raises(Failure, match="needs the right Limits in a"):
                await there.acts.perform("setting.set", {**given, "key": "CallOutLimit", "value": "99"}, ada)
        with pytest.raises(Failure, match="for administrators of the server"):
            await there.acts.perform("group.add", {"name": "externalgateways", "members": ["alma"]}, ada)
        row = {"name": "arno", "password": "x", "numbers": "+49301234567"}
        assert await there.acts.perform("account.import", {"rows": [row]}, ada) == [
            {"made": False, "fault": f"that is for administrators of the server; yours is {OURS}"}
        ]
        await there.directory.rights.set(_account(there, "ada"), DOMAIN_RIGHTS)
        await there.acts.perform("setting.set", {"domain": OURS, "key": "CallOutLimit", "value": "9"}, there.actor())


async def test_an_administrator_of_a_domain_becomes_no_gateway() -> None:
    """Members of that group call in under any name, those of other domains too."""
    async with world() as there:
        gate = await there.directory.create_account(OURS, "gate1", "x")
        await there.directory.create_group(OURS, "ExternalGateways", ["gate1", f"gate2@{OURS}"])
        await there.directory.rights.set(_account(there, "ada"), DOMAIN_RIGHTS)
        at_gate: dict[str, dict[str, Json]] = json.loads(json.dumps(AT_CARL).replace(CARL, gate.address))
        for name, given in (
            *at_gate.items(),
            ("account.add", {"name": "gate2", "password": "x"}),
            ("account.add", {"name": "arno", "password": "x", "extension": "Gate2"}),
            ("account.alias", {"name": "alma", "alias": "gate2"}),
        ):
            with pytest.raises(Failure, match="for administrators of the server"):
                await there.acts.perform(name, given, there.actor())
        rows = [{"name": "gate2", "password": "x"}, {"name": "arno", "password": "x", "aliases": "gate2"}]
        told = await there.acts.perform("account.import", {"rows": rows}, there.actor())
        assert told == [
            {"made": made, "fault": f"that is for administrators of the server; yours is {OURS}"}
            for made in (False, True)
        ]
        await there.acts.perform("account.password", at_gate["account.password"], there.actor(gate.address))
        await there.acts.perform("account.alias", {"name": f"gate1@{OURS}", "alias": "gate2"}, LOCAL)


def _account(there: World, name: str) -> Account:
    found = there.directory.find_account(OURS, name)
    assert found is not None
    return found


async def test_everybody_may_see_himself_and_set_his_password() -> None:
    async with world() as there:
        alma = there.actor(f"alma@{OURS}")
        assert await there.acts.perform("account.show", {"name": "202"}, alma)
        await there.acts.perform("account.password", {"name": "alma", "password": "new"}, alma)
        assert there.directory.check_password(_account(there, "alma").id, "new")
        with pytest.raises(Failure, match="for himself only"):
            await there.acts.perform("account.password", {"name": "ada", "password": "x"}, alma)
        with pytest.raises(Failure, match=f"may look at {OURS} only"):
            await there.acts.perform("account.show", {"name": f"benno@{THEIRS}"}, alma)


async def test_rights_on_the_server_are_for_the_main_domain() -> None:
    async with world() as there:
        for right in SERVER_RIGHTS:
            with pytest.raises(Failure, match="accounts of the main domain"):
                await there.directory.rights.set(_account(there, "alma"), frozenset({right}))
        assert Entrance(there.directory).local(Who("postmaster")).rights == {Right.MASTER}


async def test_a_password_opens_the_door() -> None:
    async with world() as there:
        entrance = Entrance(there.directory)
        assert entrance.local(Who(f"ada@also-{OURS}", "asecret")).name == f"ada@{OURS}"
        for name, password in ((f"ada@{OURS}", "wrong"), ("nobody", "asecret"), ("ada", "asecret")):
            with pytest.raises(Failure, match="do not belong together"):
                entrance.local(Who(name, password))
        with pytest.raises(Failure, match="no account nobody"):
            entrance.local(Who("nobody"))
