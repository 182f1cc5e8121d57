"""Pages that the code knows best are as their tool writes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.ledgers import pages
from tools.remarks import citations, remarks

COMMAND = "run python -m tools.ledgers"


@pytest.mark.parametrize("page", sorted(pages()), ids=lambda page: page.name)
def test_the_page_is_up_to_date(page: Path) -> None:
    assert page.read_text("utf-8") == pages()[page], COMMAND


def test_the_ledger_and_the_code_name_the_same_standards() -> None:
    page = next(page for page in pages() if page.name == "rfc.md")
    listed = {int(number) for number in re.findall(r"^## RFC (\d+)", page.read_text("utf-8"), re.MULTILINE)}
    assert listed == set(citations()), COMMAND


def test_remarks_say_something() -> None:
    assert all(len(remark.text) > 8 for remark in remarks())


def test_what_is_missing_names_its_standard_and_a_reason() -> None:
    missing = [remark for remark in remarks() if remark.tag == "Missing"]
    assert missing
    for remark in missing:
        assert re.search(r"\bRFC \d+", remark.text), remark
        assert re.search(r"\b(as|because|since|for|needs|until|nobody|nothing)\b", remark.text), remark
