"""The long row of seeds tells its faults, goes on after them, and writes down what it has done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import many
from tests.simulation.many import Told
from tests.simulation.proof import FIRST, MOST_FAULTS, prove, row


def test_rows_are_numbers_or_ranges() -> None:
    assert row("500") == range(FIRST, FIRST + 500)
    assert row("7:9") == range(7, 10)
    for wrong in ("", "9:7", "seven", "0"):
        with pytest.raises(ValueError, match=r"."):
            row(wrong)


def _prove(monkeypatch: pytest.MonkeyPatch, seeds: range, failing: set[int], folder: Path) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(many, "tell", lambda seed: Told(seed, ("it broke",) if seed in failing else ()))
    prove(seeds, said.append, jobs=1, folder=folder)
    return said


def test_a_fault_is_told_and_the_row_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fault, summary = _prove(monkeypatch, range(5, 15), {8}, tmp_path)
    assert "make simulate SEED=8 " in fault
    assert "it broke" in fault
    assert "seeds 5..14, failing: 8" in summary
    (written,) = tmp_path.iterdir()
    assert written.read_text() == summary + "\n"


def test_many_faults_end_it_and_it_can_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    *_, summary = _prove(monkeypatch, range(100), set(range(100)), tmp_path)
    assert f"TANDEM_SEEDS={MOST_FAULTS}:99" in summary
