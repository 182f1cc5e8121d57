"""The targets of the guided fuzzer on what it has found so far, and the fuzzer itself for a moment."""

from __future__ import annotations

import base64
import importlib.util
from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import CORPUS, TARGETS


def kept(name: str) -> list[bytes]:
    """The corpus of a target: octets in base64, one a line; `#` begins a remark."""
    lines = (CORPUS / f"{name}.txt").read_text().splitlines()
    return [base64.b64decode(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_that_was_found_is_found_again(name: str) -> None:
    target = TARGETS[name]
    corpus = kept(name)
    assert corpus
    for octets in [*target.seeds, *corpus]:
        target.run(octets)


def test_every_corpus_has_its_target() -> None:
    assert {path.stem for path in CORPUS.glob("*.txt")} == set(TARGETS)


def test_the_fuzzer_finds_nothing_at_once(tmp_path: Path) -> None:
    """`make fuzz` lets it run longer."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris has no wheel for this machine")
    assert fuzz("address", 2, tmp_path / "address") == []
