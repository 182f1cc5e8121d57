"""`python -m bench`: every case in turn, one table at the end, a dated report in `docs/benchmarks`.

Figures only: nothing here passes or fails, and a case that cannot run is said and left out.
"""

from __future__ import annotations

import datetime
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import report
from bench.cases import CASES, Case, chosen
from bench.runner import Result, measure

REPORTS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
WHOLE = 290.0
"""Seconds for everything; what does not fit is left out."""

Only = Annotated[list[str] | None, typer.Option("--only", metavar="CASE", help="Only this case; may be repeated.")]
Quick = Annotated[bool, typer.Option("--quick", help="Shorter loads, rougher figures.")]
Listing = Annotated[bool, typer.Option("--list", help="Name the cases and end.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")]
Folder = Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the report goes.")]


def main(
    only: Only = None, quick: Quick = False, listing: Listing = False, as_json: AsJson = False, to: Folder = REPORTS
) -> None:
    """Measure what the server costs. A run of all cases writes a report."""
    if listing:
        for case in CASES:
            print(f"{case.name:14} {case.title}")
        return
    try:
        cases = chosen(only or [])
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    results = _measure(cases, quick=quick)
    if as_json:
        print(json.dumps(report.plain(results), ensure_ascii=False, indent=2))
    else:
        _show(results)
    if not only:
        print(f"written: {_write(results, to, quick=quick)}", file=sys.stderr)


def _measure(cases: list[Case], *, quick: bool) -> list[Result]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"))
    end = time.monotonic() + WHOLE
    results: list[Result] = []
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(cases))
        for case in cases:
            progress.update(task, description=case.title)
            left = end - time.monotonic()
            late = Result(case, [], 0.0, "no time was left")
            results.append(measure(case, quick=quick, left=left) if left > 5 else late)
            progress.advance(task)
            if results[-1].trouble:
                progress.console.print(f"{case.name}: {results[-1].trouble}", markup=False)
    return results


def _show(results: list[Result]) -> None:
    console = Console()
    console.print(report.table(results))


def _write(results: list[Result], folder: Path, *, quick: bool) -> Path:
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{date}.svg").write_text(report.plot(results, date))
    path = folder / f"{date}.md"
    path.write_text(report.markdown(results, date, f"{date}.svg", quick=quick))
    return path


if __name__ == "__main__":
    typer.run(main)
