"""The page of built-ins is what its tool writes."""

from __future__ import annotations

from pathlib import Path

from tools.builtins_table import document

PAGE = Path(__file__).parents[2] / "docs" / "cgpl" / "builtins.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == document(), "run python -m tools.builtins_table > docs/cgpl/builtins.md"
