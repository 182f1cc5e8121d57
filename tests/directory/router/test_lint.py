"""Lint of the Router: each remark, and the lines that deserve none."""

from __future__ import annotations

import pytest

from directory.model import Address
from directory.router.lint import Surroundings, lint
from directory.router.table import parse_table

MAIN = "example.com"
AROUND = Surroundings(
    MAIN,
    lambda host: host if host in (MAIN, "second.example") else None,
    names=[Address(name, MAIN) for name in ("alice", "201", "202", "pbx", "200", "900")],
    emergency=("112", "911"),
)


def remarks(table: str) -> list[str]:
    return [str(remark) for remark in lint(parse_table(table, MAIN), AROUND)]


@pytest.mark.parametrize(
    "table",
    [
        "N:S:<(10+d)@example.com> = *@192.168.1.2",
        "N:S:<011*@example.com> = 011*@192.168.1.2",
        "N:S:<+(10+d)@*> = +*@192.168.1.2",
        "N:S:<112@example.com> = 112@gw.example",
        "old.example = example.com",
        "<sales@example.com> = alice",
        "N:S:<1(10d)@example.com> = *@a.example\nN:S:<2(10d)@example.com> = *@b.example",
        "N:S:<555*@example.com> = *@a.example\nN:S:<(7d)@example.com> = *@b.example",
        "Mail:N:<3*@example.com> = *@a.example\nSignal:N:<3*@example.com> = *@b.example",
        "N:S:<(10+d)@example.com> = *@cheap, *@dear, alice",
        "N:S:<(10+d)@example.com> = *@list\nN:S:<(10+d)@list> = 00*@gw.example",
    ],
)
def test_lines_that_deserve_no_remark(table: str) -> None:
    assert remarks(table) == []


@pytest.mark.parametrize(
    ("table", "line", "word"),
    [
        ("S:<(10+d)@example.com> = *@192.168.1.2", 1, "NoRelay:"),
        ("S:<3*@example.com> = alice, *@192.168.1.2", 1, "NoRelay:"),
        ("N:S:<3*@example.com> = *@cheap, alice@example.com, *@dear", 1, "alice@example.com is here"),
        ("\n<3*@example.com> = *@gw.example", 2, "anybody may use it"),
        ("other.example = third.example", 1, "NoRelay:"),
        ("N:S:<9*@example.com> = *@192.168.1.2", 1, "emergency number 911"),
        ("N:S:<1*@example.com> = 1*@192.168.1.2", 1, "emergency number 112"),
        ("N:S:<2*@example.com> = *@192.168.1.2", 1, "201@example.com, 202@example.com"),
        ("N:S:<3*@exampel.com> = *@192.168.1.2", 1, "no domain of this server"),
        ("N:S:<3*@example.com> = *@a.example\nN:S:<35(5d)@example.com> = *@b.example", 2, "line 1 takes everything"),
        ("N:S:<3*@example.com> = 33*@example.com", 1, "again and again"),
        ("second.example = example.com\n<x@second.example> = alice", 2, "line 1 takes everything"),
    ],
)
def test_remarks(table: str, line: int, word: str) -> None:
    found = [remark for remark in remarks(table) if remark.startswith(f"line {line}:") and word in remark]
    assert found, remarks(table)
