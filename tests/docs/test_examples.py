"""The examples: programs compile without a finding and play through on the stage; the configuration file loads."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path

import pytest

from base.config import Config, load
from cgpl.command import check_file
from tests.apps.stage import DOMAIN, Stage, perform

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.sppr"))
STOCK = [folder for folder in (ROOT / "apps").iterdir() if any(folder.glob("*.sppi"))]


def install(stage: Stage, name: str) -> None:
    stage.program(f"{name}.sppr", (EXAMPLES / f"{name}.sppr").read_text("utf-8"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_checks_without_a_finding(program: Path) -> None:
    assert [str(finding) for finding in check_file(program, STOCK)] == []


def test_by_night_the_caller_leaves_a_message() -> None:
    async def play(stage: Stage) -> None:
        install(stage, "daynight")
        caller = stage.call("daynight", "bob")
        await caller.told("= redirected to #voicemail")

    perform(play)


def test_by_day_there_is_a_menu() -> None:
    async def play(stage: Stage) -> None:
        install(stage, "daynight")
        await asyncio.sleep(12 * 3600)  # Tuesday 22:13 becomes Wednesday 10:13 GMT
        caller = stage.call("daynight", "bob")
        await caller.hears("forsales")
        caller.press("7")
        await caller.hears("invalidentry")
        await caller.hears("forsales")
        caller.press("1")
        await caller.hears("connectingnow")
        callee = await stage.next_call()
        assert callee.started is not None
        assert callee.started[0] == f"sip:alice@{DOMAIN};services=no"
        callee.answered()
        await caller.told("= bridged with leg 1")
        caller.hang_up()

    perform(play)


def test_forwarding_is_turned_on_and_off() -> None:
    async def play(stage: Stage) -> None:
        install(stage, "forwarding")
        alice = stage.account("alice")
        for digits, prompt, target in (
            ("202#", "divertenabled", ["202"]),
            ("", "divertdisabled", []),
            ("299#", "extensionunknown", []),
        ):
            caller = stage.call("forwarding", "pbx", "alice")
            if digits:
                await caller.hears("enterextension")
                caller.press(digits)
            await caller.hears(prompt)
            await caller.ended()
            assert stage.directory.setting(alice.id, "DivertAlways") == target

    perform(play)


def test_a_stranger_forwards_nothing() -> None:
    async def play(stage: Stage) -> None:
        install(stage, "forwarding")
        caller = stage.call("forwarding", "pbx")
        await caller.told("= rejected 403")

    perform(play)


def test_the_quiz_counts_right_answers() -> None:
    async def play(stage: Stage) -> None:
        install(stage, "quiz")
        caller = stage.call("quiz", "bob", "alice")
        for turn in range(3):
            await caller.hears("blank")
            first, second = _asked(caller.heard)
            caller.press(f"{first + second + (turn == 1)}#")
            await caller.hears("invalidentry" if turn == 1 else "done")
        await caller.hears("youhave")
        await caller.hears("2")
        await caller.ended()

    perform(play)


def _asked(heard: list[str]) -> tuple[int, int]:
    said = [int(line[2:]) for line in heard if re.fullmatch(r"< \d+", line)]
    return said[-2], said[-1]


def test_the_caller_is_called_back() -> None:
    async def play(stage: Stage) -> None:
        install(stage, "callback")
        caller = stage.call("callback", "bob", "alice")
        await caller.told("= rejected 486")
        again = await stage.next_call()
        assert again.started is not None
        assert again.started[0] == f"sip:alice@{DOMAIN}"
        again.answered()
        await again.hears("connectingnow")
        operator = await stage.next_call()
        assert operator.started is not None
        assert operator.started[0] == f"sip:0@{DOMAIN}"
        operator.answered()
        await again.told("= bridged with leg 1")
        again.hang_up()

    perform(play)


def test_the_configuration_file_shows_every_key_at_its_default() -> None:
    path = EXAMPLES / "tandem.toml"
    assert load(path) == Config()
    shown = tomllib.loads(path.read_text("utf-8"))
    assert {section: set(keys) for section, keys in shown.items()} == {
        section: set(getattr(Config(), section).__slots__) for section in Config.__slots__
    }
