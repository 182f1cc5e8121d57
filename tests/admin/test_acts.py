"""The table of acts and the control socket, over a real directory."""

from __future__ import annotations

import asyncio
import base64
import stat
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

import pytest

from admin.acts import Acts
from admin.client import NotRunning, call
from admin.desk import Desk
from admin.entrance import Entrance
from admin.ports import CallRow, Json, RegistrationRow
from admin.rights import LOCAL, Actor, Right
from admin.socket import ControlSocket
from admin.table import all_acts
from base.clock import ManualClock
from base.failures import Failure
from base.metrics import Metrics
from directory.directory import Directory
from pbx.workarounds.server import WorkaroundStore
from tests.directory.fixtures import DOMAIN, demo_directory


class Info:
    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.level, self.size, self.digest = name, "server", len(data), "d"


class Prompts:
    """Sounds in memory."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str, str], bytes] = {}

    async def list(self, domain: str = "", language: str = "") -> list[Info]:
        return [Info(name, data) for (name, of, lang), data in self.files.items() if (of, lang) == (domain, language)]

    async def put(self, name: str, data: bytes, domain: str = "", language: str = "") -> Info:
        if not data.startswith(b"RIFF"):
            raise Failure("invalid", "that is no sound file")
        self.files[name, domain, language] = data
        return Info(name, data)

    async def get(self, name: str, domain: str = "", language: str = "") -> bytes:
        if (name, domain, language) not in self.files:
            raise Failure("not-found", f"there is no prompt {name}")
        return self.files[name, domain, language]

    async def remove(self, name: str, domain: str = "", language: str = "") -> None:
        await self.get(name, domain, language)
        del self.files[name, domain, language]


class House:
    """Monitor, mailboxes and server in one."""

    def __init__(self) -> None:
        self.removed: list[int] = []
        self.stopped = asyncio.Event()

    async def calls(self, limit: int, accounts: Collection[int] | None) -> list[CallRow]:
        live = CallRow("1", "connected", "2026-01-01T10:00:00", "alice", "202", "bob", codec="PCMU")
        ended = CallRow(
            "0", "ended", "2026-01-01T09:00:00", "bob", "200", program="pbx", outcome="answered", status=200
        )
        return [live, *[ended] * limit]

    async def log(self, account: int, limit: int) -> list[Mapping[str, Json]]:
        return [{"at": "2026-01-01T09:00:00", "kind": "missed", "party": "bob@x", "name": "", "seconds": 0, "note": ""}]

    def registrations(self, accounts: Collection[int] | None) -> list[RegistrationRow]:
        return [RegistrationRow("bob", "sip:bob@127.0.0.1:5062", "udp 127.0.0.1:5062", "phone/1", 300)]

    def status(self) -> Mapping[str, Json]:
        return {"version": "0", "calls": 1}

    async def remove_mail(self, account_id: int) -> None:
        self.removed.append(account_id)

    def shutdown(self) -> None:
        self.stopped.set()


class Stage:
    """All that a test needs."""

    def __init__(self, directory: Directory, workarounds: WorkaroundStore | None = None) -> None:
        self.directory, self.prompts, self.house = directory, Prompts(), House()
        self.acts: Acts = all_acts(
            Desk(directory, self.prompts, self.house, self.house, self.house, ManualClock(), workarounds=workarounds)
        )

    async def do(self, act: str, **arguments: Json) -> Json:
        return await self.acts.perform(act, {key.rstrip("_"): value for key, value in arguments.items()}, LOCAL)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with demo_directory() as directory:
        yield Stage(directory)


async def test_accounts(stage: Stage) -> None:
    made = await stage.do(
        "account.add", name="Carol", password="secret", extension="203", real_name="Carol C", pin="77"
    )
    assert made == {
        "id": 5,
        "name": "carol",
        "domain": DOMAIN,
        "real_name": "Carol C",
        "aliases": ["203"],
        "telnums": [],
        "rights": [],
        "pin": True,
        "locked": False,
    }
    await stage.do("account.alias", name="203", alias="cc")
    await stage.do("account.password", name="carol", password="other")
    assert stage.directory.check_password(5, "other")
    assert stage.directory.aliases(5) == ("203", "cc")
    await stage.do("account.alias", name="carol", alias="cc", remove=True)
    listed = await stage.do("account.list")
    assert isinstance(listed, list)
    assert [row["name"] for row in listed if isinstance(row, dict)] == ["alice", "bob", "carol", "pbx", "postmaster"]
    with pytest.raises(Failure, match="alias of carol"):
        await stage.do("account.remove", name="203")
    await stage.do("account.remove", name="carol")
    assert stage.house.removed == [5]
    with pytest.raises(Failure, match="no account carol"):
        await stage.do("account.password", name="carol", password="x")


async def test_a_refused_pin_leaves_no_account_behind(stage: Stage) -> None:
    with pytest.raises(Failure, match="PIN"):
        await stage.do("account.add", name="carol", password="x", pin="abcd")
    assert stage.directory.find_account(DOMAIN, "carol") is None


async def test_domains_and_route(stage: Stage) -> None:
    await stage.do("domain.add", name="other.test")
    await stage.do("domain.add", name="alias.test", alias_of="other.test")
    await stage.do("account.add", name="dora@alias.test", password="x")
    assert await stage.do("domain.list") == [
        {"name": DOMAIN, "main": True, "accounts": 4},
        {"name": "other.test", "main": False, "accounts": 1},
    ]
    with pytest.raises(Failure, match="still has accounts"):
        await stage.do("domain.remove", name="other.test")
    await stage.do("account.remove", name="dora@other.test")
    await stage.do("domain.remove", name="alias.test")
    assert stage.directory.local_domain("alias.test") is None
    assert stage.directory.domains() == (DOMAIN, "other.test")
    await stage.do("domain.remove", name="other.test")
    with pytest.raises(Failure, match="main domain stays"):
        await stage.do("domain.remove", name=DOMAIN)
    assert await stage.do("route", address="201", from_="alice") == {
        "kind": "program",
        "leads_to": f"service#alice@{DOMAIN}",
        "steps": [f"201 is an alias of alice@{DOMAIN}", "the caller's own number: the service application"],
        "rules": [],
    }


async def test_a_number_is_routed_in_the_domain_of_the_caller(stage: Stage) -> None:
    await stage.do("domain.add", name="other.test")
    await stage.do("account.add", name="dora@other.test", password="x", extension="201")
    await stage.do("account.add", name="emil@other.test", password="x")
    answer = await stage.do("route", address="201", from_="emil@other.test")
    assert isinstance(answer, dict)
    assert answer["leads_to"] == "dora@other.test"


async def test_settings(stage: Stage) -> None:
    await stage.do("setting.set", key="voicemailafter", value="45")
    await stage.do("setting.set", domain=DOMAIN, key="VoicemailAfter", value="40")
    row = await stage.do("setting.set", account="bob", key="VoicemailAfter", value="5")
    assert isinstance(row, dict)
    assert (row["value"], row["from"]) == (5, "account")
    assert await value(stage, "VoicemailAfter", "bob") == 5
    assert await value(stage, "VoicemailAfter", "alice") == 40
    await stage.do("setting.set", account="bob", key="VoicemailAfter", default=True)
    assert await value(stage, "VoicemailAfter", "bob") == 40
    await stage.do("setting.set", account="bob", key="PIN", value="1234")
    assert await value(stage, "PIN", "bob") == "(set)"
    assert stage.directory.check_pin(4, "1234")
    with pytest.raises(Failure, match="did you mean VoicemailAfter"):
        await stage.do("setting.set", key="VoicemailAftr", value="1")
    with pytest.raises(Failure, match="must be YES or NO"):
        await stage.do("setting.set", key="CallFeatures", value="perhaps")
    assert await value(stage, "EmergencyNumbers", "bob") == ["112", "911"]


async def value(stage: Stage, key: str, account: str) -> Json:
    rows = await stage.do("setting.get", account=account, key=key)
    assert isinstance(rows, list)
    assert isinstance(rows[0], dict)
    return rows[0]["value"]


async def test_prompts_and_monitor(stage: Stage) -> None:
    data = base64.b64encode(b"RIFF....").decode()
    await stage.do("prompts.put", name="welcome.wav", data=data)
    assert await stage.do("prompts.list") == [{"name": "welcome.wav", "level": "server", "size": 8, "digest": "d"}]
    assert await stage.do("prompts.get", name="welcome.wav") == {"name": "welcome.wav", "data": data}
    await stage.do("prompts.remove", name="welcome.wav")
    with pytest.raises(Failure, match="no sound file"):
        await stage.do("prompts.put", name="welcome.wav", data="")
    with pytest.raises(Failure, match="octets in base64"):
        await stage.do("prompts.put", name="welcome.wav", data="%%%")
    calls = await stage.do("calls", limit=2)
    assert isinstance(calls, list)
    assert len(calls) == 3
    assert isinstance(calls[0], dict)
    assert calls[0]["codec"] == "PCMU"
    assert await stage.do("status") == {"version": "0", "calls": 1}


async def test_rights_and_parameters(stage: Stage) -> None:
    watcher = Actor("watcher", frozenset({Right.MONITOR}))
    assert await stage.acts.perform("domain.list", {}, watcher)
    with pytest.raises(Failure, match="needs the right Users"):
        await stage.acts.perform("account.list", {}, watcher)
    with pytest.raises(Failure, match="there is no act nothing"):
        await stage.do("nothing")
    with pytest.raises(Failure, match="unknown parameter colour"):
        await stage.do("calls", colour="red")
    with pytest.raises(Failure, match="limit must be a number from 0"):
        await stage.do("calls", limit=-1)
    with pytest.raises(Failure, match="password must be text"):
        await stage.do("account.add", name="x", password=5)


async def test_no_secret_is_logged(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    await stage.do("account.add", name="carol", password="quite-secret-9", pin="48151623")
    await stage.do("setting.set", account="carol", key="PIN", value="62342484")
    text = "".join(capfd.readouterr())
    assert "quite-secret-9" not in text
    assert "48151623" not in text
    assert "62342484" not in text


async def test_the_socket(stage: Stage, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    path = deep / "control.sock"
    door = ControlSocket(path, stage.acts, Entrance(stage.directory), Metrics())
    await door.start()
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        listed = await asyncio.to_thread(call, path, "domain.list", {})
        assert listed == [{"name": DOMAIN, "main": True, "accounts": 4}]
        with pytest.raises(Failure, match="no account zed") as caught:
            await asyncio.to_thread(call, path, "account.remove", {"name": "zed"})
        assert caught.value.code == "not-found"
        assert await asyncio.to_thread(call, path, "shutdown", {}) is None
        assert stage.house.stopped.is_set()
    finally:
        await door.close()
    with pytest.raises(NotRunning):
        await asyncio.to_thread(call, path, "domain.list", {})


STRANGE = (
    b'{"act":"domain.list","arguments":{"\\ud800":1}}',  # no character of UTF-8
    b'{"act":"calls","arguments":{"limit":18446744073709551616}}',  # no number of SQLite
)


@pytest.mark.parametrize("line", [b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff\xfe", b"{}", b'{"act":1}', *STRANGE])
async def test_bad_lines_are_answered(stage: Stage, tmp_path: Path, line: bytes) -> None:
    door = ControlSocket(tmp_path / "s", stage.acts, Entrance(stage.directory), Metrics())
    await door.start()
    try:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(line + b"\n")
        async with asyncio.timeout(5):
            answer = await reader.readline()
        assert answer.startswith(b'{"error":{"code":"invalid"')
        writer.close()
        await writer.wait_closed()
    finally:
        await door.close()


async def test_of_two_rules_added_at_once_both_are_there(stage: Stage) -> None:
    names = [f"r{number}" for number in range(5)]
    await asyncio.gather(
        *(
            stage.do("rule.add", account="alice", name=name, when="at once", actions=["Redirect to bob"])
            for name in names
        )
    )
    shown = await stage.do("rule.show", account="alice")
    assert isinstance(shown, dict)
    assert shown["count"] == 5
    await asyncio.gather(*(stage.do("rule.remove", account="alice", name=name) for name in names))
    shown = await stage.do("rule.show", account="alice")
    assert isinstance(shown, dict)
    assert shown["count"] == 0
