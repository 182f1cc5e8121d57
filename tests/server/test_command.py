"""The `tandem` command against a real control socket, and without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from admin.entrance import Entrance
from admin.socket import ControlSocket
from base import log
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.sqlite import SqliteDatabases
from directory.directory import Directory
from directory.firststart import prepare
from directory.secrets import Keyring
from pbx.workarounds.server import WorkaroundStore
from server.command import app
from server.options import SOCKET_NAME, Claim, data_folder
from tests.admin.test_acts import Stage


class Terminal:
    """Types commands at a running server."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage, self.folder = stage, folder

    async def type(self, *words: str, status: int = 0) -> str:
        result: Result = await asyncio.to_thread(
            CliRunner().invoke, app, [*words], env={"TANDEM_DATA": str(self.folder), "COLUMNS": "200"}
        )
        assert result.exit_code == status, result.output
        return result.stdout if status == 0 else result.stderr


@pytest.fixture(autouse=True)
def _quiet_log() -> None:
    """The server of these tests runs in the same process: its log must not mix with what a command prints."""
    log.configure("error")


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    databases, entropy = SqliteDatabases(tmp_path, Metrics()), SeededEntropy(3)
    directory = await Directory.open(await databases.main(), Keyring(bytes(32), entropy))
    await prepare(directory, "tandem.test", entropy)
    workarounds = WorkaroundStore(await databases.main())
    await workarounds.start()
    stage = Stage(directory, workarounds)
    door = ControlSocket(tmp_path / SOCKET_NAME, stage.acts, Entrance(stage.directory), Metrics())
    await door.start()
    try:
        yield Terminal(stage, tmp_path)
    finally:
        await door.close()
        await databases.close()


async def test_accounts(terminal: Terminal) -> None:
    output = await terminal.type("account", "add", "carol", "--password", "pw-9", "--extension", "203")
    assert output == "account carol@tandem.test is there\n"
    carol = terminal.stage.directory.find_account("tandem.test", "203")
    assert carol is not None
    assert terminal.stage.directory.check_password(carol.id, "pw-9")
    listed = json.loads(await terminal.type("account", "list", "--json"))
    assert [row["name"] for row in listed] == ["alice", "bob", "carol", "pbx", "postmaster"]
    assert listed[2]["aliases"] == ["203"]
    assert ["carol", "tandem.test", "203", "no", "no"] in [
        line.split() for line in (await terminal.type("account", "list")).splitlines()
    ]
    await terminal.type("account", "password", "carol", "pw-10")
    assert terminal.stage.directory.check_password(carol.id, "pw-10")
    await terminal.type("account", "password", "carol", "--pin", "4711")
    assert terminal.stage.directory.check_pin(carol.id, "4711")
    assert await terminal.type("account", "alias", "carol", "213") == "carol@tandem.test: 203, 213\n"
    assert await terminal.type("account", "alias", "carol", "213", "--remove") == "carol@tandem.test: 203\n"
    assert await terminal.type("account", "alias", "carol", "add", "214") == "carol@tandem.test: 203, 214\n"
    assert json.loads(await terminal.type("account", "alias", "carol", "--json")) == ["203", "214"]
    assert await terminal.type("account", "alias", "carol", "remove", "214") == "carol@tandem.test: 203\n"
    assert "is taken" in await terminal.type("account", "alias", "carol", "201", status=1)
    await terminal.type("account", "remove", "carol")
    assert "no account carol" in await terminal.type("account", "remove", "carol", status=1)
    made = json.loads(await terminal.type("account", "add", "dan", "--json"))
    assert len(made["password"]) == 12


async def test_rights_and_in_whose_name(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await terminal.type("account", "rights", "alice") == "alice@tandem.test: no rights\n"
    shown = await terminal.type("account", "rights", "alice", "set", "useraccounts", "CanCreateAliases")
    assert shown == "alice@tandem.test: Domain, UserAccounts, CanCreateAliases\n"
    assert "did you mean UserAccounts?" in await terminal.type(
        "account", "rights", "alice", "set", "UserAcounts", status=1
    )
    await terminal.type("domain", "add", "second.test")
    assert "tandem.test  " in await terminal.type("--as", "201", "domain", "list")
    assert "second.test" not in await terminal.type("--as", "201", "domain", "list")
    refused = await terminal.type("--as", "alice", "router", "show", status=1)
    assert "router.show needs the right Monitor; alice@tandem.test has Domain" in refused
    await terminal.stage.directory.set_password(3, "pw")
    for password, status in (("pw", 0), ("no", 1)):
        monkeypatch.setenv("TANDEM_PASSWORD", password)
        told = await terminal.type("--login", "alice", "account", "alias", "bob", "add", "222", status=status)
        assert told.rstrip() in (
            "bob@tandem.test: 202, 222",
            "tandem: that name and password do not belong together",
        )
    assert (
        await terminal.type("account", "number", "bob", "--add", "+49 30 1234567") == "bob@tandem.test: +49301234567\n"
    )
    assert "no account zoe" in await terminal.type("--as", "zoe", "account", "list", status=1)
    assert "somebody else has +49301234567" in await terminal.type(
        "account", "number", "alice", "--add", "+49301234567", status=1
    )
    assert "begins with +" in await terminal.type("account", "number", "alice", "--add", "030123", status=1)
    assert (
        await terminal.type("account", "number", "bob", "--remove", "+49301234567") == "bob@tandem.test: no numbers\n"
    )
    assert await terminal.type("account", "rights", "alice", "none") == "alice@tandem.test: no rights\n"
    assert "no rights" in await terminal.type("account", "rights", "alice")


async def test_domains_and_settings(terminal: Terminal) -> None:
    await terminal.type("domain", "add", "second.test")
    await terminal.type("account", "add", "erin", "--password", "x", "--domain", "second.test")
    assert [row["name"] for row in json.loads(await terminal.type("domain", "list", "--json"))] == [
        "tandem.test",
        "second.test",
    ]
    assert "still has accounts" in await terminal.type("domain", "remove", "second.test", status=1)
    await terminal.type("account", "remove", "erin@second.test")
    await terminal.type("domain", "remove", "second.test")
    assert await terminal.type("setting", "set", "bob", "VoicemailAfter", "5") == "VoicemailAfter = 5\n"
    assert await terminal.type("setting", "set", "@", "VoicemailLimit", "60") == "VoicemailLimit = 60\n"
    assert await terminal.type("setting", "set", "@tandem.test", "Operator", "bob") == "Operator = bob\n"
    rows = json.loads(await terminal.type("setting", "get", "bob", "VoicemailAfter", "--json"))
    assert rows[0]["value"] == 5
    assert "--default" in await terminal.type("setting", "set", "bob", "VoicemailAfter", status=1)
    for owner, key, shown, source in (
        ("bob", "VoicemailAfter", "5", "account"),
        ("bob", "VoicemailLimit", "default(60)", "server"),
        ("bob", "Operator", "default(bob)", "domain"),
        ("@", "Operator", "default()", "default"),
        ("@", "VoicemailLimit", "60", "server"),
    ):
        row = (await terminal.type("setting", "get", owner, key)).splitlines()[-1].split()
        assert row[:3] == [key, shown, source]
    whole = await terminal.type("account", "show", "bob", "--settings")
    assert "default(60)" in whole
    assert json.loads(await terminal.type("account", "show", "bob", "--settings", "--json"))["settings"]
    output = await terminal.type("route", "*98", "--from", "alice")
    assert "service{98}#alice@tandem.test" in output


async def test_prompts(terminal: Terminal, tmp_path: Path) -> None:
    sound, heard = tmp_path / "in.wav", tmp_path / "out.wav"
    sound.write_bytes(b"RIFF" + bytes(2_000_000))
    assert "is installed" in await terminal.type("prompts", "put", "welcome.wav", str(sound))
    assert json.loads(await terminal.type("prompts", "list", "--json"))[0]["size"] == 2_000_004
    await terminal.type("prompts", "get", "welcome.wav", str(heard))
    assert heard.read_bytes() == sound.read_bytes()
    await terminal.type("prompts", "remove", "welcome.wav")
    sound.write_bytes(b"junk")
    assert "no sound file" in await terminal.type("prompts", "put", "welcome.wav", str(sound), status=1)
    assert "cannot read" in await terminal.type("prompts", "put", "welcome.wav", "/none.wav", status=1)


async def test_watching(terminal: Terminal) -> None:
    assert json.loads(await terminal.type("calls", "--json"))[0]["state"] == "connected"
    assert "phone/1" in await terminal.type("registrations")
    assert json.loads(await terminal.type("status", "--json")) == {"version": "0", "calls": 1}
    await terminal.type("stop")
    assert terminal.stage.house.stopped.is_set()


async def test_workarounds(terminal: Terminal) -> None:
    said = await terminal.type("workaround", "add", "Odd Phone*", "one-codec", "--note", "why not")
    assert said == "Odd Phone* gets one-codec\n"
    listed = json.loads(await terminal.type("workaround", "list", "--json"))
    assert listed[-1] == {"who": "Odd Phone*", "workaround": "one-codec", "from": "own", "note": "why not"}
    assert listed[0]["from"] == "stock"
    found = json.loads(await terminal.type("workaround", "try", "Odd Phone/2", "--address", "192.0.2.1", "--json"))
    assert [row["workaround"] for row in found] == ["one-codec"]
    assert "no row fits" in await terminal.type("workaround", "try", "Good Phone/2")
    assert "no numeric address" in await terminal.type("workaround", "try", "--address", "pbx", status=1)
    assert "give a User-Agent" in await terminal.type("workaround", "try", status=1)
    assert "there are sha-256" in await terminal.type("workaround", "add", "Odd*", "magic", status=1)
    assert "with * for any letters" in await terminal.type("workaround", "add", "*", "one-codec", status=1)
    assert "few-headers" in await terminal.type("workaround", "kinds")
    assert (
        await terminal.type("workaround", "remove", "odd phone*", "one-codec") == "odd phone* gets one-codec no more\n"
    )
    assert "has no one-codec" in await terminal.type("workaround", "remove", "Odd Phone*", "one-codec", status=1)
    await terminal.type("workaround", "remove", "Linphone*", "sha-256")
    assert {"who": "Linphone*", "from": "stock, off"}.items() <= json.loads(
        await terminal.type("workaround", "list", "--json")
    )[1].items()


async def test_data(terminal: Terminal, tmp_path: Path) -> None:
    tables = {row["table"]: row for row in json.loads(await terminal.type("data", "inspect", "--json"))}
    assert tables["name"]["rows"] == 8
    assert tables["name"]["check"] == "ok"
    assert "local" in tables["name"]["columns"]
    names = [json.loads(line)["local"] for line in (await terminal.type("data", "export", "main", "name")).splitlines()]
    assert names == ["pbx", "200", "conference", "postmaster", "alice", "201", "bob", "202"]
    secrets = await terminal.type("data", "export", "main", "secret", "--json")
    assert all(row["sealed"].endswith("octets)") for row in json.loads(secrets))
    await terminal.type("data", "export", "main", "domain", "--csv", "-o", str(tmp_path / "d.csv"))
    assert (tmp_path / "d.csv").read_text().splitlines() == ["id,name,main", "1,tandem.test,1"]
    assert "no table nothing" in await terminal.type("data", "export", "main", "nothing", status=1)
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "3.db").write_bytes(b"garbage" * 1000)
    assert "cannot read" in await terminal.type("data", "inspect", "mail/3", status=1)


def test_without_a_server(tmp_path: Path) -> None:
    for words in (["calls"], ["account", "list", "--json"], ["status"], ["stop"]):
        result = CliRunner().invoke(app, [*words, "--data", str(tmp_path)])
        assert result.exit_code == 3
        assert result.stdout == ""
        assert f"no server is running with the data folder {tmp_path}" in result.stderr
    result = CliRunner().invoke(app, ["data", "inspect", "--data", str(tmp_path)])
    assert result.exit_code == 1
    result = CliRunner().invoke(app, ["serve", "--config", str(tmp_path / "none.toml")])
    assert "cannot be read" in result.stderr


def test_one_server_per_folder(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "data")
    with pytest.raises(Exception, match="another server"):
        Claim(tmp_path / "data")
    claim.release()
    Claim(tmp_path / "data").release()


def test_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_DATA", "/a")
    assert data_folder(Path("/b")) == Path("/b")
    assert data_folder(None) == Path("/a")
    monkeypatch.delenv("TANDEM_DATA")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert data_folder(None) == Path("/var/lib/tandem")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/home/x/share")
    assert data_folder(None) == Path("/home/x/share/tandem")


async def test_the_router(terminal: Terminal, tmp_path: Path) -> None:
    assert await terminal.type("router", "show") == ""
    file = tmp_path / "router.txt"
    file.write_text("; our gateway\nN:S:<9*@tandem.test> = *@192.168.1.2\n<3*@tandem.test> = *@gw.example\n")
    checked = await terminal.type("router", "check", str(file))
    assert "2 records would be taken" in checked
    assert "line 3: anybody may use it" in checked
    assert await terminal.type("router", "show") == ""
    assert "2 records in use" in await terminal.type("router", "set", str(file))
    assert await terminal.type("router", "show") == file.read_text()
    assert "2  N:S:<9*@tandem.test>" in await terminal.type("router", "show", "--numbers")
    led = await terminal.type("route", "95551", "--from", "alice")
    assert "Router line 2" in led
    assert "5551@192.168.1.2" in led
    assert json.loads(await terminal.type("route", "95551", "--for", "mail", "--json"))["kind"] == "unknown"
    assert "signal, mail or access" in await terminal.type("route", "9", "--for", "fax", status=1)

    file.write_text("N:S:<9*@tandem.test> = *@192.168.1.2\nN:S<1*> = x\n")
    told = await terminal.type("router", "set", str(file), status=1)
    assert "line 2, column 3: S<1*> is no address: a ':' is missing after S\n" in told
    assert "    N:S<1*> = x\n      ^" in told
    assert "; our gateway" in await terminal.type("router", "show")
    assert "cannot be read" in await terminal.type("router", "set", str(tmp_path / "none"), status=1)


async def test_the_router_in_an_editor(terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "editor.sh"
    editor.write_text("#!/bin/sh\necho 'N:S:<8*> = *@192.168.1.2' >> \"$1\"\n")
    editor.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(editor))
    assert "1 record in use" in await terminal.type("router", "edit")
    assert "N:S:<8*> = *@192.168.1.2" in await terminal.type("router", "show")


async def test_rules_of_calls(terminal: Terminal, tmp_path: Path) -> None:
    assert await terminal.type("rule", "show", "alice") == "()\n"
    added = await terminal.type(
        "rule", "add", "alice", "Evening", "--if", "Time Of Day in 18:00-07:30", "--if", "From is not bob@*",
        "--do", "Redirect to #voicemail", "--priority", "7",
    )  # fmt: skip
    assert '100007, Evening, (("Time Of Day", in, "18:00-07:30")' in added.replace("#100007", "100007")
    await terminal.type("rule", "add", "@", "Slow", "--when", "after 12", "--do", "Fork to bob")
    await terminal.type("setting", "set", "alice", "TimeZone", "Europe/Berlin")
    evening = await terminal.type("route", "201", "--at", "2026-11-23 22:30+01:00")
    assert "at once: send the call to #voicemail" in evening
    noon = await terminal.type("route", "201", "--at", "2026-11-23 12:00+01:00")
    assert "at once" not in noon
    assert "after 12 s: ring bob as well" in noon
    assert "after 30 s: send the call to #voicemail" in noon
    assert (
        "#voicemail"
        in json.loads(await terminal.type("route", "201", "--at", "2026-11-23 22:30+01:00", "--json"))["rules"][0]
    )
    assert "write 2026-12-24 18:00" in await terminal.type("route", "201", "--at", "soon", status=1)

    file = tmp_path / "rules.txt"
    file.write_text(await terminal.type("rule", "show", "alice"))
    assert await terminal.type("rule", "set", "alice", str(file)) == file.read_text()
    file.write_text('((100005, "Bad", (("Weather", is, fine)), (("Reject with", 603))))')
    assert "rule 1, Bad: condition 1: there is no condition" in await terminal.type(
        "rule", "set", "alice", str(file), status=1
    )
    file.write_text("((100005,")
    assert "line 1, column" in await terminal.type("rule", "set", "alice", str(file), status=1)
    assert "Evening" in await terminal.type("rule", "show", "alice")
    assert await terminal.type("rule", "remove", "alice", "Evening") == "()\n"
    assert "no rule Evening" in await terminal.type("rule", "remove", "alice", "Evening", status=1)
    assert "is no moment" in await terminal.type(
        "rule", "add", "@", "x", "--when", "soon", "--do", "Fork to bob", status=1
    )
    assert "is no action" in await terminal.type("rule", "add", "@", "x", "--do", "Sing", status=1)


async def test_the_network(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "clients.txt"
    file.write_text("192.0.2.0/24 ; office\n198.51.100.7\n")
    assert "192.0.2.0/24 ; office" in await terminal.type("network", "set", "ClientIPs", "--file", str(file))
    assert await terminal.type("network", "show", "ClientIPs") == file.read_text()
    refused = await terminal.type("network", "set", "ClientIPs", "10.0.0.1", "10.0.0.300", status=1)
    assert "ClientIPs line 2 column 1: '10.0.0.300'" in refused
    assert await terminal.type("network", "set", "relaytononclients", "nobody") == "RelayToNonClients = nobody\n"
    assert await terminal.type("network", "set", "RelayToNonClients", "--default") == "RelayToNonClients = clients\n"
    assert "give values, or" in await terminal.type("network", "set", "ClientIPs", status=1)
    assert "did you mean ClientIPs?" in await terminal.type("network", "show", "ClientIP", status=1)
    shown = json.loads(await terminal.type("network", "show", "--json"))
    assert {"ClientIPs", "LANIPs", "TrustedPeers", "RelayToNonClients"} <= {row["key"] for row in shown}


async def test_groups_and_forwarders(terminal: Terminal) -> None:
    assert await terminal.type("group", "add", "ExternalGateways") == "externalgateways@tandem.test: no members\n"
    told = await terminal.type("group", "members", "externalgateways", "--add", "bob", "--add", "201")
    assert told == "externalgateways@tandem.test: bob, 201\n"
    assert "bob, 201" in await terminal.type("group", "list")
    assert json.loads(await terminal.type("group", "members", "ExternalGateways", "--json")) == ["bob", "201"]
    assert "is removed" in await terminal.type("group", "remove", "ExternalGateways")
    assert "no group" in await terminal.type("group", "members", "ExternalGateways", status=1)
    assert "leads to 201" in await terminal.type("forwarder", "add", "frontdesk", "201")
    assert "frontdesk" in await terminal.type("forwarder", "list")
    assert "is removed" in await terminal.type("forwarder", "remove", "frontdesk")


async def test_importing_accounts(terminal: Terminal, tmp_path: Path) -> None:
    file, made = tmp_path / "people.csv", tmp_path / "made.csv"
    file.write_text(
        "Name,extension,real_name,aliases,pin,password\n"
        'carol,203,"Carol, the third",c.carol 213,77,pw-1\n\ndave,204,Dave,,,\n'
    )
    assert "2 accounts would be made" in await terminal.type("account", "import", str(file), "--check")
    assert "--passwords" in await terminal.type("account", "import", str(file), status=1)
    assert await terminal.type("account", "import", str(file), "--passwords", str(made)) == "2 accounts were made\n"
    directory = terminal.stage.directory
    carol = directory.find_account("tandem.test", "213")
    assert carol is not None
    assert (carol.real_name, directory.aliases(carol.id)) == ("Carol, the third", ("203", "c.carol", "213"))
    assert directory.check_pin(carol.id, "77")
    dave = directory.find_account("tandem.test", "204")
    name, _, password = made.read_text().strip().partition(",")
    assert dave is not None
    assert name == "dave"
    assert directory.check_password(dave.id, password)
    assert made.stat().st_mode & 0o077 == 0

    again = await terminal.type("account", "import", str(file), "--passwords", str(made), status=1)
    assert "line 2: carol is taken" in again
    assert "line 4: dave is taken" in again
    assert "0 of 2 accounts were made" in again
    file.write_text("name,aliases,numbers\nemil,203,\nfred,,+49301234567\ngus,,+49301234567\n")
    partly = await terminal.type("account", "import", str(file), "--passwords", str(made), status=1)
    assert partly.strip().splitlines() == [
        "tandem: line 2: 203 is taken in tandem.test",
        "line 4: somebody else has +49301234567",
        "1 of 3 accounts were made without fault",
    ]
    assert [line.partition(",")[0] for line in made.read_text().split()] == ["dave", "emil", "fred", "gus"]


async def test_a_faulty_file_makes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("name,extension\nerin,205\nfrank,205\nno good,206\ngina,207,x\n")
    told = await terminal.type("account", "import", str(file), status=1)
    assert "line 3: 205 is in line 2 already" in told
    assert "line 4: name 'no good'" in told
    assert "line 5: 3 cells for 2 columns" in told
    assert "nothing was made" in told
    assert terminal.stage.directory.find_account("tandem.test", "erin") is None
    file.write_text("login,extension\n")
    assert "unknown columns login" in await terminal.type("account", "import", str(file), status=1)
    file.write_text("")
    assert "no column `name`" in await terminal.type("account", "import", str(file), status=1)
