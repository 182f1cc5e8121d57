"""The results as a table for the terminal, as Markdown with a plot for `docs/benchmarks`, and as JSON. Figures only."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from bench.plot import bars, shown
from bench.runner import Result

PREFIX = "whole server: "
_TIME = ("CPU µs", "µs CPU", "µs")


def table(results: Sequence[Result]) -> Table:
    """All rows, one section for each case."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("what", overflow="fold")
    made.add_column("figure", justify="right", no_wrap=True)
    made.add_column("unit", no_wrap=True)
    for result in results:
        for name, value, unit in result.figures:
            made.add_row(name, shown(value), unit)
        if result.trouble:
            made.add_row(f"[red]{result.case.name}: not measured[/]", "", "")
        made.add_section()
    return made


def markdown(results: Sequence[Result], date: str, plot: str, *, quick: bool) -> str:
    lines = [f"# Figures of {date}", "", *_circumstances(quick=quick), "", f"![CPU per unit of work]({plot})", ""]
    for result in results:
        lines += [f"## {result.case.title}", ""]
        if result.trouble:
            lines += [f"Not measured: {result.trouble}", ""]
        if result.figures:
            lines += ["| what | figure | unit |", "|---|---:|---|"]
            lines += [
                f"| {name.removeprefix(PREFIX)} | {shown(value)} | {unit} |" for name, value, unit in result.figures
            ]
            lines += [""]
    return "\n".join(lines)


def plot(results: Sequence[Result], date: str) -> str:
    """The CPU time of the whole server for each unit of work."""
    rows = [
        (name.removeprefix(PREFIX), value)
        for result in results
        for name, value, unit in result.figures
        if name.startswith(PREFIX) and unit in _TIME
    ]
    return bars(f"CPU of the server for each unit of work, {date}", "µs", rows)


def plain(results: Sequence[Result]) -> list[dict[str, object]]:
    """For JSON."""
    return [
        {
            "case": result.case.name,
            "seconds": round(result.seconds, 1),
            "trouble": result.trouble,
            "figures": [{"name": name, "value": value, "unit": unit} for name, value, unit in result.figures],
        }
        for result in results
    ]


def _circumstances(*, quick: bool) -> list[str]:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        "CPU is user and system time of the server's processes alone, the load generators outside. Compare figures "
        "only with others of the same run, machine and rate: the rarer the work, the colder the caches (see "
        "`parse and forward INVITE` with and without rest), and other programs on the machine chill them further.",
        "",
        f"- machine: {os.cpu_count()} × {_processor()}, Linux {platform.release()}, load average at the end {load}",
        f"- Python {platform.python_version()}, commit {_commit()}",
        *(["- a quick run: shorter loads, rougher figures"] if quick else []),
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def _commit() -> str:
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
