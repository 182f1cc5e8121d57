"""Codes that change how calls are treated, dialled from one's own telephone."""

from __future__ import annotations

import pytest

from base.values.kinds import Value
from pbx.records.log import Kind, LogEntry
from tests.apps.stage import DOMAIN, Stage, perform


def setting(stage: Stage, key: str) -> Value:
    bob = stage.directory.find_account(DOMAIN, "bob")
    assert bob is not None
    return stage.directory.setting(bob.id, key)


@pytest.mark.parametrize(
    ("code", "number", "said", "key", "value"),
    [
        ("72", "201", ["divertenabled", "2", "0", "1"], "DivertAlways", ["201"]),
        ("90", "201", ["divertenabled", "2", "0", "1"], "DivertOnBusy", ["201"]),
        ("52", "201", ["divertenabled", "2", "0", "1"], "DivertOnNoAnswer", ["201"]),
        ("21", "201", ["followmeon", "2", "0", "1"], "AlertTo", ["201"]),
        ("30", "5551", ["numberblocked", "5", "5", "5", "1"], "Blocked", ["5551"]),
        ("72", "299", ["extensionunknown"], "DivertAlways", []),
        ("72", "202", ["extensionunknown"], "DivertAlways", []),  # bob himself
        ("78", "", ["donotdisturbon"], "DoNotDisturb", "YES"),
        ("76", "", ["donotdisturbon"], "DoNotDisturb", "YES"),
        ("71", "", ["callwaitingoff"], "CallWaiting", "NO"),
        ("65", "", ["yourextension", "2", "0", "2"], "CallWaiting", "YES"),
        ("60", "", ["today", "at"], "CallWaiting", "YES"),
    ],
)
def test_a_code_does_what_it_says(code: str, number: str, said: list[str], key: str, value: Value) -> None:
    async def play(stage: Stage) -> None:
        bob = stage.call("service", "bob", "bob", parameters=[code, number] if number else [code])
        for prompt in said:
            await bob.hears(prompt)
        await bob.ended()
        assert setting(stage, key) == value

    perform(play)


@pytest.mark.parametrize(
    ("on", "off", "said", "key", "value"),
    [
        (["72", "201"], "73", "divertdisabled", "DivertAlways", []),
        (["90", "201"], "91", "divertdisabled", "DivertOnBusy", []),
        (["52", "201"], "53", "divertdisabled", "DivertOnNoAnswer", []),
        (["21", "201"], "21", "followmeoff", "AlertTo", []),
        (["78"], "79", "donotdisturboff", "DoNotDisturb", "NO"),
        (["78"], "76", "donotdisturboff", "DoNotDisturb", "NO"),
        (["71"], "70", "callwaitingon", "CallWaiting", "YES"),
    ],
)
def test_a_code_is_taken_back(on: list[str], off: str, said: str, key: str, value: Value) -> None:
    async def play(stage: Stage) -> None:
        await stage.call("service", "bob", "bob", parameters=on).ended()
        assert setting(stage, key) != value
        bob = stage.call("service", "bob", "bob", parameters=[off])
        await bob.hears(said)
        await bob.ended()
        assert setting(stage, key) == value

    perform(play)


def test_a_number_is_asked_for() -> None:
    async def play(stage: Stage) -> None:
        bob = stage.call("service", "bob", "bob", parameters=["72"])
        await bob.hears("enternumber")
        bob.press("201#")
        await bob.hears("divertenabled")
        await bob.ended()
        assert setting(stage, "DivertAlways") == ["201"]

    perform(play)


def test_one_number_of_several_is_let_through_again() -> None:
    async def play(stage: Stage) -> None:
        for parameters in (["30", "5551"], ["30", "5552"], ["30", "5551"], ["31", "5551"]):
            await stage.call("service", "bob", "bob", parameters=parameters).ended()
        assert setting(stage, "Blocked") == ["5552"]

    perform(play)


def test_a_telephone_changes_its_own_account_only() -> None:
    async def play(stage: Stage) -> None:
        alice = stage.call("service", "bob", "alice", parameters=["78"])
        await alice.hears("enterpin")
        alice.press("2022#")
        await alice.hears("notavailable")
        await alice.ended()
        assert setting(stage, "DoNotDisturb") == "NO"

    perform(play)


BOBS_PAST = (
    ("placed", "*69@tandem.test", 30.0),
    ("missed", "alice@tandem.test", 20.0),
    ("placed", "203@tandem.test", 15.0),
    ("answered", "+4930123@provider.test", 10.0),
)


def remember(stage: Stage, *calls: tuple[Kind, str, float]) -> None:
    """Newest first."""
    bob = stage.account("bob")
    stage.past = [LogEntry(bob.id, f"c{at}", at, kind, party) for kind, party, at in calls]


@pytest.mark.parametrize(("code", "uri"), [("69", "sip:alice@tandem.test"), ("870", "sip:203@tandem.test")])
def test_calling_again_leads_there_at_once(code: str, uri: str) -> None:
    async def play(stage: Stage) -> None:
        remember(stage, *BOBS_PAST)
        bob = stage.call("service", "bob", "bob", parameters=[code])
        await bob.ended()
        assert bob.heard == [f"= redirected to {uri}", "= over"]

    perform(play)


@pytest.mark.parametrize(
    ("code", "past", "said"),
    [
        ("69", [], "nocall"),
        ("870", [("missed", "alice@tandem.test", 1.0)], "nocall"),
        ("69", [("missed", "", 2.0), ("missed", "alice@tandem.test", 1.0)], "numberhidden"),
        ("32", [], "nocall"),
        ("32", [("answered", "", 1.0)], "numberhidden"),
    ],
)
def test_what_was_not_shown_is_not_called(code: str, past: list[tuple[Kind, str, float]], said: str) -> None:
    async def play(stage: Stage) -> None:
        remember(stage, *past)
        bob = stage.call("service", "bob", "bob", parameters=[code])
        await bob.hears(said)
        await bob.ended()
        assert setting(stage, "Blocked") == []

    perform(play)


@pytest.mark.parametrize(
    ("party", "blocked"), [("+4930123@provider.test", "+4930123"), ("alice@tandem.test", "alice@tandem.test")]
)
def test_the_last_caller_is_blocked(party: str, blocked: str) -> None:
    async def play(stage: Stage) -> None:
        remember(stage, ("placed", "203@tandem.test", 2.0), ("missed", party, 1.0))
        bob = stage.call("service", "bob", "bob", parameters=["32"])
        await bob.hears("numberblocked")
        await bob.ended()
        assert setting(stage, "Blocked") == [blocked]

    perform(play)


def test_a_stranger_calls_nobody_again() -> None:
    async def play(stage: Stage) -> None:
        remember(stage, *BOBS_PAST)
        eve = stage.call("service", "bob", parameters=["69"])
        await eve.hears("enterpin")
        assert "redirected" not in eve.transcript
        eve.hang_up()

    perform(play)
