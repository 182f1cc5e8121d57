"""How far the hand of an administrator of a domain goes: every act, with all of another domain in its arguments."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import cast

import pytest

from admin.acts import Act, Type
from admin.ports import Json
from admin.rights import LOCAL
from admin.table import ALL
from tests.admin.two_domains import OURS, THEIR_MAC, THEIRS, attempt, world

THEIR_WORDS = (
    *("beatrix", "benno", "bteam", "bdesk", "+4940222", "198.51.100.77", "bsecret", "bnotes", "b-call", "bbrule"),
    *("bhello", "gate.test"),
)
"""Each is in something of b.example or of the server, and in nothing else."""


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
