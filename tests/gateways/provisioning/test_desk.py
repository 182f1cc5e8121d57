"""Who gets which file: by MAC inside, by token from everywhere, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.failures import Failure
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from directory.directory import Directory
from directory.model import Account
from gateways.provisioning.administration import PhoneAdministration
from gateways.provisioning.desk import Ask, Ports, ProvisioningDesk
from gateways.provisioning.model import mac_of
from gateways.provisioning.phones import AGAIN, MOST_UNKNOWN, VALID, Phones
from tests.directory.fixtures import DOMAIN, demo_directory

MAC = "001565123456"
LAN, OUT = "192.168.1.20", "203.0.113.5"


Told = tuple[str, str, str]


@dataclass
class Registered:
    """A telephone of Alice's that does as it is told."""

    told: list[Told]

    async def tell(self, account: Account, event: str, mac: str, agents: Collection[str]) -> Sequence[int]:
        self.told.append((account.name, event, mac))
        return [200] if account.name == "alice" else []


@dataclass
class House:
    clock: ManualClock
    directory: Directory
    databases: InlineDatabases
    phones: Phones
    desk: ProvisioningDesk
    admin: PhoneAdministration
    told: list[Told]

    @property
    def alice(self) -> Account:
        found = self.directory.find_account(DOMAIN, "alice")
        assert found is not None
        return found

    async def get(self, path: str, source: str = LAN, *, secure: bool = False, agent: str = "") -> str | None:
        answer = await self.desk.answer(Ask(path, source, "192.168.1.2", secure, agent))
        return None if answer is None else answer.content.decode()

    async def add(self, mac: str = MAC, family: str = "", *, by_mac: bool = True) -> str:
        """The path of the URL that people are given."""
        link = await self.admin.add(self.alice, mac, family, "192.168.1.2", by_mac=by_mac)
        return link.url.partition(":9100/")[2]


@asynccontextmanager
async def opened() -> AsyncIterator[House]:
    databases, clock, entropy = InlineDatabases(), ManualClock(), SeededEntropy(5)
    async with demo_directory() as directory:
        phones = Phones(clock, entropy, await databases.main(), bytes(32))
        await phones.start()
        desk = ProvisioningDesk(
            phones, directory, lambda address: address.startswith("192.168."), Ports(), clock, Metrics()
        )
        try:
            told: list[Told] = []
            admin = PhoneAdministration(phones, desk, directory, Registered(told), entropy)
            yield House(clock, directory, databases, phones, desk, admin, told)
        finally:
            databases.discard()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened() as made:
        yield made


async def test_inside_a_telephone_asks_by_its_mac(house: House) -> None:
    await house.add()
    text = await house.get(f"{MAC}.cfg")
    assert text is not None
    assert "account.1.password = alice-secret" in text
    assert "transport_type = 0" in text
    assert await house.get("y000000000046.cfg") is not None


async def test_nothing_is_told_outside_or_in_clear(house: House) -> None:
    path = await house.add()
    for source, secure in ((OUT, False), (OUT, True)):
        assert await house.get(f"{MAC}.cfg", source, secure=secure) is None
        assert await house.get("y000000000046.cfg", source, secure=secure) is None
    assert await house.get(path, OUT) is None
    assert await house.get(f"{MAC}.cfg", agent="Yealink SIP-T46S 66.85 00:15:65:99:99:99") is None
    assert await house.get(f"{MAC}.cfg", agent=f"Yealink SIP-T46S 66.85 {MAC}") is not None


async def test_a_telephone_may_be_bound_to_its_token(house: House) -> None:
    path = await house.add(by_mac=False)
    assert await house.get(f"{MAC}.cfg") is None
    assert await house.get(path, OUT, secure=True) is not None


async def test_over_tls_a_telephone_is_told_to_use_tls_and_the_next_token(house: House) -> None:
    path = await house.add()
    text = await house.get(path, OUT, secure=True)
    assert text is not None
    assert "transport_type = 2" in text
    assert "srtp_encryption = 1" in text
    following = text.partition("auto_provision.server.url = ")[2].partition("\n")[0].partition(":9100/")[2]
    assert following != path
    assert await house.get(following, OUT, secure=True) == text.replace(following, await following_of(house))
    assert await house.get(path, OUT, secure=True) is None  # the first one is void by now
    assert await house.get(following, "198.51.100.7", secure=True) is not None  # telephones move


async def following_of(house: House) -> str:
    return f"t/{house.phones.following(MAC)}/{MAC}.cfg"


async def test_the_first_token_works_once(house: House) -> None:
    path = await house.add()
    assert await house.get(path, OUT, secure=True) is not None
    assert await house.get(path, "198.51.100.7", secure=True) is None
    assert await house.get(path, OUT, secure=True) is not None  # it restarts while it sets up
    house.clock.advance(AGAIN + 1)
    assert await house.get(path, OUT, secure=True) is None


async def test_the_first_token_runs_out(house: House) -> None:
    path = await house.add()
    house.clock.advance(VALID + 1)
    assert await house.get(path, OUT, secure=True) is None


async def test_tokens_survive_a_restart_and_end_with_another_making(house: House) -> None:
    path = await house.add()
    text = await house.get(path, OUT, secure=True)
    again = Phones(house.clock, SeededEntropy(9), await house.databases.main(), bytes(32))
    await again.start()
    assert again.following(MAC) in (text or "")
    other = await house.add()
    assert await house.get(path, OUT, secure=True) is None
    assert await house.get(other, OUT, secure=True) is not None


@pytest.mark.parametrize("path", ["t/x/y", f"t/{MAC}-aaaa/{MAC}.cfg", "t//", "", "../x", f"{MAC}.xml", "favicon.ico"])
async def test_what_nobody_is_given(house: House, path: str) -> None:
    await house.add()
    assert await house.get(path, OUT, secure=True) is None
    assert await house.get(path) is None


async def test_a_token_opens_the_files_of_its_own_telephone_only(house: House) -> None:
    path = await house.add()
    await house.add("001565aaaaaa")
    assert await house.get(path.replace(f"/{MAC}.cfg", "/001565aaaaaa.cfg"), LAN, secure=True) is None


async def test_who_has_asked_is_shown_and_may_be_taken_in(house: House) -> None:
    assert await house.get(f"{MAC}.cfg", agent="Yealink SIP-T46S 66.85.0.5") is None
    [row] = house.admin.rows()
    assert (row.mac, row.family, row.account, row.source) == ("00:15:65:12:34:56", "yealink", "", LAN)
    await house.add()
    [row] = house.admin.rows()
    assert row.account == f"alice@{DOMAIN}"
    for number in range(MOST_UNKNOWN + 20):
        await house.get(f"0015650{number:05x}.cfg")
    assert len(house.phones.unknown) == MOST_UNKNOWN


async def test_two_families_that_share_a_name_of_a_file(house: House) -> None:
    await house.add("0004f2123456")
    text = await house.get("0004f2123456.cfg")
    assert text is not None
    assert "CONFIG_FILES" in text
    assert "alice-secret" in (await house.get("tandem-0004f2123456.cfg") or "")


async def test_an_app_gets_a_link(house: House) -> None:
    link = await house.admin.add(house.alice, "", "linphone", "phones.example", by_mac=True)
    assert link.link == f"linphone-config:{link.url}"
    path = link.url.partition(":9100/")[2]
    text = await house.get(path, OUT, secure=True)
    assert text is not None
    assert "alice-secret" not in text
    assert house.directory.ha1(house.alice.id, "alice", DOMAIN, "MD5") in text
    assert await house.get("config.xml") is None


async def test_faults_say_what_to_do(house: House) -> None:
    for mac, family, told in (
        ("00:15", "", "12 digits"),
        ("ffffffffff00", "", "give --family"),
        ("", "yealink", "give the MAC address"),
        (MAC, "nokia", "there are"),
    ):
        with pytest.raises(Failure, match=told):
            await house.admin.add(house.alice, mac, family, "x", by_mac=True)
    assert mac_of("00-15-65-12-34-56") == mac_of("0015.6512.3456") == MAC


async def test_shown_without_secrets(house: House) -> None:
    await house.add()
    told = b"".join(content for _, content in house.admin.show(MAC, "x"))
    assert b"account.1.user_name = alice" in told
    assert b"alice-secret" not in told


async def test_telephones_are_told_to_fetch_their_files_again(house: House) -> None:
    await house.add()
    await house.add("", "linphone")
    assert [answer.said for answer in await house.admin.resync(["00-15-65-12-34-56"])] == ["will fetch its files"]
    assert house.told == [("alice", "check-sync;reboot=false", MAC)]
    assert {answer.said for answer in await house.admin.resync([row.mac for row in house.admin.rows()])} == {
        "will fetch its files",
        "takes no such news: restart it",
    }
    with pytest.raises(Failure, match="no telephone"):
        await house.admin.resync(["001565999999"])
