"""The table, the page and the plot of a bench run; the list of cases; how a case that fails is told."""

from __future__ import annotations

import importlib.util
import os
import xml.etree.ElementTree as ElementTree

import pytest

from bench.cases import CASES, Case, chosen
from bench.plot import bars, shown
from bench.process import cpu, resident
from bench.report import markdown, plain, plot
from bench.runner import Result, measure

CASE = Case("calls", "whole_calls", "calls <all>")
RESULTS = [
    Result(CASE, [("whole server: a call & its end", 1234.5, "CPU µs"), ("whole server: kept", 3.2, "KiB")], 1.0),
    Result(Case("audio", "whole_audio", "audio"), [], 2.0, "not done within 2 s"),
]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.1234, "0.123"), (3.14159, "3.14"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_figures_are_shown_with_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


def test_the_page_names_figures_and_troubles() -> None:
    page = markdown(RESULTS, "2026-01-02", "2026-01-02.svg", quick=False)
    assert "| a call & its end | 1,234 | CPU µs |" in page
    assert "Not measured: not done within 2 s" in page
    assert "![CPU per unit of work](2026-01-02.svg)" in page


def test_the_plot_is_xml_with_a_bar_for_each_cpu_figure() -> None:
    root = ElementTree.fromstring(plot(RESULTS, "2026-01-02"))
    assert len([each for each in root.iter() if each.get("class") == "bar"]) == 1
    assert "a call & its end" in [each.text for each in root.iter()]


def test_a_plot_of_nothing_is_still_xml() -> None:
    ElementTree.fromstring(bars("nothing", "µs", [("zero", 0.0)]))


def test_json_tells_the_same() -> None:
    first, second = plain(RESULTS)
    assert first["figures"] == [
        {"name": "whole server: a call & its end", "value": 1234.5, "unit": "CPU µs"},
        {"name": "whole server: kept", "value": 3.2, "unit": "KiB"},
    ]
    assert second["trouble"] == "not done within 2 s"


def test_every_case_has_its_module() -> None:
    assert all(importlib.util.find_spec(f"bench.{case.module}") is not None for case in CASES)
    assert len({case.name for case in CASES}) == len(CASES)


def test_cases_are_chosen_by_name() -> None:
    assert [case.name for case in chosen(["media", "sip"])] == ["sip", "media"]
    assert chosen([]) == list(CASES)
    with pytest.raises(ValueError, match="nonsense"):
        chosen(["sip", "nonsense"])


def test_a_case_that_fails_is_told_and_does_not_end_the_run() -> None:
    result = measure(Case("broken", "no_such_module", "", 20), quick=True)
    assert result.figures == []
    assert "no_such_module" in result.trouble


def test_a_case_that_hangs_is_ended() -> None:
    result = measure(Case("slow", "whole_audio", "", 1), quick=True)
    assert result.trouble == "not done within 1 s"


def test_a_process_has_used_something() -> None:
    assert cpu(os.getpid()) > 0
    assert resident(os.getpid()) > 1000
