"""Who may perform which act: the rights of the server and of a domain, over the whole table of acts."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import pytest

from admin.acts import Act, Acts, Type
from admin.configuration.present import present
from admin.configuration.state import State
from admin.desk import Desk
from admin.entrance import Entrance
from admin.ports import Json
from admin.rights import LOCAL, Actor
from admin.table import ALL, all_acts
from admin.wire import Who
from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.failures import Failure
from base.metrics import Metrics
from directory.directory import Directory
from directory.model import DOMAIN_RIGHTS, SERVER_RIGHTS, Account, Right
from gateways.provisioning.administration import PhoneAdministration
from gateways.provisioning.desk import Ports, ProvisioningDesk
from gateways.provisioning.phones import Phones
from pbx.b2bua.switchboard import LiveCall
from pbx.records.book import CallBook
from pbx.records.log import LogEntry
from pbx.records.record import CallRecord
from pbx.registrar.bindings import Binding, Bindings
from pbx.sipcore.flow import Flow
from server.monitor import HouseMonitor
from tests.admin.configuration.house import Server, server
from tests.admin.test_acts import House, Prompts

OURS, THEIRS, THEIR_MAC, OUR_MAC = "a.example", "b.example", "00:15:65:bb:bb:bb", "00:15:65:aa:aa:aa"
THEIR_WORDS = (
    *("beatrix", "benno", "bteam", "bdesk", "+4940222", "198.51.100.77", "bsecret", "bnotes", "b-call", "bbrule"),
    *("bhello", "gate.test"),
)
"""Each is in something of b.example or of the server, and in nothing else."""


@dataclass
class World:
    """Two domains that are alike, and an administrator of one of them."""

    house: Server
    acts: Acts
    prompts: Prompts
    phones: PhoneAdministration
    monitor: HouseMonitor

    @property
    def directory(self) -> Directory:
        return self.house.directory

    def actor(self, name: str = f"ada@{OURS}") -> Actor:
        return Entrance(self.directory).local(Who(name))

    async def theirs(self) -> object:
        """All that belongs to others than a.example."""
        state = present(self.house.rooms, secrets=True)
        settings = {name: domain for name, domain in state.domains.items() if name != OURS}
        secrets = [
            {address: secret for address, secret in of.items() if not address.endswith(f"@{OURS}")}
            for of in (state.secrets.passwords, state.secrets.pins)
        ]
        files = {place: data for place, data in self.prompts.files.items() if place[1] != OURS}
        phones = [row for row in self.phones.rows() if not row.account.endswith(f"@{OURS}")]
        rest = State(state.main_domain, state.settings, state.network, state.rules, state.router)
        return settings, secrets, files, phones, rest, state.trunks, state.workarounds


async def furnish(world: World, domain: str, first: str, second: str, mark: str) -> Account:
    """The same in both domains, under other names."""
    directory = world.directory
    await directory.domain_book.create(domain)
    await directory.domain_book.add_alias(domain, f"also-{domain}")
    await directory.create_account(domain, first, f"{mark}secret", extension="201")
    other = await directory.create_account(domain, second, f"{mark}secret", extension="202")
    await directory.telnums.set(other, ["+4940222" if mark == "b" else "+4940111"])
    await directory.set_setting(other.id, "DivertTo", [f"{mark}notes"])
    await directory.set_pin(other.id, "4711")
    await directory.set_rules([[100005, f"{mark}{mark}rule", [], [["Redirect to", first]]]], account_id=other.id)
    await directory.create_group(domain, f"{mark}team", [first, second])
    await directory.create_forwarder(domain, f"{mark}desk", second)
    await directory.set_domain_setting(domain, "VoicemailAfter", 21)
    world.prompts.files[f"{mark}hello.wav", domain, ""] = b"RIFF" + mark.encode()
    return other


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """ada administers a.example with every right that there is for a domain; carl, in it, has the limits only."""
    async with server() as house:
        clock, bindings = ManualClock(1_800_000_000.0), Bindings(ManualClock(1_800_000_000.0))
        phones = Phones(clock, SeededEntropy(5), house.database, bytes(32))
        await phones.start()
        desk = ProvisioningDesk(phones, house.directory, lambda address: True, Ports(), clock, Metrics())
        admin, book, prompts = (
            PhoneAdministration(phones, desk, SeededEntropy(6)),
            CallBook(house.database, clock, Metrics()),
            Prompts(),
        )
        await book.start()
        calls: list[LiveCall] = []
        monitor = HouseMonitor("1", clock, Metrics(), house.directory, bindings, _Live(calls), book)
        table = all_acts(
            Desk(
                *(house.directory, prompts, monitor, house.mail, House(), clock),
                workarounds=house.rooms.workarounds, trunks=house.rooms.trunks, phones=admin,
                configuration=house.configuration,
            )
        )  # fmt: skip
        made = World(house, table, prompts, admin, monitor)
        for domain, names, mark, mac, source in (
            (OURS, ("ada", "alma"), "a", OUR_MAC, "192.0.2.1"),
            (THEIRS, ("beatrix", "benno"), "b", THEIR_MAC, "198.51.100.77"),
        ):
            other = await furnish(made, domain, *names, mark)
            await admin.add(other, mac, "", "host", by_mac=True)
            bindings.put(_binding(other, source, clock.wall()))
            book.write(_record(f"{mark}-call", other, clock.wall()), [_missed(f"{mark}-call", other)])
            calls.append(LiveCall(f"{mark}-call-2", other.address, "7", "", "", 1.0, None, frozenset((other.id, None))))
        await house.directory.create_account(OURS, "carl", "x")
        for name, rights in (("ada", DOMAIN_RIGHTS - {Right.LIMITS}), ("carl", frozenset({Right.LIMITS}))):
            account = house.directory.find_account(OURS, name)
            assert account is not None
            await house.directory.rights.set(account, rights)
        await house.directory.set_router("NoRelay:S:<9*@*> = *@gate.test\n")
        try:
            yield made
        finally:
            await book.close()


@dataclass
class _Live:
    calls: list[LiveCall]

    def live(self) -> list[LiveCall]:
        return self.calls


def _binding(account: Account, source: str, now: float) -> Binding:
    flow = Flow("udp", ("192.0.2.99", 5060), (source, 5060))
    return Binding(account.id, "k", f"sip:{account.name}@{source}", "", flow, now + 600, "c", 1)


def _record(name: str, account: Account, now: float) -> CallRecord:
    return CallRecord(
        *(name, "id", now - 60, now - 50, now - 40, f"sip:{account.address}", account.id, "201"),
        *("", None, "", "answered", 200, "caller", ""),
    )


def _missed(name: str, account: Account) -> LogEntry:
    return LogEntry(account.id, name, 1.0, "missed", f"{account.name}s-friend@far.test")


def tries(act: Act) -> Iterator[dict[str, Json]]:
    """Arguments that reach for the other domain in every way that a parameter of the act has, and for one's own."""
    pools = [[(each.name, value) for value in _pool(act, each.name, each.type)] for each in act.parameters]
    for chosen in itertools.product(*pools):
        yield {name: value for name, value in chosen if value is not None}


def _pool(act: Act, name: str, type_: Type) -> list[Json]:
    people: list[Json] = [f"benno@{THEIRS}", "202", f"201@also-{THEIRS}"]
    groups: list[Json] = [f"bteam@{THEIRS}", f"bdesk@also-{THEIRS}"]
    # What he writes himself must not be taken for what he is shown.
    names: list[Json] = ["new", THEIRS] if act.name.endswith(".add") else ["beatrix", "bteam", THEIRS]
    known: dict[str, list[Json]] = {
        "domain": [None, THEIRS, f"also-{THEIRS}", OURS],
        "account": [None, *people],
        "name": [*people, *groups, *names],
        "from": [None, *people],
        "address": [f"202@{THEIRS}", f"bteam@{THEIRS}", "bdesk", "202"],
        "mac": [THEIR_MAC],
        "key": ["VoicemailAfter", "PIN"] if "setting" in act.name else ["ClientIPs"],
        "value": ["5"], "text": [""], "alias_of": [None, THEIRS], "target": ["nobody"],
        "alias": ["202", "new"], "password": ["taken"], "when": ["at once"], "data": ["UklGRng="],
    }  # fmt: skip
    if act.name.startswith("prompts"):
        known["name"] = ["bhello.wav"]
    elif act.name.startswith("rule"):
        known["name"] = ["bbrule" if act.name == "rule.remove" else "new"]
    return known[name] if name in known else _of_type(type_, name)


def _of_type(type_: Type, name: str) -> list[Json]:
    match type_:
        case Type.FLAG:
            return [None, True]
        case Type.LIST:
            return [{"actions": ["Redirect to ada"], "add": ["+49301234567"]}.get(name, [])]
        case Type.TEXTS:
            return [cast(Json, {})]
        case Type.ROWS:
            return [[{"name": f"new@{THEIRS}", "password": "x", "numbers": "+4940333333"}, {"name": "beatrix"}]]
        case _:
            return [None]


async def attempt(world: World, act: Act, given: Mapping[str, Json], actor: Actor) -> str:
    try:
        return json.dumps(await world.acts.perform(act.name, given, actor), ensure_ascii=False)
    except Failure as failure:
        return failure.public


HARMLESS = [act for act in ALL if act.name not in ("shutdown", "trunk.test")]


async def test_an_administrator_of_a_domain_neither_sees_nor_changes_another_one() -> None:
    async with world() as there:
        before = await there.theirs()
        done = 0
        for act in HARMLESS:
            for given in tries(act):
                answer = await attempt(there, act, given, there.actor())
                asked = json.dumps(given)
                told = [word for word in THEIR_WORDS if word in answer and word not in asked]
                assert not told, (act.name, given, answer)
                done += 1
            assert await there.theirs() == before, act.name
        assert done > 500


SHOWS = ("account.list", "group.list", "calls", "records", "registrations", "account.calls", "device.list", "route")
CHANGES = (
    *("account.password", "account.alias", "account.telnums", "account.import", "account.remove", "setting.set"),
    *("rule.set", "group.remove", "device.remove", "prompts.put"),
)


@pytest.mark.parametrize("name", [*SHOWS, *CHANGES])
async def test_the_same_tries_show_and_change_it_to_an_administrator_of_the_server(name: str) -> None:
    """So the tries above reach for something."""
    async with world() as there:
        before, act, told = await there.theirs(), there.acts.table[name], set[str]()
        for given in tries(act):
            answer, asked = await attempt(there, act, given, LOCAL), json.dumps(given)
            told |= {word for word in THEIR_WORDS if word in answer and word not in asked}
        assert told or name in CHANGES
        assert await there.theirs() != before or name in SHOWS


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
