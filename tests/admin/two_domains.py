"""Two domains that are alike on one server, and an administrator of one of them: for the tests of who may do what."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from admin.acts import Act, Acts
from admin.configuration.present import present
from admin.configuration.state import State
from admin.desk import Desk
from admin.entrance import Entrance
from admin.ports import Json
from admin.rights import Actor
from admin.table import all_acts
from admin.wire import Who
from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.failures import Failure
from base.metrics import Metrics
from directory.directory import Directory
from directory.model import DOMAIN_RIGHTS, Account, Right
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


class Unregistered:
    """No telephone is there to be told anything."""

    async def tell(self, account: Account, event: str, mac: str, agents: Collection[str]) -> Sequence[int]:
        return []


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
            PhoneAdministration(phones, desk, house.directory, Unregistered(), SeededEntropy(6)),
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


async def attempt(world: World, act: Act, given: Mapping[str, Json], actor: Actor) -> str:
    try:
        return json.dumps(await world.acts.perform(act.name, given, actor), ensure_ascii=False)
    except Failure as failure:
        return failure.public
